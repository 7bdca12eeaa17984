"""A model over the candidates of a flow: what the score node and rules about propensity ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from kaireon_core.column import Mask
from kaireon_core.decisioning.bandit_scorer import BanditScorer, ExpectationScorer, bandit_scorer
from kaireon_core.decisioning.candidates import Candidates, Indices
from kaireon_core.decisioning.evidence import EvidenceModel, compile_evidence
from kaireon_core.decisioning.external import ScoreNeed
from kaireon_core.decisioning.feature_scorer import feature_scorer
from kaireon_core.decisioning.scored import Scored
from kaireon_core.decisioning.state import Asks, State
from kaireon_core.learning.bandit import Bandit
from kaireon_core.learning.bayesian_learner import BayesianLearner
from kaireon_core.learning.external_endpoint import ExternalEndpoint
from kaireon_core.learning.fallback import NO_FALLBACK, FallbackReason
from kaireon_core.learning.learned import LearnerReference
from kaireon_core.learning.model import BoundModel, Model
from kaireon_core.learning.online_learner import OnlineLearner
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


def scorer_of(key: str, model: Model, candidates: Candidates) -> Scorer:
    """Return what scores these candidates with a model; where it has learnt nothing yet the evidence stands in."""
    if isinstance(model, Bandit):
        return bandit_scorer(model, candidates)
    if isinstance(model, OnlineLearner | BayesianLearner):
        return feature_scorer(model, candidates)
    if isinstance(model, Untrained):
        return EvidenceScorer(evidence=compile_evidence(candidates))
    if isinstance(model, ExternalEndpoint):
        return ExternalScorer(key=key, model=model, candidates=candidates)
    columns = candidates.columns(model.fields)
    return ColumnScorer(model=model, bound=model.bound(Table.of((), columns, len(candidates))))


def asks_of(scorer: Scorer | None) -> Asks | None:
    """Return how to tell what must be fetched before it scores, None for a scorer that computes."""
    return scorer.needs if isinstance(scorer, ExternalScorer) else None


def threshold_scorer_of(key: str, model: Model, candidates: Candidates) -> Scorer:
    """Return what rules about propensity ask: as `scorer_of`, but of a bandit what it expects and no draw."""
    scorer = scorer_of(key, model, candidates)
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
        found = self.model.score(state.table.select(rows))
        return Scored(found.values, found.fallbacks)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalScorer:
    """A service, which has one score for all candidates of an offer; it has been asked before the stage runs."""

    key: str
    model: ExternalEndpoint
    candidates: Candidates
    reads: Sequence[str] = ()
    candidate_reads: Sequence[str] = ()
    learned: Sequence[LearnerReference] = ()
    needs_evidence: bool = False

    def scores(self, state: State, rows: Indices) -> Scored:
        """Return what the service said, its fallback score where it said nothing or was never asked."""
        values, codes = state.external.of(self.key)
        offers = self.candidates.offer[rows]
        found, reasons = values[:, offers], codes[:, offers]
        is_missing = np.isnan(found)
        if not is_missing.any():
            return Scored(found)
        unasked = is_missing & (reasons == NO_FALLBACK)
        fallbacks = np.where(unasked, np.int8(FallbackReason.NOT_READY.code), reasons)
        return Scored(np.where(is_missing, self.model.fallback, found), fallbacks)

    def needs(self, state: State, asked: Mask) -> list[ScoreNeed]:
        """Return the offers that the service has not been asked about yet."""
        offers = np.zeros((len(asked), len(self.candidates.catalogue.offers)), np.bool_)
        customers, rows = np.nonzero(asked)
        offers[customers, self.candidates.offer[rows]] = True
        return [ScoreNeed(model_key=self.key, offers=state.external.missing(self.key, offers))]
