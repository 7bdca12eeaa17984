"""Exploration in the reference: which offer is drawn at a rank, and how likely that was."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable

from tests.core.decisioning.plain_values import Candidate, Thing

# From the admissible candidates, in the order of the ranking, and the rank to the chosen one and its probability.
Policy = Callable[[list[Candidate], int], tuple[Candidate, float]]
_MASK = 2**64 - 1


def uniform(seed: int, name: str) -> float:
    """A number between 0 and 1 that follows from a seed and a name."""
    named = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    return ((_mix(_mix(seed) ^ named) >> 12) + 0.5) / 2**52


def _mix(number: int) -> int:
    number = (number ^ (number >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    number = (number ^ (number >> 27)) * 0x94D049BB133111EB & _MASK
    return number ^ (number >> 31)


def policy_of(config: Thing, seed: int, seeds: dict[int, int] | None = None) -> Policy:
    """`seeds` are those of candidates, by identity, that are drawn for a placement."""

    def drawn(one: Candidate) -> float:
        return uniform((seeds or {}).get(id(one), seed), f"offer:{one.offer['id']}")

    def logit(one: Candidate) -> float:
        return min(1e300, max(-1e300, round(one.score, 12) / config["temperature"]))

    def by_temperature(free: list[Candidate], _rank: int) -> tuple[Candidate, float]:
        chosen = max(free, key=lambda one: logit(one) - math.log(-math.log(drawn(one))))
        return chosen, 1 / sum(_exp(logit(one) - logit(chosen)) for one in free)

    def by_epsilon(free: list[Candidate], rank: int) -> tuple[Candidate, float]:
        epsilon, best = config["epsilon"], free[0]
        chosen = max(free, key=drawn) if uniform(seed, f"rank:{rank}") < epsilon else best
        return chosen, epsilon / len(free) + (1 - epsilon if chosen is best else 0)

    return by_epsilon if config.get("epsilon") is not None else by_temperature


def _exp(number: float) -> float:
    return math.exp(number) if number < 700 else math.inf
