"""Hard constraints, mandatory offers and evidence of the reference."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, datetime
from statistics import NormalDist

from tests.core.decisioning.plain_values import Candidate, Thing, instant, key_of, status_of
from tests.core.decisioning.reference_policies import PolicyReference

_DAILY_MANDATORY = 5
_OFFER_CAPS = (("daily", "maxPerDay"), ("weekly", "maxPerWeek"), ("monthly", "maxPerMonth"))


class ConstraintReference(PolicyReference):
    def _constraint_stages(self) -> list[tuple[str, Callable[[], None]]]:
        """Return the stages that a flow has whatever its nodes are, where there is anything for them to do."""
        stages: list[tuple[str, Callable[[], None]]] = []
        if any(offer.get("mandatory") for offer in self._all("offers")):
            stages.append(("mandatory", self._mandatory_cap))
        if self._caps() or any(self._limits_of(offer) for offer in self._all("offers")):
            stages.append(("constraints", self._constraints))
        return stages

    def _caps(self) -> list[Thing]:
        return [cap for cap in self._all("frequency_caps") if status_of(cap) == "active" and cap.get("enabled", True)]

    def _limits_of(self, offer: Thing) -> Thing:
        budget, stock = offer.get("budget", {}), offer.get("inventory", {})
        found = {name: budget.get(name) for name in ("dailyCapCents", "lifetimeCapCents")}
        found |= {"stock": stock.get("remainingStock"), **offer.get("frequencyCaps", {}).get("perCustomer", {})}
        return {name: value for name, value in found.items() if value is not None}

    def _counted(self, name: str, id_: str) -> int:
        return self.case.get("counters", {}).get(name, {}).get(id_, 0)

    def _constraints(self) -> None:
        for one in self.candidates:
            for name, is_reached in self._reached(one.offer):
                if is_reached:
                    self._drop(one, name)
        for name, window in _OFFER_CAPS:
            self.limits += [({"ruleType": "offer_cap"}, self._beyond_own(name, window))]
        for cap in self._caps():
            bound = [one for one in self.candidates if self._covers(cap, "offer", vars(one))]
            left = cap["maxVolume"] - self._counted("shown", cap["id"])
            for one in bound:
                if left <= 0:
                    self._drop(one, "volume_cap", cap)
            self._limit({**cap, "ruleType": "volume_cap"}, bound, left)

    def _reached(self, offer: Thing) -> list[tuple[str, bool]]:
        limits, budget = self._limits_of(offer), offer.get("budget", {})
        reset = budget.get("lastDailyResetDate")
        is_today = reset is None or self._day(reset) == self.now.astimezone(self.zone).date()
        daily = (budget.get("currentDailySpentCents") or 0) if is_today else 0
        daily += self._counted("spentToday", offer["id"])
        ever = (budget.get("currentLifetimeSpentCents") or 0) + self._counted("spent", offer["id"])
        mine = [contact for contact in self.contacts if contact["offer"] == offer["id"]]
        reached = [
            ("daily_budget", "dailyCapCents" in limits and daily >= limits["dailyCapCents"]),
            ("lifetime_budget", "lifetimeCapCents" in limits and ever >= limits["lifetimeCapCents"]),
            ("stock", "stock" in limits and self._counted("taken", offer["id"]) >= limits["stock"]),
        ]
        for name, window in _OFFER_CAPS:
            if name in limits:
                ((most, test),) = self._windows({window: limits[name]})
                seen = [contact for contact in mine if test(datetime.fromisoformat(contact["at"]))]
                reached.append(("offer_cap", len(seen) >= most))
        return reached

    def _beyond_own(self, name: str, window: str) -> Callable[[list[Candidate], Candidate], bool]:
        def is_beyond(picks: list[Candidate], one: Candidate) -> bool:
            limits = self._limits_of(one.offer)
            if name not in limits:
                return False
            ((most, test),) = self._windows({window: limits[name]})
            mine = [contact for contact in self.contacts if contact["offer"] == one.offer["id"]]
            seen = [contact for contact in mine if test(datetime.fromisoformat(contact["at"]))]
            return len(seen) + sum(pick.offer is one.offer for pick in [*picks, one]) > most

        return is_beyond

    def _day(self, text: str) -> date:
        if len(text) == len("2026-01-01"):
            return date.fromisoformat(text)
        at = instant(text)
        assert at is not None
        return at.astimezone(self.zone).date()

    # --- mandatory offers

    def _is_mandatory(self, offer: Thing) -> bool:
        until = instant(offer.get("mandatoryExpiresAt"))
        return bool(offer.get("mandatory")) and until is not None and self.now < until

    def _mandatory_cap(self) -> None:
        bound = [one for one in self.candidates if self._is_mandatory(one.offer)]
        if not bound:
            return
        names = [one.offer["id"] for one in bound]
        ((_, today),) = self._windows({"maxPerDay": 1})
        seen = [c for c in self.contacts if c["offer"] in names and today(datetime.fromisoformat(c["at"]))]
        left = _DAILY_MANDATORY - len(seen)
        for one in bound:
            if left <= 0:
                self._drop(one, "mandatory_cap")
        self._limit({"ruleType": "mandatory_cap"}, bound, left)

    def _limit(self, limit: Thing, bound: list[Candidate], left: int) -> None:
        def is_beyond(picks: list[Candidate], one: Candidate) -> bool:
            return one in bound and sum(pick in bound for pick in [*picks, one]) > left

        self.limits.append((limit, is_beyond))

    # --- guardrails

    def _active_guardrails(self) -> list[Thing]:
        active = [one for one in self._all("guardrails") if status_of(one) == "active"]
        return sorted(active, key=lambda one: (-one.get("priority", 50), [ord(letter) for letter in key_of(one)]))

    def _guardrails(self) -> None:
        left = [one for one in self.candidates if one.why is None]
        offers = {one.offer["id"]: one.offer for one in left}
        best = {id_: round(max(one.score for one in left if one.offer["id"] == id_), 12) for id_ in offers}
        for guardrail in self._active_guardrails() if left else []:
            is_hard = guardrail.get("severity", "hard") == "hard"
            if is_hard and not self._is_so(guardrail["expressionAst"], offers, best):
                for one in left:
                    self._drop(one, "guardrail", guardrail)

    def _is_so(self, node: Thing, offers: dict[str, Thing], best: dict[str, float]) -> bool:
        if "not" in node:
            return not self._is_so(node["not"], offers, best)
        if "all" in node:
            return all(self._is_so(one, offers, best) for one in node["all"])
        if "any" in node:
            return any(self._is_so(one, offers, best) for one in node["any"])
        found = _metric(node["metric"], list(offers.values()), best)
        compare = {"eq": "==", "neq": "!=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}[node["op"]]
        outcomes = {"==": found == node["value"], "!=": found != node["value"]}
        if found is not None:
            outcomes |= {">": found > node["value"], ">=": found >= node["value"]}
            outcomes |= {"<": found < node["value"], "<=": found <= node["value"]}
        return found is not None and outcomes[compare]

    # --- evidence

    def _exposure(self, ramp: Thing, one: Candidate) -> float:
        own, kin, on_channel, everything = self._levels(one)
        answered = [rows for rows in (own, on_channel, kin, everything) if _answers(rows)]
        if not answered:
            return min(1.0, ramp.get("targetWidth", 0.2))
        n, rate = _answers(answered[0]), _rate(answered[0])
        z = NormalDist().inv_cdf((1 + ramp.get("confidence", 0.95)) / 2)
        centre, spread = 1 + z * z / n, z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
        return min(1.0, ramp.get("targetWidth", 0.2) / (2 * spread / centre))

    def _levels(self, one: Candidate) -> tuple[list[Thing], list[Thing], list[Thing], list[Thing]]:
        rows: list[Thing] = self.case.get("evidence", [])
        category = one.offer.get("categoryId")
        kin = [offer["id"] for offer in self._all("offers") if category and offer.get("categoryId") == category]
        return (
            [row for row in rows if row["offer"] == one.offer["id"]],
            [row for row in rows if row["offer"] in kin],
            [row for row in rows if one.channel and row["channel"] == one.channel["id"]],
            rows,
        )

    def _by_evidence(self, one: Candidate) -> float:
        own, *levels = self._levels(one)
        enough = zip(levels, (20, 20, 10), strict=True)
        prior = next((_rate(found) for found, least in enough if _answers(found) >= least), 0.5)
        n = _answers(own)
        return _rate(own) if n >= 50 else (n * (_rate(own) if n else 0) + 10 * prior) / (n + 10)


def _answers(rows: list[Thing]) -> int:
    return sum(row["positive"] + row["negative"] for row in rows)


def _rate(rows: list[Thing]) -> float:
    return sum(row["positive"] for row in rows) / _answers(rows)


def _metric(name: str, offers: list[Thing], best: dict[str, float]) -> float | None:
    if name == "offerCount":
        return len(offers)
    if name == "categoryCount":
        return len({offer["categoryId"] for offer in offers if offer.get("categoryId") is not None})
    fold = next(one for one in ("total", "average", "min", "max") if name.startswith(one))
    field = name.removeprefix(fold)
    read = field[0].lower() + field[1:]
    values = [best[offer["id"]] if read == "score" else offer.get(read) for offer in offers]
    known = [value for value in values if value is not None]
    if not known:
        return None
    sums = {"total": sum(known), "average": sum(known) / len(known)}
    return sums[fold] if fold in sums else {"min": min, "max": max}[fold](known)
