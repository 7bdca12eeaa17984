"""What a metric of the catalogue is declared by."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Kind(StrEnum):
    """How a metric behaves."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """When somebody should look: a PromQL expression that held for `for_seconds`."""

    expression: str
    for_seconds: int
    summary: str


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One metric; `buckets` are upper bounds in `unit`, for histograms only.

    `is_stored`: counted in a table, and told by every process that looks, so that series are not to be added up.
    """

    name: str
    kind: Kind
    unit: str
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    alert: Alert | None = None
    is_stored: bool = False
