"""Why an analysis is refused, in the vocabulary of errors."""

from __future__ import annotations

from kaireon_application.errors import (
    ConstantFeatures,
    NoFields,
    TooFewCreatives,
    TooFewOutcomes,
    TooFewRows,
    Unprocessable,
)
from kaireon_core.learning.analysis import AnalysisRefusal, AnalysisRefused

ANALYSIS_REFUSALS: dict[AnalysisRefusal, type[Unprocessable]] = {
    AnalysisRefusal.TOO_FEW_ROWS: TooFewRows,
    AnalysisRefusal.NO_FIELDS: NoFields,
    AnalysisRefusal.CONSTANT_FEATURES: ConstantFeatures,
    AnalysisRefusal.TOO_FEW_CREATIVES: TooFewCreatives,
    AnalysisRefusal.TOO_FEW_OUTCOMES: TooFewOutcomes,
}


def analysis_error(refused: AnalysisRefused) -> Unprocessable:
    """Return the error that says the same."""
    return ANALYSIS_REFUSALS[refused.refusal](refused.message)


def refused_as(code: str, message: str) -> Unprocessable:
    """Return the error of a refusal that comes as its code."""
    kind = next((kind for refusal, kind in ANALYSIS_REFUSALS.items() if refusal.value == code), Unprocessable)
    return kind(message)
