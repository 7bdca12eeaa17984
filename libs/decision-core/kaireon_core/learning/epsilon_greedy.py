"""Epsilon-greedy: mostly the offer with the best mean reward first, now and then any.

A decision explores with probability epsilon / (1 + decayRate * pulls of all arms); then each offer's score is drawn
uniformly, else it is its mean reward. What was never pulled counts 1: optimism tries everything once (Sutton and Barto,
Reinforcement Learning, 2nd ed. 2018, sections 2.2 and 2.6).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from kaireon_core.column import Floats
from kaireon_core.learning.bandit import Bandit, Regime, Sums
from kaireon_core.learning.definitions import Name
from kaireon_core.learning.learned import LearnedArms, LearnedRows
from kaireon_core.learning.learner_configs import EpsilonConfig

_OPTIMISM = 1.0
Pulls = Annotated[float, Meta(ge=0, le=1e15)]


class EpsilonArm(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What one offer has earned, and how often it was answered."""

    total_reward: Annotated[float, Meta(ge=-1e15, le=1e15)]
    pulls: Pulls


class EpsilonState(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The arms, by offer id; `total_pulls` is the sum of theirs where it is not given."""

    arms: Annotated[dict[Name, EpsilonArm], Meta(max_length=10_000)] = msgspec.field(
        default_factory=dict[str, EpsilonArm]
    )
    total_pulls: Pulls | None = None


@dataclass(frozen=True, kw_only=True)
class EpsilonGreedy(Bandit):
    """A compiled bandit; the two sums of an arm are its reward and its pulls, `pulls` those of all the state's arms."""

    epsilon: float
    decay_rate: float
    pulls: float

    @staticmethod
    def of(config: EpsilonConfig, state: EpsilonState) -> EpsilonGreedy:
        """Return the bandit of a config and a state."""
        arms = {name: (arm.total_reward, arm.pulls) for name, arm in state.arms.items()}
        total = sum(pulls for _, pulls in arms.values()) if state.total_pulls is None else state.total_pulls
        return EpsilonGreedy(
            prior=(0.0, 0.0), arms=arms, epsilon=config.epsilon, decay_rate=config.decay_rate, pulls=total
        )

    def expected(self, sums: Floats) -> Floats:
        """Return the mean rewards, (O,)."""
        reward, pulls = sums[:, 0], sums[:, 1]
        return np.where(pulls > 0, reward / np.where(pulls > 0, pulls, 1.0), _OPTIMISM)

    def exploring(self, learned: LearnedArms) -> float:
        """Return the probability that a decision explores."""
        return self.epsilon / (1.0 + self.decay_rate * (self.pulls + float(learned.totals[1])))

    def draws(self, learned: LearnedArms, sums: Floats, uniforms: Floats, chances: Floats) -> Floats:
        """Return the scores, (B, O): drawn for each decision that explores."""
        is_exploring = chances[:, None] < self.exploring(learned)
        return np.where(is_exploring, uniforms, self.expected(sums)[None, :])

    def regimes(self, learned: LearnedArms, sums: Floats) -> tuple[Regime, ...]:
        """Return both regimes: exploring, where all draws are uniform, and not, where all scores are certain."""
        exploring, nothing = self.exploring(learned), np.zeros(len(sums))
        anything = Regime(chance=exploring, alpha=nothing + 1.0, beta=nothing + 1.0, sure=nothing)
        best = Regime(chance=1.0 - exploring, alpha=nothing, beta=nothing + 1.0, sure=self.expected(sums))
        return tuple(one for one in (anything, best) if one.chance > 0)

    def shown(self, learned: LearnedRows) -> dict[str, Any]:
        """Return `{"arms": {offer id: {"totalReward", "pulls"}}, "totalPulls"}`."""
        arms = {arm: {"totalReward": reward, "pulls": pulls} for arm, (reward, pulls) in self.all_arms(learned).items()}
        return {"arms": arms, "totalPulls": self.pulls + sum(pulls for _, pulls in learned.sums.values())}

    def described(self, sums: Sums) -> str:
        """Return the two sums."""
        return f"total reward {sums[0]:.12g}, pulls {sums[1]:.12g}"
