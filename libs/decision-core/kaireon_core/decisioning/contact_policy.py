"""The contact policy node: may we contact this customer again, now, and with this?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, cast
from zoneinfo import ZoneInfo

import numpy as np

from kaireon_core.catalog.document import Document, ids_named
from kaireon_core.column import Mask, Operator, any_in, compile_test
from kaireon_core.decisioning.calendar import HOUR_MS, day_and_hour
from kaireon_core.decisioning.candidates import Candidates
from kaireon_core.decisioning.caps import compile_cap
from kaireon_core.decisioning.coverage import EVERYWHERE, coverage_of, scopes_of
from kaireon_core.decisioning.flow import ContactPolicyNode
from kaireon_core.decisioning.history_needs import HistoryNeeds
from kaireon_core.decisioning.mandatory import is_bypassed
from kaireon_core.decisioning.metric_condition import compile_metric_policy
from kaireon_core.decisioning.outcome_policies import compile_category_suppression, compile_outcome_based
from kaireon_core.decisioning.policy import AddReason, Area, Policy, PolicyScope
from kaireon_core.decisioning.qualify import in_order
from kaireon_core.decisioning.reasons import LegendBuilder
from kaireon_core.decisioning.state import SharedLimit, Stage, StagePart, State

_DEFAULT_SCOPE = "offer"
# Types that apply wherever they say they do.
_WITHOUT_SCOPE = frozenset({"customer_total_cap", "mutual_exclusion"})


def compile_contact_policy(node: ContactPolicyNode, candidates: Candidates, legend: LegendBuilder) -> Stage:
    """Return the stage: for each candidate the first policy that blocks, in order of priority, is the reason."""
    documents = in_order(candidates.catalogue.contact_policies, node.config.mode, node.config.policy_ids)
    freed = _freed(documents, candidates)
    policies = [_compile_policy(document, candidates, freed, legend) for document in documents]

    def apply(state: State) -> None:
        for policy in policies:
            policy.apply(state)

    return Stage(
        name="contact_policy",
        apply=apply,
        contact_window_ms=max((policy.window_ms for policy in policies), default=0),
        needs_contact_totals=any(policy.needs_totals for policy in policies),
        history=HistoryNeeds.union([*(policy.history for policy in policies), *_scope_needs(documents, candidates)]),
        shared_codes=[code for policy in policies for code in policy.shared_codes],
        parts=[
            StagePart(document=document, covered=policy.covered, apply=policy.apply)
            for document, policy in zip(documents, policies, strict=True)
        ],
    )


def _scope_needs(documents: list[Document], candidates: Candidates) -> list[HistoryNeeds]:
    scopes = [scope for document in documents for scope in scopes_of(document.body, _DEFAULT_SCOPE)]
    return [coverage_of(scopes, candidates.catalogue).history]


def _freed(documents: list[Document], candidates: Candidates) -> Area | None:
    """Return what the overrides among these policies cover together, None without any."""
    overrides = [document for document in documents if document.body["ruleType"] == "allow_override"]
    scopes = [scope for document in overrides for scope in scopes_of(document.body, _DEFAULT_SCOPE)]
    return Area.of(scopes, candidates) if scopes else None


def _compile_policy(document: Document, candidates: Candidates, freed: Area | None, legend: LegendBuilder) -> Policy:
    policy_type = str(document.body["ruleType"])
    config = cast("dict[str, Any]", document.body["config"])
    scopes = EVERYWHERE if policy_type in _WITHOUT_SCOPE else scopes_of(document.body, _DEFAULT_SCOPE)
    counts_all = policy_type == "cross_channel_cap" and any(scope == "channel" for scope, _ in scopes)
    area = Area.of(scopes, candidates)
    scope = PolicyScope(
        area=area,
        counting=Area.of(EVERYWHERE, candidates) if counts_all else area,
        freed=freed,
        per_offer=bool(config.get("perOffer", False)),
        spares_mandatory=is_bypassed(policy_type, config),
    )

    def add_reason(predicate: str, detail: dict[str, Any]) -> int:
        return legend.add(
            policy_type,
            f"{policy_type} {predicate} at scope={area.coverage.text} (policy '{document.name}')",
            entity_id=document.id,
            entity_name=document.name,
            detail={"scope": area.coverage.text, **_of(config, "perOffer"), **detail},
        )

    return _TYPES.get(policy_type, _compile_not_evaluated)(config, scope, candidates, add_reason)


def _compile_cooldown(
    config: dict[str, Any], scope: PolicyScope, _candidates: Candidates, add_reason: AddReason
) -> Policy:
    hours = float(config["cooldownHours"])
    code = add_reason(
        f"blocks: the last contact was less than {config['cooldownHours']}h ago", {"cooldownHours": hours}
    )
    window_ms = round(hours * HOUR_MS)

    def apply(state: State) -> None:
        if not state.contacts.totals.at_ms.size:
            return
        totals = state.contacts.totals
        last = scope.last_ms(state, totals, scope.counted(state, totals))
        state.drop(scope.binding(state) & (last > state.request.now_ms - window_ms), code)

    return Policy(covered=scope.covered, apply=apply, needs_totals=True)


def _compile_segment_exclusion(
    config: dict[str, Any], scope: PolicyScope, _candidates: Candidates, add_reason: AddReason
) -> Policy:
    excluded = frozenset(map(str, config["excludeSegments"]))
    code = add_reason("blocks the segments " + ", ".join(config["excludeSegments"]), _of(config, "excludeSegments"))

    def apply(state: State) -> None:
        is_member = np.array([not excluded.isdisjoint(mine) for mine in state.segments], np.bool_)[:, None]
        if any_in(is_member):
            state.drop(scope.binding(state) & is_member, code)

    return Policy(covered=scope.covered, apply=apply, history=HistoryNeeds(segments=tuple(excluded)))


def _compile_time_window(
    config: dict[str, Any], scope: PolicyScope, _candidates: Candidates, add_reason: AddReason
) -> Policy:
    days = frozenset[int](config.get("allowedDays", range(7)))
    start, end = int(config.get("startHour", 0)), int(config.get("endHour", 0))
    zone = ZoneInfo(config["timezone"]) if "timezone" in config else None
    code = add_reason(
        "blocks: it is outside of the window", _of(config, "allowedDays", "startHour", "endHour", "timezone")
    )

    def apply(state: State) -> None:
        day, hour = day_and_hour(state.request.now_ms, zone or state.zone)
        if not _is_inside(day, hour, days, start, end):
            state.drop(scope.binding(state), code)

    return Policy(covered=scope.covered, apply=apply)


def _is_inside(day: int, hour: int, days: frozenset[int], start: int, end: int) -> bool:
    """Whether a window that begins on one of these days is open; equal hours are the whole day."""
    if start <= end:
        return day in days and (start == end or start <= hour < end)
    # What is left of a window after midnight belongs to the day on which it began.
    return (hour >= start and day in days) or (hour < end and (day - 1) % 7 in days)


def _compile_mutual_exclusion(
    config: dict[str, Any], scope: PolicyScope, candidates: Candidates, add_reason: AddReason
) -> Policy:
    """Of the group's offers an answer holds one; those of which another was ever shown are blocked."""
    offers = candidates.catalogue.offers
    ids = ids_named(offers, config["offerGroup"])
    in_group = np.array([*(offer.id in ids for offer in offers), False], np.bool_)
    is_member = in_group[candidates.offer][None, :]
    code = add_reason("blocks: another offer of its group was shown", _of(config, "offerGroup"))

    def apply(state: State) -> None:
        binding = scope.binding(state) & is_member
        if state.contacts.totals.offer.size:
            state.drop(binding & _is_other_shown(state, in_group), code)
        one_each = np.ones(state.table.customers, np.int64)
        limit = SharedLimit(binding=binding, counting=is_member, remaining=one_each, code=code)
        state.shared_limits.append(limit)

    return Policy(covered=lambda _state: is_member, apply=apply, needs_totals=True, shared_codes=[code])


