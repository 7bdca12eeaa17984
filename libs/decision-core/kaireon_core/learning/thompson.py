"""Thompson sampling: an offer's score is drawn from what is believed of its rate of positive answers.

score ~ Beta(alpha, beta), alpha and beta being the prior's plus the rewards r and 1 - r of all responses (Thompson, On
the likelihood that one unknown probability exceeds another, 1933; Chapelle and Li, An empirical evaluation of Thompson
sampling, 2011).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta
from scipy.special import betaincinv

from kaireon_core.column import Floats
from kaireon_core.learning.bandit import Bandit, Regime, Sums
from kaireon_core.learning.definitions import Name
from kaireon_core.learning.learned import LearnedArms, LearnedRows
from kaireon_core.learning.learner_configs import BetaParameter, ThompsonConfig


class ThompsonArm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is believed of one offer."""

    alpha: BetaParameter
    beta: BetaParameter


class ThompsonState(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The arms, by offer id; an offer that is not among them has the prior's."""

    arms: Annotated[dict[Name, ThompsonArm], Meta(max_length=10_000)] = msgspec.field(
        default_factory=dict[str, ThompsonArm]
    )


@dataclass(frozen=True, kw_only=True)
class ThompsonBandit(Bandit):
    """A compiled bandit; the two sums of an arm are alpha and beta."""

    @staticmethod
    def of(config: ThompsonConfig, state: ThompsonState) -> ThompsonBandit:
        """Return the bandit of a config and a state."""
        return ThompsonBandit(
            prior=(config.prior_alpha, config.prior_beta),
            arms={name: (arm.alpha, arm.beta) for name, arm in state.arms.items()},
        )

    def expected(self, sums: Floats) -> Floats:
        """Return the means, (O,)."""
        return sums[:, 0] / (sums[:, 0] + sums[:, 1])

    def draws(self, learned: LearnedArms, sums: Floats, uniforms: Floats, chances: Floats) -> Floats:
        """Return the draws, (B, O), by the inverse of the distribution's CDF."""
        del learned, chances
        return betaincinv(sums[None, :, 0], sums[None, :, 1], uniforms)

    def regimes(self, learned: LearnedArms, sums: Floats) -> tuple[Regime, ...]:
        """Return the one regime: all draws follow their beliefs."""
        del learned
        return (Regime(chance=1.0, alpha=sums[:, 0], beta=sums[:, 1], sure=np.zeros(len(sums))),)

    def shown(self, learned: LearnedRows) -> dict[str, Any]:
        """Return `{"arms": {offer id: {"alpha", "beta"}}}`."""
        arms = self.all_arms(learned)
        return {"arms": {arm: {"alpha": alpha, "beta": beta} for arm, (alpha, beta) in arms.items()}}

    def described(self, sums: Sums) -> str:
        """Return the two parameters."""
        return f"alpha {sums[0]:.12g}, beta {sums[1]:.12g}"
