"""Seeded worlds whose truth is known: who is there, what a logging policy does, and what a target would earn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kaireon_core.column import Floats
from kaireon_core.learning.off_policy.log import Codes, DecisionLog
from kaireon_core.learning.off_policy.target import DenseTarget


@dataclass(frozen=True, slots=True)
class World:
    """K kinds of customers, A actions: (K, A) logging probabilities, target probabilities and chances of a reward."""

    logging: Floats
    target: Floats
    chances: Floats

    @property
    def truth(self) -> float:
        """What the target earns per row."""
        return float((self.target * self.chances).sum(axis=1).mean())

    def log(self, seed: int, rows: int) -> tuple[DecisionLog, Codes]:
        """Return a log of the logging policy, and each row's kind."""
        random = np.random.default_rng(seed)
        kinds = random.integers(0, len(self.logging), rows)
        actions = (random.random(rows)[:, None] > self.logging.cumsum(axis=1)[kinds, :-1]).sum(axis=1)
        rewards = (random.random(rows) < self.chances[kinds, actions]).astype(float)
        return log_of(actions, self.logging[kinds, actions], rewards, self.logging.shape[1]), kinds

    def target_on(self, kinds: Codes) -> DenseTarget:
        """Return the target for rows of these kinds."""
        return DenseTarget(lambda start, stop: self.target[kinds[start:stop]])


def softmax(values: Floats) -> Floats:
    """Return shares that add up to 1 in each row."""
    weights = np.exp(values - values.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def world(seed: int = 0, *, kinds: int = 4, actions: int = 10, level: float = -3.0, greed: float = 2.0) -> World:
    """Return a world: `level` are the log-odds of a reward, `greed` is how eagerly the target follows what is liked."""
    random = np.random.default_rng(seed)
    liking = random.normal(0, 1, (kinds, actions))
    noise = random.normal(0, 1, (kinds, actions))
    chances = 1 / (1 + np.exp(-(level + 0.6 * liking + 0.3 * noise)))
    return World(softmax(0.7 * noise + 0.3 * liking), softmax(greed * liking), chances)


def log_of(
    actions: Codes, probabilities: Floats, rewards: Floats, action_count: int, slots: Codes | None = None
) -> DecisionLog:
    """Return a log of decisions of one slot each, or in these slots."""
    rows = len(actions)
    slots = np.zeros(rows, np.int64) if slots is None else slots
    return DecisionLog(
        decisions=np.arange(rows),
        customers=np.full(rows, -1),
        slots=slots,
        slot_names=tuple(str(slot) for slot in range(int(slots.max(initial=0)) + 1)),
        actions=actions,
        action_names=tuple(f"a{action}" for action in range(action_count)),
        probabilities=probabilities,
        rewards=rewards,
    )
