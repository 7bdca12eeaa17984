"""Traces: spans of this process, told to a collector where OTEL_EXPORTER_OTLP_ENDPOINT names one. Never a customer.

What is off costs nothing: without an endpoint there is no `Tracing`, and OpenTelemetry is not even loaded.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from kaireon_runtime.origin import Attributes, Trace
from kaireon_runtime.settings import TracingSettings


class Tracing(Protocol):
    """Makes spans. A span that the sampler leaves out is None, and so is all that would hang from it."""

    def span(
        self, name: str, kind: str, parent: str | None = None, attributes: Attributes | None = None
    ) -> AbstractContextManager[Trace | None]:
        """Be within a span of a kind (server, consumer, producer, internal) until the block ends.

        `parent` is a `traceparent` from outside; one that is none is taken for none.
        """
        ...

    def close(self) -> None:
        """Send what is left, for a few seconds at most."""
        ...


def open_tracing(service: str, settings: TracingSettings) -> Tracing | None:
    """Return what traces this process, None where nobody wants to know."""
    if settings.otel_exporter_otlp_endpoint is None:
        return None
    from kaireon_runtime.open_telemetry import OpenTelemetry  # noqa: PLC0415 - loaded by those who trace

    return OpenTelemetry(f"kaireon-{service}" if settings.otel_service_name is None else settings.otel_service_name)


def spanning(
    tracing: Tracing | None, name: str, kind: str, parent: str | None = None, attributes: Attributes | None = None
) -> AbstractContextManager[Trace | None]:
    """Be within a span, if anything is traced."""
    return nullcontext() if tracing is None else tracing.span(name, kind, parent, attributes)
