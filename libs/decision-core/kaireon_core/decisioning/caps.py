"""Caps: at most so many contacts in a window of time. The three types differ in what they count, not in how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kaireon_core.column import any_in
from kaireon_core.decisioning.calendar import DAY_MS, HOUR_MS, LONGEST_MONTH_MS, Period
from kaireon_core.decisioning.candidates import Candidates
from kaireon_core.decisioning.policy import AddReason, Counts, Policy, PolicyScope
from kaireon_core.decisioning.state import SharedLimit, State


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    """One window of a cap: at most `maximum` contacts since it began."""

    maximum: int
    period: Period | None
    rolling_ms: int | None
    code: int

    def since_ms(self, state: State) -> int:
        if self.period is not None:
            return state.period_start_ms(self.period)
        # A contact exactly `rolling_ms` old has left the window.
        return state.request.now_ms - (self.rolling_ms or 0) + 1


def compile_cap(config: dict[str, Any], scope: PolicyScope, _candidates: Candidates, add_reason: AddReason) -> Policy:
    """Return the policy; it holds while the answer is filled too."""
    windows = _windows(config, add_reason)

    def apply(state: State) -> None:
        binding = scope.binding(state)
        counting = scope.counting.candidates(state)
        for window in windows:
            counts = _counts(state, scope, window)
            remaining = window.maximum - counts
            reached = (remaining <= 0)[:, state.candidates.offer] if scope.per_offer else remaining <= 0
            if any_in(reached):
                state.drop(binding & reached, window.code)
            if scope.per_offer:
                state.limit_each_offer(binding, counting, remaining, window.code)
            else:
                limit = SharedLimit(binding=binding, counting=counting, remaining=remaining[:, 0], code=window.code)
                state.shared_limits.append(limit)

    looks_back = [window.rolling_ms or LONGEST_MONTH_MS for window in windows if window.rolling_ms or window.period]
    return Policy(
        covered=scope.covered,
        apply=apply,
        window_ms=max(looks_back, default=0),
        needs_totals=any(window.period is None and window.rolling_ms is None for window in windows),
        shared_codes=[window.code for window in windows],
    )


def _windows(config: dict[str, Any], add_reason: AddReason) -> list[_Window]:
    def window(maximum: Any, label: str, period: Period | None, rolling_ms: int | None) -> _Window:
        code = add_reason(f"exceeded: {maximum}/{label}", {"period": label, "max": maximum})
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


def _counts(state: State, scope: PolicyScope, window: _Window) -> Counts:
    """Return the contacts in the window: per customer (B, 1), or per customer and offer (B, O)."""
    is_total = window.period is None and window.rolling_ms is None
    rows = state.contacts.totals if is_total else state.contacts.recent
    customers, offers = state.table.customers, len(state.candidates.catalogue.offers)
    if not rows.at_ms.size:
        return np.zeros((customers, offers if scope.per_offer else 1), np.int64)
    counted = scope.counted(state, rows)
    if not is_total:
        counted &= rows.at_ms >= window.since_ms(state)
    if scope.per_offer:
        return rows.count_by_offer(customers, offers, counted)
    weights = rows.count[counted]
    return np.bincount(rows.customer[counted], weights, customers).astype(np.int64)[:, None]
