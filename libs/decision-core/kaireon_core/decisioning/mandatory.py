"""Mandatory offers: they pass qualification, score 1, stand before all others, and are shown five times a day at most.

Of the contact policies only frequency_cap, cross_channel_cap and those with `bypassable: false` hold for them. An offer
is mandatory until `mandatoryExpiresAt`; hard constraints, filters and schedules always hold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaireon_core.catalog.document import Document
from kaireon_core.column import Mask
from kaireon_core.decisioning.calendar import LONGEST_DAY_MS, Period, instant_ms
from kaireon_core.decisioning.candidates import Candidates
from kaireon_core.decisioning.reasons import LegendBuilder
from kaireon_core.decisioning.state import SharedLimit, Stage, State

SCORE = 1.0
_ALWAYS_BINDING = frozenset({"frequency_cap", "cross_channel_cap"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Mandatory:
    """When each candidate's offer stops being mandatory, (C,) in ms; 0 for one that never was."""

    until_ms: NDArray[np.int64]

    def at(self, now_ms: int) -> Mask | None:
        """Return which candidates are mandatory then, (C,); None when none is."""
        mask = self.until_ms > now_ms
        return mask if mask.any() else None


def compile_mandatory(candidates: Candidates) -> Mandatory | None:
    """Return the mandatory offers of a catalogue, None when it has none."""
    until_ms = np.array([_until_ms(offer) for offer in candidates.catalogue.offers], np.int64)[candidates.offer]
    return Mandatory(until_ms=until_ms) if until_ms.any() else None


def _until_ms(offer: Document) -> int:
    return instant_ms(offer.body.get("mandatoryExpiresAt")) or 0 if offer.body.get("mandatory") is True else 0


def is_bypassed(policy_type: str, config: dict[str, object]) -> bool:
    """Return whether a contact policy does not hold for mandatory offers."""
    return policy_type not in _ALWAYS_BINDING and config.get("bypassable") is not False


def compile_daily_cap(maximum: int, legend: LegendBuilder) -> Stage:
    """Return the stage that lets a customer see so many mandatory offers a day, on the tenant's clock."""
    code = legend.add(
        "mandatory_cap", f"the customer has seen {maximum} mandatory offers today", detail={"max": maximum}
    )

    def apply(state: State) -> None:
        if state.mandatory is None:
            return
        seen = _seen_today(state, state.mandatory)
        binding = state.mandatory[None, :]
        state.drop(binding & (seen >= maximum)[:, None], code)
        state.shared_limits.append(SharedLimit(binding=binding, counting=binding, remaining=maximum - seen, code=code))

    return Stage(name="mandatory", apply=apply, contact_window_ms=LONGEST_DAY_MS, shared_codes=[code])


def _seen_today(state: State, mandatory: Mask) -> NDArray[np.int64]:
    """Return how many contacts of today, (B,), were with offers that are mandatory now."""
    rows, offers = state.contacts.recent, len(state.candidates.catalogue.offers)
    is_mandatory = np.zeros(offers, np.bool_)
    is_mandatory[state.candidates.offer[mandatory]] = True
    today = rows.count_by_offer(state.table.customers, offers, rows.at_ms >= state.period_start_ms(Period.DAY))
    return today[:, is_mandatory].sum(axis=1)


def _score(state: State) -> None:
    if state.mandatory is not None:
        assert state.score is not None  # noqa: S101 - the score stage has run
        state.score = np.where(state.mandatory, SCORE, state.score)
        state.is_score_replaced = True


# What gives mandatory candidates their score, whatever has scored the others.
MANDATORY_SCORE = Stage(name="score", apply=_score)
