"""The contact policy node: may we contact this customer again? Frequency caps and cooldowns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from kaireon_core.catalog.document import Document
from kaireon_core.column import Mask, any_in
from kaireon_core.decisioning.calendar import DAY_MS, HOUR_MS, LONGEST_MONTH_MS, Period
from kaireon_core.decisioning.candidates import Candidates
from kaireon_core.decisioning.contacts import ContactRows
from kaireon_core.decisioning.coverage import Coverage, build_coverage
from kaireon_core.decisioning.flow import ContactPolicyNode
from kaireon_core.decisioning.qualify import in_order
from kaireon_core.decisioning.reasons import LegendBuilder
from kaireon_core.decisioning.state import SharedCap, Stage, StagePart, State

Counts: TypeAlias = NDArray[np.int64]
_NEVER = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True, kw_only=True)
class _Policy:
    """A compiled policy and how far back it looks (ms; 0 = not at all, None = all contacts ever)."""

    covered: Callable[[State], Mask]
    apply: Callable[[State], None]
    window_ms: int = 0
    needs_totals: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scope:
    """Where a policy applies, and whether it counts each offer for itself."""

    coverage: Coverage
    of_candidates: Mask
    of_offers: Mask
    per_offer: bool

    def covered(self, state: State) -> Mask:
        return state.covered(self.coverage, self.of_candidates, self.of_offers)

    def counted(self, state: State, rows: ContactRows) -> Mask:
        return self.coverage.of_contacts(rows, state.segments)


def compile_contact_policy(node: ContactPolicyNode, candidates: Candidates, legend: LegendBuilder) -> Stage:
    """Return the stage: for each candidate the first policy that blocks, in order of priority, is the reason."""
    documents = in_order(candidates.catalogue.contact_policies, node.config.mode, node.config.policy_ids)
    policies = [_compile_policy(document, candidates, legend) for document in documents]

    def apply(state: State) -> None:
        for policy in policies:
            policy.apply(state)

    return Stage(
        name="contact_policy",
        apply=apply,
        contact_window_ms=max((policy.window_ms for policy in policies), default=0),
        needs_contact_totals=any(policy.needs_totals for policy in policies),
        parts=[
            StagePart(document=document, covered=policy.covered, apply=policy.apply)
            for document, policy in zip(documents, policies, strict=True)
        ],
    )


def _compile_policy(document: Document, candidates: Candidates, legend: LegendBuilder) -> _Policy:
    coverage = build_coverage(document.body, candidates.catalogue, "offer")
    config = cast("dict[str, Any]", document.body["config"])
    scope = _Scope(
        coverage=coverage,
        of_candidates=coverage.of_candidates(candidates),
        of_offers=coverage.of_offers(candidates),
        per_offer=bool(config.get("perOffer", False)),
    )

    def add_reason(message: str, detail: dict[str, Any]) -> int:
        return legend.add(
            policy_type,
            f"{message} at scope={coverage.text} (policy '{document.name}')",
            entity_id=document.id,
            entity_name=document.name,
            detail={"scope": coverage.text, **detail},
        )

    policy_type = str(document.body["ruleType"])
    return (_TYPES | _NOT_EVALUATED).get(policy_type, _compile_not_evaluated)(config, scope, add_reason)


AddReason: TypeAlias = Callable[[str, dict[str, Any]], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    """One cap of a frequency cap: at most `maximum` contacts since the window began."""

    maximum: int
    period: Period | None
    rolling_ms: int | None
    code: int

    def since_ms(self, state: State) -> int:
        if self.period is not None:
            return state.period_start_ms(self.period)
        # A contact exactly `rolling_ms` old has left the window.
        return state.request.now_ms - (self.rolling_ms or 0) + 1


def _compile_frequency_cap(config: dict[str, Any], scope: _Scope, add_reason: AddReason) -> _Policy:
    windows = _windows(config, add_reason)

    def apply(state: State) -> None:
        covered = scope.covered(state)
        for window in windows:
            counts = _counts(state, scope, window)
            is_reached = counts >= window.maximum
            if any_in(is_reached):
                state.drop(covered & is_reached, window.code)
            if not scope.per_offer:
                remaining = (window.maximum - counts)[:, 0]
                state.shared_caps.append(SharedCap(covered=covered, remaining=remaining, code=window.code))

    looks_back = [window.rolling_ms or LONGEST_MONTH_MS for window in windows if window.rolling_ms or window.period]
    return _Policy(
        covered=scope.covered,
        apply=apply,
        window_ms=max(looks_back, default=0),
        needs_totals=any(window.period is None and window.rolling_ms is None for window in windows),
    )


def _windows(config: dict[str, Any], add_reason: AddReason) -> list[_Window]:
    def window(maximum: Any, label: str, period: Period | None, rolling_ms: int | None) -> _Window:
        message = f"frequency_cap exceeded: {maximum}/{label}"
        code = add_reason(message, {"period": label, "max": maximum})
        return _Window(maximum=int(maximum), period=period, rolling_ms=rolling_ms, code=code)

    calendar = (("maxPerDay", Period.DAY), ("maxPerWeek", Period.WEEK), ("maxPerMonth", Period.MONTH))
    windows = [window(config[key], period, period, None) for key, period in calendar if config.get(key) is not None]
    lookback_hours = config.get("lookbackHours")
    if config.get("maxTotal") is not None:
        label = "total" if lookback_hours is None else f"{lookback_hours}h"
        rolling = None if lookback_hours is None else round(float(lookback_hours) * HOUR_MS)
        windows.append(window(config["maxTotal"], label, None, rolling))
    if config.get("maxContacts") is not None:
        days = config["windowDays"]
        windows.append(window(config["maxContacts"], f"{days}d", None, round(float(days) * DAY_MS)))
    return windows


def _counts(state: State, scope: _Scope, window: _Window) -> Counts:
    """Return the contacts in the window: per customer (B, 1), or per customer and candidate's offer (B, C)."""
    is_total = window.period is None and window.rolling_ms is None
    rows = state.contacts.totals if is_total else state.contacts.recent
    if not rows.at_ms.size:
        return np.zeros((state.table.customers, 1), np.int64)
    counted = scope.counted(state, rows)
    if not is_total:
        counted &= rows.at_ms >= window.since_ms(state)
    weights = rows.count[counted]
    customers = state.table.customers
    if not scope.per_offer:
        return np.bincount(rows.customer[counted], weights, customers).astype(np.int64)[:, None]
    return _per_offer(state, rows.customer[counted], rows.offer[counted], weights)


