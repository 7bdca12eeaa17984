"""A model over the candidates of a flow: what the score node and rules about propensity ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kaireon_core.column import Floats
from kaireon_core.decisioning.candidates import Candidates, Indices
from kaireon_core.decisioning.state import State
from kaireon_core.learning.model import BoundModel, Model
from kaireon_core.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorer:
    """A model, and the same model bound to the candidates where that gains something."""

    model: Model
    bound: BoundModel | None

    @staticmethod
    def of(model: Model, candidates: Candidates) -> Scorer:
        """Return the scorer of a model over these candidates."""
        columns = candidates.columns(model.fields)
        return Scorer(model=model, bound=model.bound(Table.of((), columns, len(candidates))))

    @property
    def reads(self) -> Sequence[str]:
        """The names of the columns that are worth making before it is asked."""
        return () if self.bound else self.model.fields

    def scores(self, state: State, rows: Indices) -> Floats:
        """Return the scores of every customer for the candidates at `rows`, broadcastable to (B, rows)."""
        # Offers that stand for themselves have lost their creatives' columns, so what is bound no longer holds.
        if self.bound is not None and state.bare is None:
            return self.bound.score_rows(state.table, rows)
        return self.model.score(state.table.select(rows)).values
