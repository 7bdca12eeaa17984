"""Why a log says nothing reliable about a target."""

from __future__ import annotations

from enum import StrEnum


class Refusal(StrEnum):
    """The reasons for which no estimate is given."""

    INSUFFICIENT_OVERLAP = "insufficient_overlap"
    INSUFFICIENT_REWARDS = "insufficient_rewards"


class EvaluationRefused(Exception):
    """The log cannot carry an estimate for this target; more of the same log, or a nearer target, might."""

    def __init__(self, refusal: Refusal, message: str) -> None:
        """Carry the reason as a code and in words."""
        super().__init__(message)
        self.refusal = refusal
        self.message = message
