"""Hard constraints: budgets, stock, caps of an offer and system-wide caps. They hold whatever nodes a flow has.

They are the last stage of the narrowing phase. What an answer itself may use up, a system-wide cap, holds again while
the answer is filled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from kaireon_core.catalog.document import Catalogue, Document
from kaireon_core.column import Mask, any_in
from kaireon_core.decisioning.calendar import LONGEST_MONTH_MS, Period, day_of, instant_ms
from kaireon_core.decisioning.candidates import Candidates
from kaireon_core.decisioning.policy import Area
from kaireon_core.decisioning.reasons import LegendBuilder
from kaireon_core.decisioning.state import SharedLimit, Stage, State

Floats: TypeAlias = NDArray[np.float64]
Apply: TypeAlias = Callable[[State], None]
_UNLIMITED = np.inf
# More than any answer takes.
_PLENTY = 1_000_000
# The windows of an offer's own caps, and of system-wide ones.
PERIODS = {"daily": Period.DAY, "weekly": Period.WEEK, "monthly": Period.MONTH}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Constraint:
    """One kind of constraint: where it drops, and what it needs."""

    apply: Apply
    contact_window_ms: int = 0
    shared_codes: Sequence[int] = ()
    needs_counters: bool = True


def is_constrained(catalogue: Catalogue) -> bool:
    """Return whether anything of a catalogue has a hard constraint."""
    offers = catalogue.offers
    limits = [_amounts(offers, "dailyCapCents"), _amounts(offers, "lifetimeCapCents"), _stocks(offers)]
    limits += [_most(offers, name) for name in PERIODS]
    return any(np.isfinite(limit).any() for limit in limits) or any(map(is_enabled, catalogue.frequency_caps))


def compile_constraints(candidates: Candidates, zone: ZoneInfo, legend: LegendBuilder) -> Stage:
    """Return the stage that drops what a constraint does not allow, for the first of them."""
    constraints = [
        *_budgets(candidates, zone, legend),
        *_stock(candidates, legend),
        *_offer_caps(candidates, legend),
        *_system_caps(candidates, legend),
    ]

    def apply(state: State) -> None:
        for constraint in constraints:
            constraint.apply(state)

    return Stage(
        name="constraints",
        apply=apply,
        contact_window_ms=max((constraint.contact_window_ms for constraint in constraints), default=0),
        shared_codes=[code for constraint in constraints for code in constraint.shared_codes],
        needs_counters=any(constraint.needs_counters for constraint in constraints),
    )


def _budgets(candidates: Candidates, zone: ZoneInfo, legend: LegendBuilder) -> Iterator[_Constraint]:
    """What was spent has reached the cap; a day's spending is over with the day, in the tenant's zone."""
    offers = candidates.catalogue.offers
    daily, lifetime = _amounts(offers, "dailyCapCents"), _amounts(offers, "lifetimeCapCents")
    spent_before, spent_that_day = _spent(offers, "currentLifetimeSpentCents"), _spent(offers, "currentDailySpentCents")
    # The day that `currentDailySpentCents` is about; 0 is whatever day it is.
    that_day = np.array([_reset_day(offer, zone) for offer in offers], np.int64)
    if np.isfinite(daily).any():
        code = legend.add("daily_budget", "the offer's budget of the day is spent")

        def drop_daily(state: State) -> None:
            is_today = (that_day == 0) | (that_day == day_of(state.request.now_ms, zone))
            spent = state.counters.spent_today + np.where(is_today, spent_that_day, 0)
            state.drop((spent >= daily)[candidates.offer], code)

        yield _Constraint(apply=drop_daily)
    if np.isfinite(lifetime).any():
        code_ever = legend.add("lifetime_budget", "the offer's budget is spent")

        def drop_lifetime(state: State) -> None:
            state.drop((state.counters.spent + spent_before >= lifetime)[candidates.offer], code_ever)

        yield _Constraint(apply=drop_lifetime)


def _stock(candidates: Candidates, legend: LegendBuilder) -> Iterator[_Constraint]:
    stock = _stocks(candidates.catalogue.offers)
    if np.isfinite(stock).any():
        code = legend.add("stock", "the offer is out of stock")
        yield _Constraint(
            apply=lambda state: state.drop((state.counters.taken >= stock)[candidates.offer], code),
        )


def _offer_caps(candidates: Candidates, legend: LegendBuilder) -> Iterator[_Constraint]:
    """So many impressions of one offer per customer in a calendar window."""
    for name, period in PERIODS.items():
        most = _most(candidates.catalogue.offers, name)
        if np.isfinite(most).any():
            code = legend.add("offer_cap", f"the customer has seen the offer as often as it may be shown {name}")

            def drop(state: State, most: Floats = most, period: Period = period, code: int = code) -> None:
                rows = state.contacts.recent
                counted = rows.at_ms >= state.period_start_ms(period)
                seen = rows.count_by_offer(state.table.customers, len(most), counted)
                state.drop((seen >= most)[:, candidates.offer], code)
                everything = np.ones((1, len(candidates)), np.bool_)
                left = np.where(np.isfinite(most), most - seen, _PLENTY).astype(np.int64)
                state.limit_each_offer(everything, everything, left, code)

            yield _Constraint(apply=drop, contact_window_ms=LONGEST_MONTH_MS, needs_counters=False, shared_codes=[code])


def _system_caps(candidates: Candidates, legend: LegendBuilder) -> Iterator[_Constraint]:
    """So many impressions of an offer, category or channel in a calendar window, over all customers."""
    for place, cap in enumerate(candidates.catalogue.frequency_caps):
        if not is_enabled(cap):
            continue
        scope, maximum = [(str(cap.body["scope"]), str(cap.body["scopeId"]))], int(cap.body["maxVolume"])
        code = legend.add(
            "volume_cap",
            f"the system-wide cap '{cap.name}' of {maximum} {cap.body['period']} is reached",
            entity_id=cap.id,
            entity_name=cap.name,
            detail={"scope": scope[0][0], "scopeId": scope[0][1], "period": cap.body["period"], "max": maximum},
        )
        yield _Constraint(apply=_system_cap(place, maximum, Area.of(scope, candidates), code), shared_codes=[code])


def _system_cap(place: int, maximum: int, area: Area, code: int) -> Apply:
    def apply(state: State) -> None:
        binding: Mask = area.candidates(state)
        remaining = maximum - int(state.counters.shown[place])
        if remaining <= 0 and any_in(binding):
            state.drop(binding, code)
        limits = np.full(state.table.customers, remaining, np.int64)
        state.shared_limits.append(SharedLimit(binding=binding, counting=binding, remaining=limits, code=code))

    return apply


def is_enabled(cap: Document) -> bool:
    """Return whether a system-wide cap holds."""
    return cap.status == "active" and cap.body.get("enabled") is not False


def _amounts(offers: Sequence[Document], name: str) -> Floats:
    return np.array([_number(offer.body.get("budget"), name, _UNLIMITED) for offer in offers])


def _spent(offers: Sequence[Document], name: str) -> Floats:
    return np.array([_number(offer.body.get("budget"), name, 0.0) for offer in offers])


def _stocks(offers: Sequence[Document]) -> Floats:
    return np.array([_number(offer.body.get("inventory"), "remainingStock", _UNLIMITED) for offer in offers])


def _most(offers: Sequence[Document], period: str) -> Floats:
    caps: list[dict[str, Any]] = [offer.body.get("frequencyCaps") or {} for offer in offers]
    return np.array([_number(cap.get("perCustomer"), period, _UNLIMITED) for cap in caps])


def _number(holder: dict[str, Any] | None, name: str, default: float) -> float:
    value = (holder or {}).get(name)
    return default if value is None else float(value)


def _reset_day(offer: Document, zone: ZoneInfo) -> int:
    """Return the number of the day of `lastDailyResetDate`: a date is that day, an instant its day in the zone."""
    budget: dict[str, Any] = offer.body.get("budget") or {}
    text: str = budget.get("lastDailyResetDate") or ""
    at_ms = instant_ms(text)
    if at_ms is None:
        return 0
    is_date = len(text) <= len("2026-01-01")
    return day_of(at_ms, ZoneInfo("UTC") if is_date else zone)
