"""Models that learn from features over the candidates of a flow: scored as they are at the time of the decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kaireon_core.decisioning.candidates import Candidates, Indices
from kaireon_core.decisioning.evidence import EvidenceModel, compile_evidence
from kaireon_core.decisioning.scored import Scored
from kaireon_core.decisioning.state import State
from kaireon_core.learning.bayesian_learner import BayesianLearner
from kaireon_core.learning.learned import LearnedRows, LearnerReference
from kaireon_core.learning.online_learner import OnlineLearner
from kaireon_core.learning.untrained import Untrained


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureScorer:
    """A learner with its state; where it has not learnt enough yet the evidence stands in."""

    learner: OnlineLearner | BayesianLearner
    evidence: EvidenceModel
    needs_evidence: bool

    @property
    def reads(self) -> Sequence[str]:
        """The names of the columns that are worth making before it is asked."""
        return self.learner.fields

    @property
    def candidate_reads(self) -> Sequence[str]:
        """The names of the candidates' columns that it may read."""
        return self.learner.fields

    @property
    def learned(self) -> tuple[LearnerReference, ...]:
        """What it must know that responses have taught."""
        return (self.learner.reference,)

    def scores(self, state: State, rows: Indices) -> Scored:
        """Return the scores of every customer for the candidates at `rows`."""
        found = state.learned.get(self.learner.reference.model_id)
        learner = self.learner.taught(found) if isinstance(found, LearnedRows) else self.learner
        if isinstance(learner.model, Untrained):
            return Scored(self.evidence.propensities(state)[:, rows])
        return Scored(learner.score(state.table.select(rows)).values)


def feature_scorer(learner: OnlineLearner | BayesianLearner, candidates: Candidates) -> FeatureScorer:
    """Return what scores these candidates with a learner."""
    return FeatureScorer(
        learner=learner,
        evidence=compile_evidence(candidates),
        # Responses may teach it any time, but what has both classes never loses them.
        needs_evidence=isinstance(learner.model, Untrained),
    )
