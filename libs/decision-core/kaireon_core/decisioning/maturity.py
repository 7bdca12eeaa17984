"""The maturity ramp: what little is known of is shown less, until its rate of positive answers is known well enough.

    score' = score * min(1, targetWidth / width)

`width` is that of the Wilson score interval (Wilson, 1927) of the rate at `confidence`, over the answers of the first
of offer, channel, category and everything that has any; without any answer it is 1.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import ndtri

from kaireon_core.column import Floats
from kaireon_core.decisioning.evidence import EvidenceModel
from kaireon_core.decisioning.flow import MaturityRamp
from kaireon_core.decisioning.state import Stage, State


def wilson_width(positive: Floats, total: Floats, confidence: float) -> Floats:
    """Return the width of the interval around each rate; 1 where nothing was answered."""
    z = float(ndtri((1 + confidence) / 2))
    n = np.where(total > 0, total, 1.0)
    rate = positive / n
    half = z / (1 + z * z / n) * np.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return np.where(total > 0, 2 * half, 1.0)


def with_maturity(score: Stage, ramp: MaturityRamp | None, evidence: EvidenceModel) -> Stage:
    """Return the score stage with the ramp behind it, where the node asks for one."""
    if ramp is None:
        return score

    def apply(state: State) -> None:
        score.apply(state)
        assert state.score is not None  # noqa: S101 - it has just been scored
        positive, total = evidence.most_specific(state)
        exposure = np.minimum(1.0, ramp.target_width / wilson_width(positive, total, ramp.confidence))
        state.score = state.score * exposure[None, :]
        state.scale_law(exposure[None, :])
        state.is_score_replaced = True

    return replace(score, apply=apply, needs_evidence=True)
