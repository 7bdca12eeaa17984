"""The laws of scores: K * max(x, floor)^w with x ~ Beta(alpha, beta), or one certain number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import betainc

from kaireon_core.column import Floats, Mask


@dataclass(frozen=True, slots=True, kw_only=True)
class Laws:
    """n laws, one number in each array; that of a certain score has `alpha` 0.

    The score is `scale` * max(x, `floor`)^`exponent` with x ~ Beta(`alpha`, `beta`), never less than `least`. `tie`
    orders those of equal score: the greater comes out ahead.
    """

    alpha: Floats
    beta: Floats
    scale: Floats
    exponent: Floats
    floor: Floats
    least: Floats
    tie: Floats

    @staticmethod
    def of(
        *, alpha: Floats, beta: Floats, scale: Floats, exponent: Floats, floor: float, sure: Floats, tie: Floats
    ) -> Laws:
        """Return the laws of drawn scores, and of those that are certain: `alpha` is 0, or nothing is left to chance.

        `sure` are the scores of the latter. Laws that differ only in a tie that cannot occur are made equal.
        """
        is_drawn = (alpha > 0) & (scale > 0) & (exponent > 0) & (floor < 1)
        # 0^0 is 1, and a draw that is always raised to a floor of 1 is no draw.
        fixed = scale * np.where(exponent > 0, float(floor >= 1), 1.0)
        certain = np.where((alpha > 0) & ~is_drawn, fixed, sure)
        least = np.where(is_drawn, scale * floor**exponent, certain)
        has_point = ~is_drawn | (floor > 0)
        return Laws(
            alpha=np.where(is_drawn, alpha, 0.0),
            beta=np.where(is_drawn, beta, 1.0),
            scale=np.where(is_drawn, scale, 0.0),
            exponent=np.where(is_drawn, exponent, 1.0),
            floor=np.where(is_drawn, floor, 0.0),
            least=least,
            tie=np.where(has_point, tie, 0.0),
        )

    def columns(self) -> Floats:
        """Return the numbers of all laws, (7, n)."""
        return np.array([self.alpha, self.beta, self.scale, self.exponent, self.floor, self.least, self.tie])

    @staticmethod
    def from_columns(columns: Floats) -> Laws:
        """Return the laws of `columns`."""
        alpha, beta, scale, exponent, floor, least, tie = columns
        return Laws(alpha=alpha, beta=beta, scale=scale, exponent=exponent, floor=floor, least=least, tie=tie)

    @property
    def is_drawn(self) -> Mask:
        """Which scores are drawn, (n,)."""
        return self.alpha > 0

    def point_masses(self) -> Floats:
        """Return the probability of the least score, (n,)."""
        drawn = self.is_drawn
        beta = np.where(drawn, self.beta, 1.0)
        return np.where(drawn, betainc(np.where(drawn, self.alpha, 1.0), beta, self.floor), 1.0)

    def kinks(self) -> Floats:
        """Return where a law begins, ends or has mass, rising."""
        return np.unique(np.concatenate((self.least, self.scale[self.is_drawn])))

    def probability_below(self, scores: Floats) -> Floats:
        """Return the probability that each law's score is at most each of these, (n, S)."""
        drawn = self.is_drawn[:, None]
        scale = np.where(drawn, self.scale[:, None], 1.0)
        share = np.clip(scores[None, :] / scale, 0.0, 1.0) ** (1.0 / self.exponent[:, None])
        of_drawn = betainc(np.where(drawn, self.alpha[:, None], 1.0), self.beta[:, None], share)
        return np.where(scores[None, :] >= self.least[:, None], np.where(drawn, of_drawn, 1.0), 0.0)
