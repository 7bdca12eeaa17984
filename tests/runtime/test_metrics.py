"""The catalogue of metrics, and what a process does with it."""

from __future__ import annotations

import re

import pytest

from kaireon_runtime.catalogue import (
    CACHE_HITS,
    CAP_VIOLATIONS,
    CATALOGUE,
    DLQ_DEPTH,
    HTTP_REQUEST_DURATION,
    OUTBOX_SINK_UP,
)
from kaireon_runtime.metric import Kind, Metric
from kaireon_runtime.metrics import Metrics


@pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: metric.name)
def test_a_metric_is_declared_in_full(metric: Metric) -> None:
    assert re.fullmatch(r"kaireon_[a-z0-9_]+", metric.name)
    assert metric.meaning.endswith(".")
    assert (metric.kind is Kind.COUNTER) == metric.name.endswith("_total")
    assert (metric.kind is Kind.HISTOGRAM) == bool(metric.buckets)
    assert list(metric.buckets) == sorted(metric.buckets)
    if metric.alert is not None:
        assert metric.name in metric.alert.expression


def test_names_are_unique() -> None:
    assert len({metric.name for metric in CATALOGUE}) == len(CATALOGUE)


def test_processes_in_one_interpreter_count_apart() -> None:
    one, other = Metrics(), Metrics()
    one.add(CACHE_HITS, "facts", amount=2)
    one.set(DLQ_DEPTH, 3, "acme")
    one.observe(HTTP_REQUEST_DURATION, 0.02, "GET", "/x", "200")

    text = one.render().decode()

    assert 'kaireon_cache_hits_total{key="facts"} 2.0' in text
    assert 'kaireon_dlq_depth{tenant="acme"} 3.0' in text
    assert 'kaireon_http_request_duration_seconds_bucket{le="0.025",method="GET",route="/x",status="200"} 1.0' in text
    assert 'key="facts"' not in other.render().decode()


def test_a_gauge_that_nobody_measures_has_a_name_and_no_value() -> None:
    metrics = Metrics()
    unset = metrics.render().decode()
    metrics.set(OUTBOX_SINK_UP, 0)

    assert "# TYPE kaireon_outbox_sink_up gauge" in unset
    assert not re.search(r"^kaireon_outbox_sink_up ", unset, re.MULTILINE)
    assert "\nkaireon_outbox_sink_up 0.0\n" in metrics.render().decode()


def test_a_stored_counter_has_no_value_until_it_is_read() -> None:
    metrics = Metrics()
    unread = metrics.render().decode()
    for total in (7, 9):
        metrics.set_total(CAP_VIOLATIONS, total, "frequency_cap")

    assert "# TYPE kaireon_cap_violations_total counter" in unread
    assert "kaireon_cap_violations_total{" not in unread
    assert '\nkaireon_cap_violations_total{ruleType="frequency_cap"} 9.0\n' in metrics.render().decode()
