"""The law that a decision's scores were drawn from, beside the scores themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kaireon_core.column import Floats, Mask
from kaireon_core.decisioning.candidates import Indices
from kaireon_core.learning.bandit import Regime


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreLaw:
    """Where a candidate is `drawn` (C,), its score is `scale` * max(draw, `floor`)^`exponent` in one of the regimes.

    `scale` broadcasts to (B, C), `exponent` to (C,); the scores of all other candidates are certain. The regimes are
    None where several models draw at once: their laws are not worked out.
    """

    regimes: tuple[Regime, ...] | None
    drawn: Mask
    floor: float
    scale: Floats
    exponent: Floats
    # Whether draws are held to [0, 1], as the priority formula does.
    is_held: bool = False

    @staticmethod
    def of(regimes: Sequence[Regime], rows: Indices, candidates: int, floor: float) -> ScoreLaw:
        """Return the law of propensities drawn for the candidates at `rows`."""
        drawn = np.zeros(candidates, np.bool_)
        drawn[rows] = True
        return ScoreLaw(
            regimes=tuple(_spread(one, rows, candidates) for one in regimes),
            drawn=drawn,
            floor=floor,
            scale=np.ones((1, 1)),
            exponent=np.ones(1),
        )

    def times(self, factor: Floats) -> ScoreLaw:
        """Return the law of the scores times a factor, broadcastable to (B, C)."""
        return replace(self, scale=self.scale * factor)

    def anew(self, factor: Floats | None) -> ScoreLaw:
        """Return the law of the draws times a factor, in place of all that was made of them before."""
        return replace(self, scale=np.ones((1, 1)) if factor is None else factor)

    def bent(self, factor: Floats, exponent: Floats) -> ScoreLaw:
        """Return the law of factor * draw^exponent in place of all that was made of the draws before."""
        return replace(self, scale=factor, exponent=exponent, is_held=True)

    def beside(self, other: ScoreLaw | None) -> ScoreLaw:
        """Return the law where another one holds for other candidates."""
        return self if other is None else replace(self, regimes=None, drawn=self.drawn | other.drawn)


def _spread(regime: Regime, rows: Indices, candidates: int) -> Regime:
    """Return a regime over all candidates, given for those at `rows`; those of one offer share its draw."""
    columns = np.zeros((3, candidates))
    columns[:, rows] = regime.alpha, regime.beta, regime.sure
    return Regime(chance=regime.chance, alpha=columns[0], beta=columns[1], sure=columns[2])
