"""Tracing at its edges: off, and with a collector that is not there."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kaireon_runtime.settings import TracingSettings
from kaireon_runtime.tracing import open_tracing, spanning
from kaireon_testkit.native.ports import free_port

OFF = """
import sys
from kaireon_runtime.settings import TracingSettings
from kaireon_runtime.tracing import open_tracing
assert open_tracing("api", TracingSettings()) is None
assert not [name for name in sys.modules if name.startswith("opentelemetry")]
"""
# Spans are made, and nobody takes them; the process ends all the same.
AWAY = """
from kaireon_runtime.settings import TracingSettings
from kaireon_runtime.tracing import open_tracing
tracing = open_tracing("api", TracingSettings())
for _ in range(5000):
    with tracing.span("request", "server", "no traceparent") as trace:
        trace.record("part", 0.0, 1.0, {"kaireon.group_size": 1})
tracing.close()
print("closed")
"""


def _run(program: str, **variables: str) -> str:
    done = subprocess.run(
        (sys.executable, "-c", program), env=variables, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def test_what_is_off_does_not_even_load_opentelemetry() -> None:
    assert _run(OFF) == ""
    with spanning(None, "job", "consumer") as trace:
        assert trace is None


def test_a_collector_that_is_away_keeps_nobody_from_ending() -> None:
    assert _run(AWAY, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{free_port()}") == "closed\n"


def test_what_is_not_sampled_is_no_span(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    tracing = open_tracing("api", TracingSettings())
    assert tracing is not None
    with tracing.span("request", "server") as trace:
        assert trace is None
    tracing.close()


def test_an_endpoint_that_is_no_url_is_refused() -> None:
    with pytest.raises(ValueError, match="otel_exporter_otlp_endpoint"):
        TracingSettings(otel_exporter_otlp_endpoint="collector:4318")
