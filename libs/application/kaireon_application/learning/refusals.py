"""Why a training is refused, in the vocabulary of errors."""

from __future__ import annotations

from kaireon_application.errors import (
    ConstantFeatures,
    ConstantTarget,
    NoPredictors,
    OneClass,
    TooFewPositives,
    TooFewRows,
    UnknownPredictor,
    UnknownSchema,
    UnknownTarget,
    UnknownTimeField,
    Unprocessable,
)
from kaireon_core.learning.training_set import Refusal, TrainingRefused

REFUSALS: dict[Refusal, type[Unprocessable]] = {
    Refusal.ONE_CLASS: OneClass,
    Refusal.TOO_FEW_POSITIVES: TooFewPositives,
    Refusal.TOO_FEW_ROWS: TooFewRows,
    Refusal.CONSTANT_TARGET: ConstantTarget,
    Refusal.CONSTANT_FEATURES: ConstantFeatures,
    Refusal.UNKNOWN_TARGET: UnknownTarget,
    Refusal.UNKNOWN_PREDICTOR: UnknownPredictor,
    Refusal.UNKNOWN_TIME_FIELD: UnknownTimeField,
    Refusal.UNKNOWN_SCHEMA: UnknownSchema,
    Refusal.NO_PREDICTORS: NoPredictors,
}


def refusal_error(refused: TrainingRefused) -> Unprocessable:
    """Return the error that says the same."""
    return REFUSALS[refused.refusal](refused.message)
