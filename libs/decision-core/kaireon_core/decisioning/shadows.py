"""Shadows: models that score what the active model scored, to be looked at later; no decision depends on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kaireon_core.column import Floats, Mask
from kaireon_core.decisioning.candidates import Candidates, Indices
from kaireon_core.decisioning.scorer import Scorer, scorer_of
from kaireon_core.decisioning.state import State
from kaireon_core.learning.fallback import FallbackReason, Fallbacks
from kaireon_core.learning.model import ScoringModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """A model in the shadow of a flow's own; no scorer while it cannot score."""

    key: str
    model_type: str
    scorer: Scorer | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowScores:
    """What a shadow says of the candidates of S customers.

    `values` float64 (S, C), NaN where there is none; `reasons` int8 (S, C) says why for a candidate that was asked
    about. `error` is what the model raised, None if nothing.
    """

    key: str
    model_type: str
    values: Floats
    reasons: Fallbacks
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowResults:
    """What the shadows say, for those of the customers who were asked for: their places, rising, are `customers`."""

    customers: Indices
    scores: tuple[ShadowScores, ...]

    def place_of(self, customer: int) -> int | None:
        """Return which row of the scores is this customer's, None where nobody asked."""
        place = int(np.searchsorted(self.customers, customer))
        return place if place < len(self.customers) and self.customers[place] == customer else None


def compile_shadows(
    keys: Sequence[str], candidates: Candidates, models: Mapping[str, ScoringModel], unready: Mapping[str, str]
) -> tuple[Shadow, ...]:
    """Return the shadows of these keys; a model that is neither in `models` nor in `unready` is retired: left out."""
    return tuple(_shadows(keys, candidates, models, unready))


def _shadows(
    keys: Sequence[str], candidates: Candidates, models: Mapping[str, ScoringModel], unready: Mapping[str, str]
) -> Iterator[Shadow]:
    for key in keys:
        model = models.get(key)
        if model is not None:
            yield Shadow(key=key, model_type=model.model_type, scorer=scorer_of(key, model.model, candidates))
        elif key in unready:
            yield Shadow(key=key, model_type=unready[key], scorer=None)


def shadow_results(shadows: Sequence[Shadow], state: State, scored: Mask, shadowed: Mask) -> ShadowResults | None:
    """Return what the shadows say of the candidates that were scored, (B, C), for the customers of `shadowed`, (B,).

    None where there is nobody to ask for. Whatever a shadow does, it raises nothing.
    """
    customers = np.flatnonzero(shadowed)
    if not shadows or not customers.size:
        return None
    mine = state if len(customers) == len(shadowed) else state.of_customers(customers)
    asked = scored[customers]
    rows = np.flatnonzero(asked.any(axis=0))
    return ShadowResults(customers=customers, scores=tuple(_scores(shadow, mine, asked, rows) for shadow in shadows))


def _scores(shadow: Shadow, state: State, asked: Mask, rows: Indices) -> ShadowScores:
    values, reasons = np.full(asked.shape, np.nan), np.zeros(asked.shape, np.int8)
    error = None
    if shadow.scorer is None:
        reasons[asked] = FallbackReason.NOT_READY.code
    elif rows.size:
        try:
            _ask(shadow.scorer, state, rows, values, reasons)
        except Exception as raised:  # noqa: BLE001 - a shadow may fail in any way, and the decision stands
            reasons[asked], error = FallbackReason.ERROR.code, repr(raised)
    # What stands in for a score is no score, and neither is what is no number.
    reasons[asked & (reasons == 0) & ~np.isfinite(values)] = FallbackReason.MALFORMED.code
    values[~asked | (reasons != 0)] = np.nan
    reasons[~asked] = 0
    return ShadowScores(key=shadow.key, model_type=shadow.model_type, values=values, reasons=reasons, error=error)


def _ask(scorer: Scorer, state: State, rows: Indices, values: Floats, reasons: Fallbacks) -> None:
    found = scorer.scores(state, rows)
    values[:, rows] = found.values
    if found.fallbacks is not None:
        reasons[:, rows] = found.fallbacks
