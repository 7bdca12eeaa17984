"""A model over the candidates of a flow: what the score node and rules about propensity ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from kaireon_core.decisioning.bandit_scorer import BanditScorer, ExpectationScorer, bandit_scorer
from kaireon_core.decisioning.candidates import Candidates, Indices
from kaireon_core.decisioning.evidence import EvidenceModel, compile_evidence
from kaireon_core.decisioning.scored import Scored
from kaireon_core.decisioning.state import State
from kaireon_core.learning.bandit import Bandit
from kaireon_core.learning.learned import LearnerReference
from kaireon_core.learning.model import BoundModel, Model
from kaireon_core.learning.untrained import Untrained
from kaireon_core.table import Table


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

    @property
    def learned(self) -> Sequence[LearnerReference]:
        """The models of which it must know what responses have taught them."""
        ...

    @property
    def needs_evidence(self) -> bool:
        """Whether it asks the evidence of all customers' answers."""
        ...

    def scores(self, state: State, rows: Indices) -> Scored:
        """Return the scores of every customer for the candidates at `rows`."""
        ...


def scorer_of(model: Model, candidates: Candidates) -> Scorer:
    """Return what scores these candidates with a model; where it has learnt nothing yet the evidence stands in."""
    if isinstance(model, Bandit):
        return bandit_scorer(model, candidates)
    if isinstance(model, Untrained):
        return EvidenceScorer(evidence=compile_evidence(candidates))
    columns = candidates.columns(model.fields)
    return ColumnScorer(model=model, bound=model.bound(Table.of((), columns, len(candidates))))


def threshold_scorer_of(model: Model, candidates: Candidates) -> Scorer:
    """Return what rules about propensity ask: as `scorer_of`, but of a bandit what it expects and no draw."""
    scorer = scorer_of(model, candidates)
    return ExpectationScorer(scorer) if isinstance(scorer, BanditScorer) else scorer


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceScorer:
    """The evidence of all customers' answers, in place of a model that has not been trained yet."""

    evidence: EvidenceModel
    reads: Sequence[str] = ()
    candidate_reads: Sequence[str] = ()
    learned: Sequence[LearnerReference] = ()
    needs_evidence: bool = True

    def scores(self, state: State, rows: Indices) -> Scored:
        """Return the propensities of the candidates at `rows`, the same for every customer."""
        return Scored(self.evidence.propensities(state)[:, rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnScorer:
    """A model of columns alone, and the same model bound to the candidates where that gains something."""

    model: Model
    bound: BoundModel | None
    learned: Sequence[LearnerReference] = ()
    needs_evidence: bool = False

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
