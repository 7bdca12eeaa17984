"""What a behavioural metric means to storage: one aggregate over a customer's interactions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from kaireon_application.customers.metric_field import field_of, is_of_events
from kaireon_core.catalog.document import Document
from kaireon_core.decisioning.calendar import DAY_MS


class MetricQuery(msgspec.Struct, frozen=True, kw_only=True):
    """`aggregate` of `source` (the path of a field, None for the interactions themselves) over what passes all filters.

    Interactions count while they are less than `window_ms` old; None is all time. A filter is
    `{path, operator, value}`. `of_events`: of behavioural events, and of them alone.
    """

    id: str
    aggregate: str
    source: list[str] | None
    window_ms: int | None
    filters: list[dict[str, Any]]
    of_events: bool = False


def metric_queries(metrics: Iterable[Document]) -> Mapping[str, MetricQuery]:
    """Return the queries of these metrics by their ids."""
    return {metric.id: _query(metric) for metric in metrics}


def _query(metric: Document) -> MetricQuery:
    body = metric.body
    days: int | None = body["windowDays"]
    conditions: list[dict[str, Any]] = body["filterConditions"]
    looked_at = [one["field"] for one in conditions] + ([body["sourceField"]] if body["sourceField"] else [])
    return MetricQuery(
        id=metric.id,
        aggregate=body["aggregateFunction"],
        source=None if body["sourceField"] is None else _path(body["sourceField"]),
        window_ms=None if days is None else round(days * DAY_MS),
        of_events=any(map(is_of_events, looked_at)),
        filters=[
            {"path": _path(one["field"]), "operator": one["operator"], "value": one["value"]} for one in conditions
        ],
    )


def _path(name: str) -> list[str]:
    return (field_of(name) or name).split(".")
