"""The five paths beside the business: health, readiness, metrics, and the documentation of all paths."""

from __future__ import annotations

from typing import Any

import msgspec

from kaireon_api.operation import Call, Operation, Reply, Role
from kaireon_api.readiness import Ready, State
from kaireon_runtime.metrics import CONTENT_TYPE

_HTML = "text/html; charset=utf-8"


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The process answers."""

    status: State


async def _health(_call: Call[Any]) -> Reply:
    return Reply(content=Health(status=State.OK))


async def _ready(call: Call[Any]) -> Reply:
    return Reply(content=await call.services.readiness.check())


async def _metrics(call: Call[Any]) -> Reply:
    return Reply(content=call.services.metrics.render(), media_type=CONTENT_TYPE)


async def _openapi(call: Call[Any]) -> Reply:
    return Reply(content=call.services.documentation.document)


async def _docs(call: Call[Any]) -> Reply:
    return Reply(content=call.services.documentation.page, media_type=_HTML)


OPERATIONS = (
    Operation(
        method="GET",
        path="/api/health",
        role=Role.NONE,
        handler=_health,
        summary="Is this process alive?",
        answers={200: Health},
    ),
    Operation(
        method="GET",
        path="/api/ready",
        role=Role.NONE,
        handler=_ready,
        summary="Can this process do its work?",
        answers={200: Ready, 503: None},
    ),
    Operation(
        method="GET",
        path="/api/metrics",
        role=Role.NONE,
        handler=_metrics,
        summary="What this process has counted, as Prometheus text.",
        answers={200: str},
        media_type=CONTENT_TYPE,
    ),
    Operation(
        method="GET",
        path="/api/openapi.json",
        role=Role.NONE,
        handler=_openapi,
        summary="This API as an OpenAPI 3.1 document.",
        answers={200: dict[str, Any]},
    ),
    Operation(
        method="GET",
        path="/api/docs",
        role=Role.NONE,
        handler=_docs,
        summary="This API as a page to browse.",
        answers={200: str},
        media_type=_HTML,
    ),
)
