"""A collector of traces: takes OTLP over HTTP, and keeps every span."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

if TYPE_CHECKING:
    from collections.abc import Generator


class SpanTaken(msgspec.Struct, frozen=True, kw_only=True):
    """A span, its ids in hexadecimal, and the service that has sent it."""

    service: str
    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: str
    attributes: dict[str, str]
    is_failed: bool


class Collector:
    """What has come in so far."""

    def __init__(self, url: str) -> None:
        """Take spans at this address, without `/v1/traces`."""
        self.url = url
        self.spans: list[SpanTaken] = []
        self.bodies: list[bytes] = []

    def take(self, body: bytes) -> None:
        """Keep what a process has sent. Raises `DecodeError` for what is no protobuf of spans."""
        self.bodies.append(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            named = {one.key: one.value.string_value for one in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans.extend(_taken(span, named["service.name"]) for span in scope.spans)

    def of_trace(self, trace_id: str) -> dict[str, SpanTaken]:
        """Return the spans of a trace by name, the last of each."""
        return {span.name: span for span in self.spans if span.trace_id == trace_id}


def _taken(span: Span, service: str) -> SpanTaken:
    return SpanTaken(
        service=service,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        name=span.name,
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        attributes={one.key: str(getattr(one.value, one.value.WhichOneof("value") or "")) for one in span.attributes},
        is_failed=span.status.code == span.status.STATUS_CODE_ERROR,
    )


@contextmanager
def running_collector() -> Generator[Collector]:
    """Take spans until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Take one call."""
            assert self.path == "/v1/traces"
            collector.take(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector = Collector(f"http://127.0.0.1:{server.server_address[1]}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield collector
        server.shutdown()
