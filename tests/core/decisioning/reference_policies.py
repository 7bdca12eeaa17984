"""The contact policies of the reference, and the facts that they read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from tests.core.decisioning.cases import Case
from tests.core.decisioning.plain_values import Candidate, Thing, holds, is_named, status_of, value_of

# Whether a candidate may not join those that the answer holds already.
Breaks = Callable[[list[Candidate], Candidate], bool]
_CAPS = ("frequency_cap", "cross_channel_cap", "customer_total_cap")


class PolicyReference:
    candidates: list[Candidate]
    stage: str

    def __init__(self, case: Case, customer: Thing) -> None:
        self.case, self.customer = case, customer
        self.catalogue: dict[str, list[Thing]] = case["catalogue"]
        self.request: Thing = case["request"]
        self.now = datetime.fromisoformat(self.request["now"])
        self.zone = ZoneInfo(case.get("timezone", "UTC"))
        self.segments: set[str] = set(customer.get("segments", ()))
        self.contacts: list[Thing] = customer.get("contacts", [])
        self.metrics: Thing = customer.get("metrics", {})
        self.outcomes: list[Thing] = customer.get("outcomes", [])
        # What a policy still forbids while the answer is filled, in order of priority.
        self.limits: list[tuple[Thing, Breaks]] = []
        # Inside a branch: the candidates that it is not for.
        self.outside: list[Candidate] = []

    def _is_mandatory(self, offer: Thing) -> bool:
        raise NotImplementedError

    def _all(self, kind: str) -> list[Thing]:
        return self.catalogue.get(kind, [])

    def _find(self, kind: str, id_: str | None) -> Thing | None:
        return next((one for one in self._all(kind) if one["id"] == id_), None)

    def _drop(self, candidate: Candidate, type_: str, entity: Thing | None = None) -> None:
        if candidate.why is None and candidate not in self.outside:
            candidate.why = (self.stage, type_, entity["id"] if entity else None)

    def _applied(self, kind: str, config: Thing, field: str) -> list[Thing]:
        chosen = [one for one in self._all(kind) if status_of(one) == "active"]
        if config.get("mode", "all") == "selected":
            chosen = [one for one in chosen if is_named(one, config.get(field, []))]
        chosen.sort(key=lambda one: one["id"])
        chosen.sort(key=lambda one: one.get("createdAt", ""), reverse=True)
        chosen.sort(key=lambda one: one.get("priority", 50), reverse=True)
        return chosen

    def _covers(self, thing: Thing, default: str, where: Thing) -> bool:
        """`where` names an offer, creative, channel and placement, each None when there is none."""
        single: Thing = {"scope": thing.get("scope") or default, "scopeId": thing.get("scopeId")}
        for scope in thing.get("scopes") or [single]:
            kind: str = scope["scope"]
            id_ = scope.get("scopeId")
            if kind == "global" or (kind == "segment" and id_ in self.segments):
                return True
            offer: Thing = where["offer"] or {}
            found: Thing = {
                "offer": offer.get("id"),
                "category": offer.get("categoryId"),
                "subcategory": offer.get("subCategoryId"),
                "creative": (where["creative"] or {}).get("id"),
                "channel": (where["channel"] or {}).get("id"),
                "placement": (where["placement"] or {}).get("id"),
            }
            if id_ is not None and found.get(kind) == id_:
                return True
        return False

    def _contact_policy(self, config: Thing) -> None:
        policies = self._applied("contact_policies", config, "policyIds")
        overrides = [policy for policy in policies if policy["ruleType"] == "allow_override"]
        freed = [one for one in self.candidates if any(self._covers(two, "offer", vars(one)) for two in overrides)]
        for policy in policies:
            spared = [*freed, *self.outside]
            if policy["ruleType"] not in ("frequency_cap", "cross_channel_cap"):
                is_bypassed = policy["config"].get("bypassable", True)
                spared += [one for one in self.candidates if is_bypassed and self._is_mandatory(one.offer)]
            bound = [one for one in self.candidates if self._is_in_area(policy, vars(one)) and one not in spared]
            for one in bound:
                if self._blocks(policy, one):
                    self._drop(one, policy["ruleType"], policy)
            self.limits += [(policy, breaks) for breaks in self._shared(policy, bound)]

    def _is_in_area(self, policy: Thing, where: Thing) -> bool:
        is_everywhere = policy["ruleType"] in ("customer_total_cap", "mutual_exclusion")
        return is_everywhere or self._covers(policy, "offer", where)

    def _counts(self, policy: Thing, where: Thing) -> bool:
        scopes = policy.get("scopes") or [policy]
        is_any = policy["ruleType"] == "cross_channel_cap" and any(one.get("scope") == "channel" for one in scopes)
        return is_any or self._is_in_area(policy, where)

    def _blocks(self, policy: Thing, one: Candidate) -> bool:
        config = policy["config"]
        match policy["ruleType"]:
            case "cooldown" | "outcome_based" | "category_suppression":
                found, rest = self._rest(policy, one)
                return any(self.now - datetime.fromisoformat(done["at"]) < rest for done in found)
            case "segment_exclusion" | "metric_condition" | "time_window":
                return self._is_barred(policy["ruleType"], config)
            case "mutual_exclusion":
                others = [offer for offer in self._group(config) if offer is not one.offer]
                shown = [contact["offer"] for contact in self.contacts]
                return one.offer in self._group(config) and any(other["id"] in shown for other in others)
            case "budget_exhausted":
                spent = value_of(one.offer, f"budget.{config['budgetField']}")
                return type(spent) in (int, float) and spent >= config["threshold"]
            case "allow_override":
                return False
            case type_ if type_ in _CAPS:
                contacts = self._contacts_of(policy, one.offer)
                return any(len(_inside(contacts, test)) >= maximum for maximum, test in self._windows(config))
            case _:
                return True

    def _is_barred(self, rule_type: str, config: Thing) -> bool:
        """Return whether a policy that looks at the customer or the clock alone blocks."""
        if rule_type == "segment_exclusion":
            return any(segment in self.segments for segment in config["excludeSegments"])
        return self._compares(config) is not False if rule_type == "metric_condition" else not self._is_open(config)

    def _rest(self, policy: Thing, one: Candidate) -> tuple[list[Thing], timedelta]:
        """Return what a policy waits after, and for how long."""
        config = policy["config"]
        match policy["ruleType"]:
            case "cooldown":
                return self._contacts_of(policy, one.offer), timedelta(hours=config["cooldownHours"])
            case "outcome_based":
                days = config["suppressForDays"] if "afterOutcome" in config else config["lookbackDays"]
                return self._banning(policy, one.offer), timedelta(days=days)
            case _:
                found = self._responses(config) if self._is_in(config, one.offer) else []
                return found, timedelta(days=config["suppressionDays"])

    def _compares(self, config: Thing) -> bool | None:
        """Return whether a metric compares like this, None when it is not computed."""
        known = [one for one in self._all("behavioral_metrics") if status_of(one) == "active"]
        named = [one for name in ("id", "key", "name") for one in known if one.get(name, one["id"]) == config["metric"]]
        return holds(self.metrics.get(named[0]["id"], 0), config["operator"], config["value"]) if named else None

    def _banning(self, policy: Thing, offer: Thing) -> list[Thing]:
        """Return the outcomes that a policy waits after, with the contacts if it waits after impressions."""
        wanted = policy["config"].get("afterOutcome", policy["config"].get("outcomeType"))
        keys = [wanted] if isinstance(wanted, str) else wanted
        found = [done for done in self.outcomes if done["outcome"] in keys]
        found += self.contacts if "impression" in keys else []
        inside = [done for done in found if self._counts(policy, self._where(done))]
        is_per_offer = policy["config"].get("perOffer", False)
        return [done for done in inside if done["offer"] == offer["id"]] if is_per_offer else inside

    def _responses(self, config: Thing) -> list[Thing]:
        """Return the responses on the offers of a category."""
        return [
            done
            for done in self.outcomes
            if done["classification"] != "neutral" and self._is_in(config, self._find("offers", done["offer"]) or {})
        ]

    def _is_in(self, config: Thing, offer: Thing) -> bool:
        if config.get("subCategoryId") is not None:
            return offer.get("subCategoryId") == config["subCategoryId"]
        return offer.get("categoryId") == config["categoryId"]

    def _group(self, config: Thing) -> list[Thing]:
        return [offer for offer in self._all("offers") if is_named(offer, config["offerGroup"])]

    def _is_open(self, config: Thing) -> bool:
        local = self.now.astimezone(ZoneInfo(config["timezone"]) if "timezone" in config else self.zone)
        clock = local.replace(tzinfo=None)
        start, end = config.get("startHour", 0), config.get("endHour", 0)
        if start == end:
            start, end = 0, 24
        for days_ago in (0, 1):
            midnight = datetime(clock.year, clock.month, clock.day) - timedelta(days=days_ago)  # noqa: DTZ001 - a clock
            opens = midnight + timedelta(hours=start)
            closes = midnight + timedelta(hours=end if end > start else end + 24)
            names = [6, 0, 1, 2, 3, 4, 5]
            is_allowed = "allowedDays" not in config or names.index(midnight.weekday()) in config["allowedDays"]
            if is_allowed and opens <= clock < closes:
                return True
        return False

    def _shared(self, policy: Thing, bound: list[Candidate]) -> list[Breaks]:
        config = policy["config"]
        if policy["ruleType"] == "mutual_exclusion":
            group = self._group(config)

            def is_second(picks: list[Candidate], one: Candidate) -> bool:
                others = [pick for pick in picks if pick.offer in group]
                return one in bound and one.offer in group and bool(others)

            return [is_second]
        if policy["ruleType"] not in _CAPS:
            return []
        if config.get("perOffer", False):
            return [self._again(policy, bound, maximum, test) for maximum, test in self._windows(config)]
        counted = [one for one in self.candidates if self._counts(policy, vars(one))]
        contacts = [contact for contact in self.contacts if self._counts(policy, self._where(contact))]

        def beyond(left: int) -> Breaks:
            return lambda picks, one: one in bound and sum(pick in counted for pick in [*picks, one]) > left

        return [beyond(maximum - len(_inside(contacts, test))) for maximum, test in self._windows(config)]

    def _again(self, policy: Thing, bound: list[Candidate], maximum: int, test: Callable[[datetime], bool]) -> Breaks:
        """An offer that stands in the answer already, in another placement, counts for itself."""
        counted = [one for one in self.candidates if self._counts(policy, vars(one))]

        def is_beyond(picks: list[Candidate], one: Candidate) -> bool:
            seen = len(_inside(self._contacts_of(policy, one.offer), test))
            mine = [pick for pick in [*picks, one] if pick.offer is one.offer and pick in counted]
            return one in bound and seen + len(mine) > maximum

        return is_beyond

    def _contacts_of(self, policy: Thing, offer: Thing) -> list[Thing]:
        """Return the contacts that count for a policy: inside its scope, with `perOffer` those of this offer only."""
        inside = [one for one in self.contacts if self._counts(policy, self._where(one))]
        is_per_offer = policy["config"].get("perOffer", False)
        return [one for one in inside if one["offer"] == offer["id"]] if is_per_offer else inside

    def _where(self, contact: Thing) -> Thing:
        creative = self._find("creatives", contact.get("creative"))
        return {
            "offer": self._find("offers", contact.get("offer")),
            "creative": creative,
            "channel": self._find("channels", contact.get("channel")),
            "placement": self._find("placements", creative.get("placementId")) if creative else None,
        }

    def _windows(self, config: Thing) -> list[tuple[int, Callable[[datetime], bool]]]:
        local = self.now.astimezone(self.zone)

        def within(age: timedelta) -> Callable[[datetime], bool]:
            return lambda at: self.now - at < age

        tests: list[tuple[str, Callable[[datetime], bool]]] = [
            ("maxPerDay", lambda at: at.astimezone(self.zone).date() == local.date()),
            ("maxPerWeek", lambda at: at.astimezone(self.zone).isocalendar()[:2] == local.isocalendar()[:2]),
            ("maxPerMonth", lambda at: at.astimezone(self.zone).strftime("%Y-%m") == local.strftime("%Y-%m")),
            ("maxTotal", within(timedelta(hours=config.get("lookbackHours", 24 * 36500)))),
            ("maxContacts", within(timedelta(days=config.get("windowDays", 0)))),
        ]
        return [(config[name], test) for name, test in tests if config.get(name) is not None]


def _inside(contacts: list[Thing], is_inside: Callable[[datetime], bool]) -> list[Thing]:
    return [contact for contact in contacts if is_inside(datetime.fromisoformat(contact["at"]))]
