"""What a scorer answers."""

from __future__ import annotations

from dataclasses import dataclass

from kaireon_core.column import Floats
from kaireon_core.learning.bandit import Regime
from kaireon_core.learning.fallback import Fallbacks


@dataclass(frozen=True, slots=True)
class Scored:
    """What a model says of candidates, broadcastable to (B, rows).

    `fallbacks` tells the scores that stand in for the model's own, None where there are none.
    """

    values: Floats
    fallbacks: Fallbacks | None = None
    # What the scores were drawn from, over the candidates at `rows`; None where nothing was drawn.
    regimes: tuple[Regime, ...] | None = None