def _per_offer(state: State, customer: Counts, offer: Counts, weights: Counts) -> Counts:
    offers = len(state.candidates.catalogue.offers)
    known = offer >= 0
    cells = customer[known] * offers + offer[known]
    sums = np.bincount(cells, weights[known], state.table.customers * offers).astype(np.int64)
    return sums.reshape(state.table.customers, offers)[:, state.candidates.offer]


def _compile_cooldown(config: dict[str, Any], scope: _Scope, add_reason: AddReason) -> _Policy:
    hours = float(config["cooldownHours"])
    code = add_reason(
        f"cooldown: the last contact was less than {config['cooldownHours']}h ago", {"cooldownHours": hours}
    )
    window_ms = round(hours * HOUR_MS)

    def apply(state: State) -> None:
        if not state.contacts.totals.at_ms.size:
            return
        last = _last_contact_ms(state, scope)
        state.drop(scope.covered(state) & (last > state.request.now_ms - window_ms), code)

    return _Policy(covered=scope.covered, apply=apply, needs_totals=True)


def _last_contact_ms(state: State, scope: _Scope) -> Counts:
    """Return when the last contact in scope was: per customer (B, 1), or per candidate's offer (B, C)."""
    rows = state.contacts.totals
    counted = scope.counted(state, rows)
    customers = state.table.customers
    if not scope.per_offer:
        last = np.full(customers, _NEVER, np.int64)
        np.maximum.at(last, rows.customer[counted], rows.at_ms[counted])
        return last[:, None]
    last = np.full((customers, len(state.candidates.catalogue.offers) + 1), _NEVER, np.int64)
    np.maximum.at(last, (rows.customer[counted], rows.offer[counted]), rows.at_ms[counted])
    return last[:, state.candidates.offer]


def _compile_not_evaluated(_config: dict[str, Any], scope: _Scope, add_reason: AddReason) -> _Policy:
    """A type that this version does not evaluate blocks what it covers: fail closed."""
    code = add_reason("this type of policy is not evaluated, so it blocks", {})
    return _Policy(covered=scope.covered, apply=lambda state: state.drop(scope.covered(state), code))


def _compile_without_effect(_config: dict[str, Any], scope: _Scope, _add_reason: AddReason) -> _Policy:
    """A type that only ever frees, and is not evaluated: closed means that it frees nothing."""
    return _Policy(covered=scope.covered, apply=lambda _state: None)


CompilePolicy: TypeAlias = Callable[[dict[str, Any], _Scope, AddReason], _Policy]
_TYPES: dict[str, CompilePolicy] = {
    "frequency_cap": _compile_frequency_cap,
    "cooldown": _compile_cooldown,
}
_NOT_EVALUATED: dict[str, CompilePolicy] = {"allow_override": _compile_without_effect}
EVALUATED_POLICY_TYPES = frozenset(_TYPES)
