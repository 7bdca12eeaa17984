"""Dashboards: what was decided and what came of it over some days, in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from kaireon_application.decisioning.trace import reasons_of
from kaireon_core.decisioning.reasons import KEPT

if TYPE_CHECKING:
    from uuid import UUID

    from kaireon_application.decisioning.explain_trace import StoredTrace

# The latest of the traces stand for all: each holds a reason for every candidate.
MOST_TRACES = 500


class DashboardType(StrEnum):
    """What a dashboard shows."""

    SUMMARY = "summary"
    ACCEPTANCE_RATE = "acceptance_rate"
    OFFER_PERFORMANCE = "offer_performance"
    OFFER_PERFORMANCE_GROUPED = "offer_performance_grouped"
    CHANNEL_EFFECTIVENESS = "channel_effectiveness"
    DAILY_TREND = "daily_trend"
    REVENUE_TREND = "revenue_trend"
    SELECTION_FREQUENCY = "selection_frequency"
    WHY_NOT_RANKED = "why_not_ranked"
    SCORE_DISTRIBUTION = "score_distribution"
    MODEL_METRICS_TREND = "model_metrics_trend"
    ANOMALY_CANDIDATES = "anomaly_candidates"
    DECISION_HEALTH = "decision_health"


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Whole days of a tenant, the present one the last: from midnight on, and before the next one."""

    from_at: datetime
    last_at: datetime
    to_at: datetime
    zone: str


class GroupBy(StrEnum):
    """What interactions are counted by."""

    ACTION = "action"
    TREATMENT = "treatment"
    CHANNEL = "channel"
    CUSTOMER = "customer"


class SummaryPage(msgspec.Struct, frozen=True, kw_only=True):
    """Which groups of interactions to return: the most frequent first."""

    group_by: GroupBy
    span: Span
    limit: int
    offset: int


class InteractionGroup(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The interactions of one offer, creative, channel or customer; `ctr` and `cvr` are percentages of impressions."""

    id: str
    key: str
    name: str | None
    impression: int
    click: int
    dismiss: int
    accept: int
    convert: int
    total: int
    ctr: float | None
    cvr: float | None
    positive: int
    negative: int
    neutral: int


class Dashboards(Protocol):
    """Reads dashboards. Raises `Unavailable`, also when one takes too long."""

    async def data(self, tenant_id: UUID, type_: DashboardType, span: Span) -> dict[str, Any] | list[dict[str, Any]]:
        """Return what a dashboard shows: rows, or one object."""
        ...

    async def interactions(self, tenant_id: UUID, page: SummaryPage) -> tuple[list[InteractionGroup], int]:
        """Return one page of groups, and how many there are."""
        ...


def span_of(days: int, now: datetime, zone: ZoneInfo) -> Span:
    """Return the last so many days of a tenant's zone."""
    today = now.astimezone(zone).date()

    def midnight(later: int) -> datetime:
        return datetime.combine(today + timedelta(days=later), time(), zone)

    return Span(from_at=midnight(1 - days), last_at=midnight(0), to_at=midnight(1), zone=zone.key)


def count_drops(traces: Sequence[StoredTrace]) -> list[dict[str, Any]]:
    """Return why candidates are not in the answers, the most frequent reason first."""
    drops, entered = Counter[tuple[str, str, str | None, str | None]](), 0
    for trace in traces:
        counts = np.bincount(reasons_of(trace.content), minlength=1)
        entered += int(counts.sum())
        for code in np.flatnonzero(counts):
            if code != KEPT:
                reason = trace.legend.reasons[code - 1]
                drops[reason.stage, reason.type, reason.entity_id, reason.entity_name] += int(counts[code])
    return [
        {
            "stage": stage,
            "reason": type_,
            "entity_id": entity_id,
            "entity_name": entity_name,
            "count": count,
            "share": count / entered,
        }
        for (stage, type_, entity_id, entity_name), count in sorted(
            drops.items(), key=lambda item: (-item[1], [part or "" for part in item[0]])
        )
    ]


def health_of(traces: Sequence[StoredTrace]) -> dict[str, Any]:
    """Return how the decisions of these traces went: how many ran degraded, and how long they took."""
    contents = [trace.content for trace in traces]
    degraded = sum(content.is_degraded for content in contents)
    return {
        "sampled_decisions": len(contents),
        "degraded_decisions": degraded,
        "degraded_rate": degraded / len(contents) if contents else None,
        "average_candidates": _mean(len(reasons_of(content)) for content in contents),
        "latency_ms": _percentiles([content.duration_ms for content in contents]),
    }


def _mean(values: Iterable[int]) -> float | None:
    found = list(values)
    return sum(found) / len(found) if found else None


def _percentiles(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    found = np.percentile(np.array(values), [50, 95, 99])
    return {name: round(float(value), 3) for name, value in zip(("p50", "p95", "p99"), found, strict=True)}


def percentage(part: int, whole: int) -> float | None:
    """Return a part as a percentage; None of nothing."""
    return round(100 * part / whole, 4) if whole else None
