"""Bandits over the candidates of a flow: one score per offer and decision, shared by the offer's creatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kaireon_core.column import Floats
from kaireon_core.decisioning.candidates import Candidates, Indices
from kaireon_core.decisioning.draws import Draws, name_hash, uniform
from kaireon_core.decisioning.scored import Scored
from kaireon_core.decisioning.state import State
from kaireon_core.learning.bandit import Bandit, Regime
from kaireon_core.learning.learned import LearnedArms, LearnerReference


@dataclass(frozen=True, slots=True, kw_only=True)
class BanditScorer:
    """A bandit with the sums of its state over the flow's catalogue, (O, 2), and the names of its draws, (O,)."""

    bandit: Bandit
    candidates: Candidates
    sums: Floats
    names: Draws
    # The name of the one draw of a decision.
    chance: np.uint64
    reads: Sequence[str] = ()
    candidate_reads: Sequence[str] = ()
    needs_evidence: bool = False

    @property
    def learned(self) -> tuple[LearnerReference, ...]:
        """What it must know that responses have taught."""
        return (self.bandit.reference,)

    def scores(self, state: State, rows: Indices) -> Scored:
        """Return the scores drawn for every customer for the candidates at `rows`."""
        offers, place = np.unique(self.candidates.offer[rows], return_inverse=True)
        learned = self._learned(state)
        uniforms = uniform(state.seeds[:, None], self.names[offers])
        chances = uniform(state.seeds, np.array(self.chance))
        sums = self.sums[offers] + learned.sums[offers]
        drawn, regimes = self.bandit.draws(learned, sums, uniforms, chances), self.bandit.regimes(learned, sums)
        return Scored(drawn[:, place], regimes=tuple(_taken(one, place) for one in regimes))

    def expected(self, state: State, rows: Indices) -> Scored:
        """Return the expected scores of the candidates at `rows`: what rules about propensity ask."""
        offers, place = np.unique(self.candidates.offer[rows], return_inverse=True)
        return Scored(self.bandit.expected(self.sums[offers] + self._learned(state).sums[offers])[None, place])

    def _learned(self, state: State) -> LearnedArms:
        found = state.learned.get(self.bandit.reference.model_id)
        return found if isinstance(found, LearnedArms) else LearnedArms.none(len(self.sums))


@dataclass(frozen=True, slots=True)
class ExpectationScorer:
    """A bandit that is asked what it expects, without any draw."""

    drawn: BanditScorer
    reads: Sequence[str] = ()
    candidate_reads: Sequence[str] = ()
    needs_evidence: bool = False

    @property
    def learned(self) -> tuple[LearnerReference, ...]:
        """What it must know that responses have taught."""
        return self.drawn.learned

    def scores(self, state: State, rows: Indices) -> Scored:
        """Return the expected scores of the candidates at `rows`, the same for every customer."""
        return self.drawn.expected(state, rows)


def _taken(regime: Regime, place: Indices) -> Regime:
    return Regime(chance=regime.chance, alpha=regime.alpha[place], beta=regime.beta[place], sure=regime.sure[place])


def bandit_scorer(bandit: Bandit, candidates: Candidates) -> BanditScorer:
    """Return what scores these candidates with a bandit."""
    offers, model = candidates.catalogue.offers, bandit.reference.model_id
    return BanditScorer(
        bandit=bandit,
        candidates=candidates,
        sums=np.array([bandit.arms.get(one.id, bandit.prior) for one in offers], np.float64).reshape(-1, 2),
        names=np.array([name_hash(f"arm:{model}:{one.id}") for one in offers], np.uint64),
        chance=np.uint64(name_hash(f"explore:{model}")),
    )
