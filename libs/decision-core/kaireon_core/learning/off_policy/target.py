"""The policy that is asked about, as far as a log can tell: how it weighs each row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from kaireon_core.column import Floats
from kaireon_core.learning.off_policy.log import Codes, DecisionLog
from kaireon_core.learning.off_policy.reward_model import RewardModel

_MOST_CELLS = 2_000_000
# Beyond it a weight has no square.
_MOST_WEIGHT = 1e150


@dataclass(frozen=True, slots=True)
class Assessment:
    """What a target makes of the n rows of a log; all arrays are (n,).

    `weights` are the target's probability of the logged action over the log's; `direct` the reward that the model
    expects of the target; `mass` the sum of the target's probabilities (below 1 where it may show nothing), `unshown`
    the part of it on actions that the log never shows in the row's slot.
    """

    weights: Floats
    direct: Floats
    mass: Floats
    unshown: Floats


class Target(Protocol):
    """A policy to evaluate."""

    def assess(self, log: DecisionLog, rewards: RewardModel) -> Assessment:
        """Return what it makes of the log's rows."""
        ...


@dataclass(frozen=True, slots=True)
class DenseTarget:
    """A target with a probability for every action of every row.

    `probabilities(start, stop)` are those of the log's actions for these rows, (m, A); `outside`, (n,) or a number,
    is the mass on actions that the log does not know at all.
    """

    probabilities: Callable[[int, int], Floats]
    outside: Floats | float = 0.0

    def assess(self, log: DecisionLog, rewards: RewardModel) -> Assessment:
        """Return what it makes of the log's rows, a part of them at a time."""
        count = log.row_count
        outside = np.broadcast_to(np.asarray(self.outside, np.float64), (count,))
        logged, direct, mass, unshown = np.empty(count), np.empty(count), np.empty(count), np.empty(count)
        for start, stop in parts(count, len(log.action_names)):
            chances = self.probabilities(start, stop)
            logged[start:stop] = chances[np.arange(stop - start), log.actions[start:stop]]
            direct[start:stop] = (chances * rewards.matrix(log, start, stop)).sum(axis=1)
            mass[start:stop] = chances.sum(axis=1)
            unshown[start:stop] = (chances * ~log.shown[log.slots[start:stop]]).sum(axis=1)
        direct += outside * rewards.of_unseen(log)
        return Assessment(weights_of(logged, log.probabilities), direct, mass + outside, unshown + outside)


@dataclass(frozen=True, slots=True)
class SampledTarget:
    """A target of which only draws are known: what it chose, in R independent runs, for the decision of each row.

    `choices` (R, n) are the actions that a run chose in the row's slot: codes of the log, -1 for one that the log does
    not know, -2 for none. `was_followed` (R, n) says whether the run chose, in all earlier slots of the decision, what
    was logged there, and `prior` (n,) is the probability with which the log did. Rows of a decision are weighed by the
    product over its slots up to theirs, because a slot's probabilities are those given the slots before
    (per-decision importance sampling: Precup, Sutton and Singh 2000; for slates McInerney et al. 2020, KDD).
    """

    choices: Codes
    was_followed: Floats
    prior: Floats

    def assess(self, log: DecisionLog, rewards: RewardModel) -> Assessment:
        """Return what the mean of its runs makes of the log's rows."""
        runs, count = self.choices.shape
        logged, direct, mass, unshown = np.zeros(count), np.zeros(count), np.zeros(count), np.zeros(count)
        for choices, was_followed in zip(self.choices, self.was_followed, strict=True):
            is_something = (choices != NOTHING).astype(np.float64)
            is_shown = (choices >= 0) & log.shown[log.slots, np.maximum(choices, 0)]
            logged += was_followed * (choices == log.actions)
            direct += was_followed * is_something * rewards.of_actions(log, np.where(choices >= 0, choices, -1))
            mass += is_something
            unshown += is_something * ~is_shown
        weights = weights_of(logged / runs, self.prior * log.probabilities)
        return Assessment(weights, weights_of(direct / runs, self.prior), mass / runs, unshown / runs)


NOTHING = -2


@dataclass(frozen=True, slots=True)
class TableTarget:
    """A target that shows action a in slot s with probability `table[s, a]`, (S, A), whoever the customer is.

    `outside` (S,) is each slot's mass on actions that the log does not know.
    """

    table: Floats
    outside: Floats

    def assess(self, log: DecisionLog, rewards: RewardModel) -> Assessment:
        """Return what it makes of the log's rows: what is expected of a slot is worked out once for all its rows."""
        slots, outside = log.slots, self.outside[log.slots]
        inside = self.table.sum(axis=1)[slots]
        expected = np.einsum("sa,fsa->fs", self.table, rewards.cells)[rewards.folds, slots]
        direct = expected + inside * rewards.residuals + outside * rewards.of_unseen(log)
        unshown = (self.table * ~log.shown).sum(axis=1)[slots] + outside
        weights = weights_of(self.table[slots, log.actions], log.probabilities)
        return Assessment(weights, direct, inside + outside, unshown)


def weights_of(target: Floats, logged: Floats) -> Floats:
    """Return target / logged, held where it would have no finite square."""
    with np.errstate(over="ignore"):
        found: Floats = np.clip(target / logged, -_MOST_WEIGHT, _MOST_WEIGHT)
    return found


def parts(row_count: int, width: int) -> Iterator[tuple[int, int]]:
    """Return the parts of n rows of this width that are worked on at a time."""
    step = max(_MOST_CELLS // max(width, 1), 1)
    for start in range(0, row_count, step):
        yield start, min(start + step, row_count)
