"""From scores to the probabilities of choosing: what a model that ranks would do as a policy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from kaireon_core.column import Floats, Mask
from kaireon_core.learning.beta_order import largest_probabilities

# From scores (m, A) and which actions are eligible (m, A) to probabilities (m, A); rows without any are all 0.
Choice: TypeAlias = Callable[[Floats, Mask], Floats]


def greedy(scores: Floats, eligible: Mask) -> Floats:
    """Return 1 for the best eligible action of each row; equals share it."""
    held = np.where(eligible, scores, -np.inf)
    is_best = eligible & (held == held.max(axis=1, keepdims=True, initial=-np.inf))
    return is_best / np.maximum(is_best.sum(axis=1, keepdims=True), 1)


@dataclass(frozen=True, slots=True)
class Softmax:
    """Probabilities proportional to exp(score / temperature)."""

    temperature: float

    def __call__(self, scores: Floats, eligible: Mask) -> Floats:
        """Return the probabilities."""
        held = np.where(eligible, scores, -np.inf)
        best = held.max(axis=1, keepdims=True, initial=-np.inf)
        with np.errstate(over="ignore"):
            distances = (held - np.where(np.isfinite(best), best, 0.0)) / self.temperature
        weights = np.where(eligible, np.exp(np.minimum(distances, 0.0)), 0.0)
        total = weights.sum(axis=1, keepdims=True)
        return weights / np.where(total > 0, total, 1.0)


@dataclass(frozen=True, slots=True)
class Epsilon:
    """The best action, and with probability `epsilon` any eligible one, each as likely."""

    epsilon: float

    def __call__(self, scores: Floats, eligible: Mask) -> Floats:
        """Return the probabilities."""
        any_one = eligible / np.maximum(eligible.sum(axis=1, keepdims=True), 1)
        return self.epsilon * any_one + (1.0 - self.epsilon) * greedy(scores, eligible)


class ThompsonChoice:
    """Thompson sampling over Beta arms, (A,) each: the exact probability that an eligible arm's draw is the largest."""

    def __init__(self, alphas: Floats, betas: Floats, check: Callable[[], None] = lambda: None) -> None:
        """Hold the arms; what is found for a set of eligible arms is found once, after `check`, which may raise."""
        self._check = check
        self._alphas = alphas
        self._betas = betas
        self._known: dict[bytes, Floats] = {}

    def __call__(self, scores: Floats, eligible: Mask) -> Floats:
        """Return the probabilities; the scores do not matter."""
        del scores
        sets, places = np.unique(eligible, axis=0, return_inverse=True)
        found = np.stack([self._of(one) for one in sets])
        return found[places.reshape(-1)]

    def _of(self, eligible: Mask) -> Floats:
        key = eligible.tobytes()
        if key not in self._known:
            self._check()
            shares = np.zeros(len(eligible))
            if eligible.any():
                shares[eligible] = largest_probabilities(self._alphas[eligible], self._betas[eligible])
            self._known[key] = shares
        return self._known[key]
