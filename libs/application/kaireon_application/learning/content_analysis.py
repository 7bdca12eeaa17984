"""Content intelligence: which terms of creatives go with success, and what rate a text may expect."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import msgspec
import numpy as np

from kaireon_application.learning.analysis import Analysis, ContentPlan, Engine
from kaireon_core.column import Floats, Mask
from kaireon_core.learning.analysis import AnalysisRefusal, AnalysisRefused, Rate, rate_of
from kaireon_core.learning.creative_text import (
    ShownCreative,
    TermEvidence,
    comparable_creatives,
    term_evidence,
    text_of,
)

_MOST_TERMS = 20
# A share of the variance that noise seldom reaches on a few dozen creatives.
_LEAST_R2 = 0.1


class StoredCreative(msgspec.Struct, frozen=True, kw_only=True):
    """A creative that was shown, as it is stored."""

    id: UUID
    content: Any
    impressions: int
    positives: int


class CreativeSample(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the creatives that were shown, and how many there are."""

    creatives: list[StoredCreative]
    total: int


class CreativeSamples(Protocol):
    """Reads creatives with what is counted of them. Both raise `Unavailable` while the storage is down or too slow."""

    async def count_creatives(self, tenant_id: UUID, channel_id: str | None) -> int:
        """Return how many creatives were shown, on one channel or any."""
        ...

    async def sample_creatives(self, tenant_id: UUID, channel_id: str | None, seed: int, limit: int) -> CreativeSample:
        """Return at most so many of them, the same ones in the same order for the same seed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentForest:
    """What a forest has learnt of texts.

    `importances` (t,) add up to 1; `has_term` (n, t) says which text has which term. `out_of_bag_r2` is the share of
    the variance of rates that trees explain of texts which they did not see; None where that cannot be told.
    `predict` returns one row per text: mean, 10th and 90th percentile over trees, and how many terms it knows of.
    """

    terms: tuple[str, ...]
    importances: Floats
    has_term: Mask
    out_of_bag_r2: float | None
    predict: Callable[[Sequence[str]], list[tuple[float, float, float, int]]]


# Learns rates (n,) of texts, each weighing as many impressions as it has (n,), from a seed; None without a usable term.
LearnContent = Callable[[Sequence[str], Floats, Floats, int], ContentForest | None]


class TextPrediction(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The rate that a text may expect, with the span of eight trees in ten; null where it has no known term."""

    text: str
    known_terms: int
    predicted_rate: float | None
    low: float | None
    high: float | None


class ContentAnalysis(Analysis, frozen=True, kw_only=True):
    """The answer: the most important terms first, and how far they may be trusted.

    `outOfBagR2` below 0.1 means that the texts hardly explain the rates: `isPredictive` is false then.
    """

    creative_count: int
    overall: Rate
    out_of_bag_r2: float | None
    is_predictive: bool
    terms: list[TermEvidence]
    predictions: list[TextPrediction]


def find_terms(sample: CreativeSample, plan: ContentPlan, engine: Engine, learn: LearnContent) -> ContentAnalysis:
    """Return what the texts of these creatives say about their success. Raises `AnalysisRefused`."""
    creatives = comparable_creatives([_shown(one) for one in sample.creatives])
    forest = learn(
        [one.text for one in creatives],
        np.array([one.positives / one.impressions for one in creatives]),
        np.array([float(one.impressions) for one in creatives]),
        plan.request.seed,
    )
    if forest is None:
        message = "no term stands in two creatives and not in nearly all"
        raise AnalysisRefused(AnalysisRefusal.CONSTANT_FEATURES, message)
    order = sorted(range(len(forest.terms)), key=lambda place: (-forest.importances[place], forest.terms[place]))
    score = forest.out_of_bag_r2
    return ContentAnalysis(
        engine=engine,
        sampled=len(sample.creatives) < sample.total,
        sample_size=len(sample.creatives),
        total_rows=sample.total,
        seed=plan.request.seed,
        creative_count=len(creatives),
        overall=rate_of(sum(one.positives for one in creatives), sum(one.impressions for one in creatives)),
        out_of_bag_r2=score,
        is_predictive=score is not None and score >= _LEAST_R2,
        terms=[
            term_evidence(creatives, forest.terms[place], float(forest.importances[place]), forest.has_term[:, place])
            for place in order[:_MOST_TERMS]
            if forest.importances[place] > 0
        ],
        predictions=_predictions(forest, plan.request.texts),
    )


def _shown(stored: StoredCreative) -> ShownCreative:
    return ShownCreative(
        id=str(stored.id),
        text=text_of(stored.content),
        impressions=stored.impressions,
        positives=stored.positives,
    )


def _predictions(forest: ContentForest, texts: Sequence[str]) -> list[TextPrediction]:
    if not texts:
        return []
    # Read as a creative's own text is.
    rows = forest.predict([text_of(text) for text in texts])
    return [
        TextPrediction(
            text=text,
            known_terms=known,
            predicted_rate=mean if known else None,
            low=low if known else None,
            high=high if known else None,
        )
        for text, (mean, low, high, known) in zip(texts, rows, strict=True)
    ]
