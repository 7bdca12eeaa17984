"""Bandits: models that know nothing but how each offer was answered, and try out what they know little of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self, TypeAlias

import numpy as np

from kaireon_core.column import Column, Floats
from kaireon_core.learning.learned import LearnedArms, LearnedForm, LearnedRows, LearnerReference
from kaireon_core.learning.model import BoundModel, Contribution, Explanation, Fields, Scores
from kaireon_core.table import Axis

OFFER = "offer.id"
# How rows that are scored on their own may name their offer.
_SPELLINGS = (OFFER, "offerId")
_UNKNOWN = LearnerReference(model_id="", generation=0, form=LearnedForm.ARMS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Regime:
    """With probability `chance` the draws follow Beta(`alpha`, `beta`); where `alpha` is 0 they are `sure`, (O,)."""

    chance: float
    alpha: Floats
    beta: Floats
    sure: Floats


# The two sums that are kept of an arm.
Sums: TypeAlias = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Bandit(ABC):
    """A compiled bandit: two sums for each arm of its state by offer id, and those of an arm that nobody knows."""

    prior: Sums
    arms: Mapping[str, Sums]
    reference: LearnerReference = _UNKNOWN

    @abstractmethod
    def expected(self, sums: Floats) -> Floats:
        """Return the expected score of arms, (O,), from their two sums, (O, 2)."""

    @abstractmethod
    def draws(self, learned: LearnedArms, sums: Floats, uniforms: Floats, chances: Floats) -> Floats:
        """Return one score per customer and arm, (B, O).

        `sums` (O, 2) are those of state and responses together, `learned` those of responses alone; `uniforms` (B, O)
        and `chances` (B,) are draws in (0, 1), the latter one per decision.
        """

    @abstractmethod
    def regimes(self, learned: LearnedArms, sums: Floats) -> tuple[Regime, ...]:
        """Return what `draws` are drawn from, arm by arm."""

    @abstractmethod
    def shown(self, learned: LearnedRows) -> dict[str, Any]:
        """Return the state of these responses on top of its own as it is answered."""

    def known_as(self, model_id: str, generation: int) -> Self:
        """Return the bandit with the place where what it learns is stored."""
        return replace(
            self, reference=LearnerReference(model_id=model_id, generation=generation, form=LearnedForm.ARMS)
        )

    def taught(self, learned: LearnedRows) -> Self:
        """Return the bandit whose state holds these responses too."""
        return replace(self, arms=self.all_arms(learned))

    def all_arms(self, learned: LearnedRows) -> dict[str, Sums]:
        """Return the sums of every arm of the state and of these responses."""
        arms = dict(self.arms)
        for arm, (first, second) in learned.sums.items():
            before = arms.get(arm, self.prior)
            arms[arm] = (before[0] + first, before[1] + second)
        return arms

    @property
    def fields(self) -> tuple[str, ...]:
        """The offer."""
        return (OFFER,)

    def score(self, table: Fields) -> Scores:
        """Return the expected score of each row's offer, without any draw; one that is no arm counts as a new one."""
        column, axis = _offers(table)
        sums = np.array([self._of(offer) for offer in column.objects.tolist()], np.float64).reshape(-1, 2)
        expected = self.expected(sums)
        values = expected[None, :] if axis is Axis.CANDIDATE else expected[:, None]
        return Scores(values, values)

    def explain(self, table: Fields, customer: int, candidate: int) -> Explanation:
        """Return the expected score of a new arm, and what this one's answers add to it."""
        column, axis = _offers(table)
        offer: object = column.objects[candidate if axis is Axis.CANDIDATE else customer]
        mine = self._of(offer)
        expected, base = self.expected(np.array([mine, self.prior])).tolist()
        contribution = Contribution(
            field=OFFER, actual=offer, contribution=expected - base, description=self.described(mine)
        )
        return Explanation(base, (contribution,))

    @abstractmethod
    def described(self, sums: Sums) -> str:
        """Return what is known of an arm, in words."""

    def bound(self, candidates: Fields) -> BoundModel | None:
        """Return None: there is nothing to remember about candidates."""
        del candidates
        return None

    def _of(self, offer: object) -> Sums:
        return self.arms.get(offer, self.prior) if isinstance(offer, str) else self.prior


def _offers(table: Fields) -> tuple[Column, Axis]:
    """Return the column that names the offers, under the first spelling that names any."""
    found = [table.column(name) for name in _SPELLINGS]
    return next((one for one in found if bool(one[0].is_present.any())), found[0])
