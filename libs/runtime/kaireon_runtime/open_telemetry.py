"""Spans by OpenTelemetry's SDK, sent as OTLP over HTTP; its own variables (OTEL_TRACES_SAMPLER and others) hold."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

from opentelemetry import trace as otel
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from kaireon_runtime.origin import Attributes, Trace

_CLOSE_SECONDS = 3.0
_KINDS = {
    "server": otel.SpanKind.SERVER,
    "consumer": otel.SpanKind.CONSUMER,
    "producer": otel.SpanKind.PRODUCER,
    "internal": otel.SpanKind.INTERNAL,
}
_W3C = TraceContextTextMapPropagator()


class OpenTelemetry:
    """Implements `Tracing`; spans are sent by a thread of its own, and dropped while nobody takes them."""

    def __init__(self, service_name: str) -> None:
        """Trace as this service."""
        self._provider = TracerProvider(resource=Resource.create({SERVICE_NAME: service_name}), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("kaireon")

    @contextmanager
    def span(
        self, name: str, kind: str, parent: str | None = None, attributes: Attributes | None = None
    ) -> Generator[Trace | None]:
        """Be within a span; an error that ends the block is told by its type alone."""
        context = _W3C.extract({} if parent is None else {"traceparent": parent})
        span = self._tracer.start_span(name, context, _KINDS[kind], attributes)
        try:
            yield _Span(self._tracer, span) if span.is_recording() else None
        except BaseException as error:
            span.set_status(otel.StatusCode.ERROR, type(error).__name__)
            raise
        finally:
            span.end()

    def close(self) -> None:
        """Send what is left; the SDK's own limits are longer than a process has for its end."""
        closing = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        closing.start()
        closing.join(_CLOSE_SECONDS)


class _Span:
    """Implements `Trace`."""

    def __init__(self, tracer: otel.Tracer, span: otel.Span) -> None:
        self._tracer = tracer
        self._span = span
        self._context = otel.set_span_in_context(span)
        carrier: dict[str, str] = {}
        _W3C.inject(carrier, self._context)
        self.traceparent = carrier["traceparent"]

    def record(self, name: str, began: float, ended: float, attributes: Attributes) -> None:
        offset = time.time() - time.perf_counter()
        began_ns, ended_ns = round((began + offset) * 1e9), round((ended + offset) * 1e9)
        self._tracer.start_span(name, self._context, attributes=attributes, start_time=began_ns).end(ended_ns)

    def tell(self, attributes: Attributes, *, name: str | None = None, is_failed: bool = False) -> None:
        self._span.set_attributes(dict(attributes))
        if name is not None:
            self._span.update_name(name)
        if is_failed:
            self._span.set_status(otel.StatusCode.ERROR)
