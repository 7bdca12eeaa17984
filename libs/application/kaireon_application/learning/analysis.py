"""Analyses: what may be asked, where it is worked out, and what every answer says about that."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Protocol, TypeAlias
from uuid import UUID

from msgspec import Meta, Struct, field

from kaireon_application.catalog.fields import EntityRef, Label
from kaireon_application.catalog.scope import ScopeKind

# Above this many rows the ML worker is asked, where there is one; no other engine takes more.
LOCAL_ROWS = 5_000
ML_WORKER_ROWS = 50_000
MINIMUM_SAMPLE = 20
MOST_TEXTS = 100

SampleSize = Annotated[int, Meta(ge=MINIMUM_SAMPLE, le=ML_WORKER_ROWS)]
Seed = Annotated[int, Meta(ge=0, le=2**32 - 1)]


class Engine(StrEnum):
    """Where an analysis was worked out: the same code on the same rows gives the same answer in both."""

    ML_WORKER = "ml-worker"
    LOCAL = "local"


class AnalysisRequest(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What every analysis may be told: at most how many rows, from which seed, and whether to wait for it."""

    sample_size: SampleSize | None = None
    seed: Seed = 0
    is_async: bool = field(default=False, name="async")


class SegmentsRequest(AnalysisRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose rows to put into at most how many clusters, by which fields: without names, all that can be compared."""

    schema_key: EntityRef
    fields: Annotated[list[Label], Meta(min_length=1, max_length=100)] | None = None
    max_clusters: Annotated[int, Meta(ge=2, le=20)] = 8


class PoliciesRequest(AnalysisRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose contacts of the last days to learn from: all, or those of one channel, offer or creative."""

    scope: ScopeKind = "global"
    scope_id: EntityRef | None = None
    lookback_days: Annotated[int, Meta(ge=1, le=730)] = 180


class ContentRequest(AnalysisRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose creatives to learn from (of one channel, or all), and texts to predict a rate for."""

    channel_id: EntityRef | None = None
    texts: Annotated[list[Annotated[str, Meta(min_length=1, max_length=10_000)]], Meta(max_length=MOST_TEXTS)] = field(
        default_factory=list
    )


class _Plan(Struct, frozen=True, kw_only=True, rename="camel", tag_field="kind", forbid_unknown_fields=True):
    """Whose analysis, as of which instant; things that the request names are known to exist."""

    tenant_id: UUID
    at: datetime


class SegmentsPlan(_Plan, frozen=True, kw_only=True, tag="segments"):
    """Auto-segmentation."""

    request: SegmentsRequest


class PoliciesPlan(_Plan, frozen=True, kw_only=True, tag="policies"):
    """The policy recommender."""

    request: PoliciesRequest


class ContentPlan(_Plan, frozen=True, kw_only=True, tag="content"):
    """Content intelligence."""

    request: ContentRequest


AnalysisPlan: TypeAlias = SegmentsPlan | PoliciesPlan | ContentPlan


class Analysis(Struct, frozen=True, kw_only=True, rename="camel"):
    """What every answer says: where it was worked out, and from how many of how many rows.

    `fallbackReason` says why a large analysis was made here from a sample: `ml_worker_not_configured` or
    `ml_worker_failed`. `summary` is what the operator's language model says of the answer, null where there is none.
    """

    engine: Engine
    sampled: bool
    sample_size: int
    total_rows: int
    seed: int
    fallback_reason: str | None = None
    summary: str | None = None
    summary_error: str | None = None


class Analyst(Protocol):
    """Works analyses out, from at most so many rows."""

    async def analyze(self, plan: AnalysisPlan) -> Analysis:
        """Return the answer; leaving early stops the work at its next step.

        Raises an `Unprocessable` with the code of the refusal, `NotFound` for a thing that is gone, `Unavailable`.
        """
        ...


class RowCounter(Protocol):
    """Knows how large an analysis would be."""

    async def count(self, plan: AnalysisPlan) -> int:
        """Return how many rows there are to analyse. Raises as `Analyst.analyze` does."""
        ...
