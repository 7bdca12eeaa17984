"""Ranking by `explore`: offers are drawn one after another, without replacement, each with its exact probability.

At each rank the admissible candidates are those that stand in the ranking, are not taken and are kept out by no limit:

- `temperature` T: each is drawn with a probability proportional to exp(score / T) (Plackett-Luce). The draws are made
  all at once with the Gumbel trick: the largest score / T - log(-log(u)) is drawn first.
- `epsilon` e: with probability e one of them, each as likely; otherwise the first in the order of the ranking.

What is kept out stays kept out, so the candidates at a rank are fewer than those at the one before: what the larger set
said of those that remain says nothing about their order, and the draws of all ranks may come from one number each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from kaireon_core.column import Floats, Mask
from kaireon_core.decisioning.candidates import Candidates, Indices
from kaireon_core.decisioning.draws import Draws, name_hash, uniform
from kaireon_core.decisioning.flow import RankConfig
from kaireon_core.decisioning.state import State

# Beyond this a logarithm of a weight has no neighbours any more, and sums of them would not be finite.
_MAX_LOGIT = 1e300

# From the admissible (B, N), in ranking order, and the rank to what is chosen, (B,), and its probability, (B,).
Choose: TypeAlias = Callable[[Mask, int], tuple[NDArray[np.intp], Floats]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explore:
    """A compiled policy; `names` (C,) are the candidates' offers in draws. One of the two parameters is given."""

    names: Draws
    epsilon: float | None
    temperature: float | None

    def chooser(self, state: State, candidates: Indices, scores: Floats, places: Draws) -> Choose:
        """Return the policy for these candidates, (B, N) in the order of the ranking, with their scores.

        `places`, which goes with (B, N), tells the draws of one placement from those of another.
        """
        drawn = uniform(state.seeds[:, None] ^ places, self.names[candidates])
        if self.temperature is None:
            return _epsilon(self.epsilon or 0.0, state.seeds, drawn)
        with np.errstate(over="ignore"):
            return _temperature(np.clip(scores / self.temperature, -_MAX_LOGIT, _MAX_LOGIT), drawn)


def compile_explore(config: RankConfig, candidates: Candidates) -> Explore | None:
    """Return the policy of a rank node that explores, None for one that does not."""
    if config.method != "explore":
        return None
    by_offer = [name_hash(f"offer:{offer.id}") for offer in candidates.catalogue.offers]
    return Explore(
        names=np.array([*by_offer, 0], np.uint64)[candidates.offer],
        epsilon=config.epsilon,
        temperature=config.temperature,
    )


def _temperature(logits: Floats, drawn: Floats) -> Choose:
    keys = logits - np.log(-np.log(drawn))

    def choose(admissible: Mask, _rank: int) -> tuple[NDArray[np.intp], Floats]:
        chosen = np.where(admissible, keys, -np.inf).argmax(axis=1)
        most = np.where(admissible, logits, -np.inf).max(axis=1, keepdims=True)
        # Relative to the largest weight, so that none overflows; a customer without candidates has none.
        weights = np.exp(np.where(admissible, logits - np.where(np.isfinite(most), most, 0.0), -np.inf))
        # Added one by one: what stands behind a customer's last candidate must not change the rounding.
        total = np.cumsum(weights, axis=1)[:, -1]
        mine = weights[np.arange(len(chosen)), chosen]
        return chosen, np.minimum(mine / np.where(total > 0, total, 1.0), 1.0)

    return choose


def _epsilon(epsilon: float, seeds: Draws, drawn: Floats) -> Choose:
    def choose(admissible: Mask, rank: int) -> tuple[NDArray[np.intp], Floats]:
        best = admissible.argmax(axis=1)
        any_one = np.where(admissible, drawn, -1.0).argmax(axis=1)
        is_exploring = uniform(seeds, np.array(name_hash(f"rank:{rank}"), np.uint64)) < epsilon
        chosen = best.copy()
        chosen[is_exploring] = any_one[is_exploring]
        count = np.maximum(np.count_nonzero(admissible, axis=1), 1)
        return chosen, np.minimum(epsilon / count + np.where(chosen == best, 1.0 - epsilon, 0.0), 1.0)

    return choose