def _is_other_shown(state: State, in_group: Mask) -> Mask:
    """Return where an offer of the group, other than the candidate's own, was ever shown, (B, C)."""
    rows = state.contacts.totals
    counted = in_group[rows.offer]
    shown = np.zeros((state.table.customers, len(in_group)), np.int64)
    shown[rows.customer[counted], rows.offer[counted]] = 1
    return (shown.sum(axis=1, keepdims=True) - shown > 0)[:, state.candidates.offer]


def _compile_budget_exhausted(
    config: dict[str, Any], scope: PolicyScope, candidates: Candidates, add_reason: AddReason
) -> Policy:
    """The offer's budget is part of the catalogue, so what is exhausted is known before any decision."""
    if "budgetField" not in config:
        return Policy(covered=scope.covered, apply=_do_nothing)
    name, threshold = f"budget.{config['budgetField']}", config["threshold"]
    code = add_reason(f"blocks: {name} is {threshold} or more", _of(config, "budgetField", "threshold"))
    is_exhausted = compile_test(Operator.GTE, threshold)(candidates.column(f"offer.{name}"))[None, :]
    if not any_in(is_exhausted):
        return Policy(covered=scope.covered, apply=_do_nothing)
    return Policy(covered=scope.covered, apply=lambda state: state.drop(scope.binding(state) & is_exhausted, code))


def _compile_allow_override(
    _config: dict[str, Any], scope: PolicyScope, _candidates: Candidates, _add_reason: AddReason
) -> Policy:
    """It drops nothing: the other policies spare what it covers."""
    return Policy(covered=scope.covered, apply=_do_nothing)


def _of(config: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return the part of a configuration that a reason repeats."""
    return {name: config[name] for name in names if name in config}


def _do_nothing(_state: State) -> None:
    """Leave everything alive."""


def _compile_not_evaluated(
    _config: dict[str, Any], scope: PolicyScope, _candidates: Candidates, add_reason: AddReason
) -> Policy:
    """A type that this version does not evaluate blocks what it covers: fail closed."""
    code = add_reason("blocks: this type of policy is not evaluated", {})
    return Policy(covered=scope.covered, apply=lambda state: state.drop(scope.binding(state), code))


CompilePolicy: TypeAlias = Callable[[dict[str, Any], PolicyScope, Candidates, AddReason], Policy]
_TYPES: dict[str, CompilePolicy] = {
    "frequency_cap": compile_cap,
    "cross_channel_cap": compile_cap,
    "customer_total_cap": compile_cap,
    "cooldown": _compile_cooldown,
    "segment_exclusion": _compile_segment_exclusion,
    "time_window": _compile_time_window,
    "mutual_exclusion": _compile_mutual_exclusion,
    "budget_exhausted": _compile_budget_exhausted,
    "allow_override": _compile_allow_override,
    "outcome_based": compile_outcome_based,
    "category_suppression": compile_category_suppression,
    "metric_condition": compile_metric_policy,
}
EVALUATED_POLICY_TYPES = frozenset(_TYPES)
