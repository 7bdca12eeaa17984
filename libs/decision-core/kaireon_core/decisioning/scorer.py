"""A model over the candidates of a flow: what the score node and rules about propensity ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from kaireon_core.column import Floats
from kaireon_core.decisioning.candidates import Candidates, Indices
from kaireon_core.decisioning.state import State
from kaireon_core.learning.fallback import Fallbacks
from kaireon_core.learning.model import BoundModel, Model
from kaireon_core.table import Table


@dataclass(frozen=True, slots=True)
class Scored:
    """What a model says of candidates, broadcastable to (B, rows).

    `fallbacks` tells the scores that stand in for the model's own, None where there are none.
    """

    values: Floats
    fallbacks: Fallbacks | None = None


class Scorer(Protocol):
    """Something that scores the candidates of one compiled flow, decision by decision."""

    @property
    def reads(self) -> Sequence[str]:
        """The names of the columns that are worth making before it is asked."""
        ...

    @property
    def candidate_reads(self) -> Sequence[str]:
        """The names of the candidates' columns that it may read."""
        ...

    def scores(self, state: State, rows: Indices) -> Scored:
        """Return the scores of every customer for the candidates at `rows`."""
        ...


def scorer_of(model: Model, candidates: Candidates) -> Scorer:
    """Return what scores these candidates with a model."""
    columns = candidates.columns(model.fields)
    return ColumnScorer(model=model, bound=model.bound(Table.of((), columns, len(candidates))))


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnScorer:
    """A model of columns alone, and the same model bound to the candidates where that gains something."""

    model: Model
    bound: BoundModel | None

    @property
    def reads(self) -> Sequence[str]:
        """The names of the columns that are worth making before it is asked."""
        return () if self.bound else self.model.fields

    @property
    def candidate_reads(self) -> Sequence[str]:
        """The names of the candidates' columns that it may read."""
        return self.model.fields

    def scores(self, state: State, rows: Indices) -> Scored:
        """Return the scores of every customer for the candidates at `rows`."""
        # Offers that stand for themselves have lost their creatives' columns, so what is bound no longer holds.
        if self.bound is not None and state.bare is None:
            return Scored(self.bound.score_rows(state.table, rows))
        return Scored(self.model.score(state.table.select(rows)).values)
