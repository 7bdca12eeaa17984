"""What a target would have earned: three estimates of its mean reward per row, or the reason why there are none.

With w = the target's probability of the logged action over the logged one, r the reward and q the model of rewards:

- IPS, inverse propensity scoring: the mean of w r (Horvitz and Thompson 1952; unbiased).
- SNIPS, self-normalised: the sum of w r over the sum of w, times the mean mass of the target, which is 1 unless the
  target may show nothing (Hajek 1971; Swaminathan and Joachims 2015, NeurIPS; slightly biased, steadier).
- DR, doubly robust: the mean of what q expects of the target + w (r - q) (Dudik, Langford and Li 2011, ICML), with q
  cross-fitted (Chernozhukov et al. 2018, Econometrics Journal 21; unbiased, as steady as q is good).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kaireon_core.column import Floats
from kaireon_core.learning.off_policy.interval import Estimate, estimate_of
from kaireon_core.learning.off_policy.log import DecisionLog
from kaireon_core.learning.off_policy.refusal import EvaluationRefused, Refusal
from kaireon_core.learning.off_policy.reward_model import RewardModel, fit_reward_model
from kaireon_core.learning.off_policy.target import Assessment, Target

FEWEST_EFFECTIVE_ROWS = 100
FEWEST_EFFECTIVE_SHARE = 0.01
MOST_UNSHOWN_MASS = 0.01
FEWEST_REWARDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Three estimates of a target's mean reward per row, and how far they may be trusted.

    `effective_sample_size` is (sum w)^2 / sum w^2 (Kong 1992) of the weights as used. `largest_weight` and
    `mean_weight` are those of the weights as they were; `clipped_count` says how many were clipped.
    """

    row_count: int
    ips: Estimate
    snips: Estimate
    dr: Estimate
    effective_sample_size: float
    largest_weight: float
    mean_weight: float
    unshown_mass: float
    clipped_count: int


def evaluate(
    log: DecisionLog,
    target: Target,
    confidence: float = 0.95,
    clip: float | None = None,
    rewards: RewardModel | None = None,
) -> Evaluation:
    """Return what the target would have earned; weights are held at `clip` only when it is given.

    `rewards` is the log's reward model where it is known already. Raises `EvaluationRefused`.
    """
    rewards = fit_reward_model(log) if rewards is None else rewards
    assessed = target.assess(log, rewards)
    raw = assessed.weights
    weights = raw if clip is None else np.minimum(raw, clip)
    size = effective_sample_size(weights)
    unshown = float(assessed.unshown.mean())
    _require_overlap(size, unshown, log.row_count)
    _require_units(log)
    _require_rewards(log, weights)
    ips, snips, dr = _estimates(log, assessed, weights, rewards, confidence)
    return Evaluation(
        row_count=log.row_count,
        ips=ips,
        snips=snips,
        dr=dr,
        effective_sample_size=size,
        largest_weight=float(raw.max()),
        mean_weight=float(raw.mean()),
        unshown_mass=unshown,
        clipped_count=int(np.count_nonzero(raw > weights)),
    )


def effective_sample_size(weights: Floats) -> float:
    """Return (sum w)^2 / sum w^2: how many rows of equal weight would tell as much; 0 when all weights are 0."""
    largest = float(weights.max(initial=0.0))
    if largest == 0.0:
        return 0.0
    relative = weights / largest
    return float(relative.sum() ** 2 / (relative @ relative))


def _estimates(
    log: DecisionLog, assessed: Assessment, weights: Floats, rewards: RewardModel, confidence: float
) -> tuple[Estimate, Estimate, Estimate]:
    weighted = weights * log.rewards
    ips = float(weighted.mean())
    mass, mean_weight = assessed.mass, float(weights.mean())
    ratio, mean_mass = ips / mean_weight, float(mass.mean())
    # The linear part of mass * ratio, in its three means.
    of_snips = mean_mass / mean_weight * weights * (log.rewards - ratio) + ratio * (mass - mean_mass)
    doubly = assessed.direct + weights * (log.rewards - rewards.of_actions(log, log.actions))
    dr = float(doubly.mean())
    clusters = log.clusters
    return (
        estimate_of(ips, weighted - ips, clusters, confidence),
        estimate_of(mean_mass * ratio, of_snips, clusters, confidence),
        estimate_of(dr, doubly - dr, clusters, confidence),
    )


def _require_overlap(size: float, unshown: float, row_count: int) -> None:
    needed = max(FEWEST_EFFECTIVE_ROWS, FEWEST_EFFECTIVE_SHARE * row_count)
    if unshown > MOST_UNSHOWN_MASS:
        message = (
            f"{unshown:.2%} of the target's choices are actions that the log never shows in that slot; "
            f"at most {MOST_UNSHOWN_MASS:.0%} may be"
        )
        raise EvaluationRefused(Refusal.INSUFFICIENT_OVERLAP, message)
    if size < needed:
        message = (
            f"the {row_count} rows tell as much about this target as {size:.1f} rows of its own would; "
            f"at least {needed:.0f} are needed"
        )
        raise EvaluationRefused(Refusal.INSUFFICIENT_OVERLAP, message)


def _require_units(log: DecisionLog) -> None:
    if not log.clusters.any():
        message = "all rows belong to one decision, which leaves nothing to compare it with"
        raise EvaluationRefused(Refusal.INSUFFICIENT_OVERLAP, message)


def _require_rewards(log: DecisionLog, weights: Floats) -> None:
    rewarded = int(np.count_nonzero((log.rewards != 0) & (weights > 0)))
    if rewarded < FEWEST_REWARDS:
        message = (
            f"{rewarded} rows with a reward other than 0 have a weight; "
            f"at least {FEWEST_REWARDS} are needed for a standard error"
        )
        raise EvaluationRefused(Refusal.INSUFFICIENT_REWARDS, message)
