"""The configs of the models that learn from every response."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from kaireon_core.learning.definitions import Fraction, Penalty, RollbackThresholds

# Below it a draw would underflow, beyond it no count is exact any more.
BetaParameter = Annotated[float, Meta(ge=0.1, le=1e9)]


class LearnerConfig(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What every config may hold."""

    name: str | None = None
    rollback_thresholds: RollbackThresholds | None = None


class ThompsonConfig(LearnerConfig, frozen=True, kw_only=True, rename="camel"):
    """What is believed of an offer before its first answer: Beta(`prior_alpha`, `prior_beta`)."""

    prior_alpha: BetaParameter = 1.0
    prior_beta: BetaParameter = 1.0


class EpsilonConfig(LearnerConfig, frozen=True, kw_only=True, rename="camel"):
    """How often a decision explores: `epsilon` / (1 + `decay_rate` * pulls of all arms)."""

    epsilon: Fraction = 0.1
    decay_rate: Annotated[float, Meta(ge=0, le=1e6)] = 0.001


class OnlineConfig(LearnerConfig, frozen=True, kw_only=True, rename="camel"):
    """How far one response moves the weights, and by which share of `learning_rate` they shrink with each (`l2`)."""

    learning_rate: Annotated[float, Meta(ge=0.001, le=1)] = 0.05
    l2: Annotated[Penalty, Meta(le=1)] = 0.0
