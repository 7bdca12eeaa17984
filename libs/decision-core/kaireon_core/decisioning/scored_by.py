"""Which model scores which candidate, and how many of its scores were stand-ins: for whoever counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kaireon_core.column import Mask
from kaireon_core.decisioning.candidates import Candidates
from kaireon_core.decisioning.channel_models import covered_by_overrides
from kaireon_core.decisioning.flow import Flow, Score
from kaireon_core.learning.fallback import FallbackReason, Fallbacks, reason_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCount:
    """Of one model: the candidates that it was to score, and those of them with a stand-in, by reason."""

    model_key: str
    candidates: int
    fallbacks: dict[FallbackReason, int]


@dataclass(frozen=True, slots=True)
class ScoredBy:
    """The models of a flow's score node, each with its candidates, (C,); None: with all of them."""

    models: tuple[tuple[str, Mask | None], ...]

    def counts(self, scored: Mask, fallbacks: Fallbacks | None) -> Iterator[ModelCount]:
        """Yield the count of each model over the candidates that reached the score node; both are (B, C)."""
        for model_key, mine in self.models:
            asked = scored if mine is None else scored & mine
            candidates = int(np.count_nonzero(asked))
            if candidates:
                found = {} if fallbacks is None else _reasons(fallbacks[asked])
                yield ModelCount(model_key=model_key, candidates=candidates, fallbacks=found)


# For a flow whose score asks no model.
NOBODY = ScoredBy(())


def scored_by(flow: Flow, candidates: Candidates) -> ScoredBy:
    """Return which models score the candidates of a flow; offers that stand alone count as on their channel."""
    config = next((node.config for node in flow.nodes if isinstance(node, Score)), None)
    if config is None or config.method == "priority_weighted":
        return NOBODY
    overridden = list(covered_by_overrides(config, candidates))
    own = [] if config.model_key is None else [(config.model_key, _others(overridden))]
    return ScoredBy((*own, *overridden))


def _others(overridden: list[tuple[str, Mask]]) -> Mask | None:
    return ~np.logical_or.reduce([mine for _, mine in overridden]) if overridden else None


def _reasons(codes: Fallbacks) -> dict[FallbackReason, int]:
    numbers = np.bincount(codes)
    places: list[int] = np.flatnonzero(numbers).tolist()
    return {reason: int(numbers[place]) for place in places if (reason := reason_of(place)) is not None}
