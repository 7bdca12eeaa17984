"""`/api/v1/decision-logs`: logs of decisions that were made elsewhere, for the evaluation of policies."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from tempfile import SpooledTemporaryFile
from typing import Annotated, BinaryIO, cast
from uuid import UUID, uuid4

import msgspec
from msgspec import Meta

from kaireon_api.operation import ITEM_ERRORS, READ_ERRORS, Call, Operation, Reply, Role, Upload
from kaireon_application.catalog.forms import Pagination
from kaireon_application.errors import NotFound, Unavailable
from kaireon_application.learning.decision_log import LogSummary, find_log, stored_part, summary_of
from kaireon_application.learning.evaluate_policy import held
from kaireon_application.learning.logged_row import LogPart
from kaireon_application.platform.cursor import Count, Offset, decode_cursor, encode_cursor
from kaireon_runtime.logs import logger
from kaireon_storage.decision_log_file import READERS

MAX_LOG_BYTES = 64 * 1024 * 1024
_PATH = "/api/v1/decision-logs"
_IN_MEMORY_BYTES = 4 * 1024 * 1024

_FORMS = {
    "application/x-ndjson": "One JSON object a line: `{decisionId, customerId?, timestamp?, slot?, action, "
    "selectionProbability, reward, attributes?, eligible?}`.",
    "text/csv": "A header line with the same names; attributes are columns `attributes.NAME` or one JSON object, "
    "`eligible` a JSON array or actions with `|` between them.",
    "application/vnd.apache.parquet": "Columns of the same names.",
}


class LogStored(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A log that can be evaluated now."""

    log_id: UUID
    rows: int


class PageQuery(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Which part of a list to answer; a cursor takes the place of an offset."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    offset: Count = 0
    cursor: str | None = None

    @property
    def start(self) -> int:
        """How many things stand before the page. Raises `InvalidInput` for a cursor that is none."""
        after = decode_cursor(self.cursor, Offset)
        return after.count if after else self.offset


class LogList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of logs, newest first."""

    data: list[LogSummary]
    pagination: Pagination


def pagination_of(query: PageQuery, shown: int, total: int) -> Pagination:
    """Return where a page stands among the rest."""
    ended_at = query.start + shown
    has_more = bool(shown) and ended_at < total
    return Pagination(
        total=total,
        limit=query.limit,
        has_more=has_more,
        next_cursor=encode_cursor(Offset(count=ended_at) if has_more else None),
    )


def parsed_id(text: str) -> UUID | None:
    """Return the id in a path, None for text that is none: it names nothing."""
    try:
        return UUID(text)
    except ValueError:
        return None


async def _store(call: Call[Upload]) -> Reply:
    services, upload = call.services, call.body
    summary, parts = await _read(upload, call)
    await services.off_policy.logs.add(call.tenant_id, summary, parts)
    return Reply(
        content=LogStored(log_id=summary.id, rows=summary.rows),
        status=201,
        headers={"Location": f"{_PATH}/{summary.id}"},
    )


async def _read(upload: Upload, call: Call[Upload]) -> tuple[LogSummary, list[bytes]]:
    """Receive the whole log, then check it, both beside the event loop; nothing is stored before its last row is.

    Raises `Unavailable` when the disk has no room for it.
    """
    try:
        with closing(SpooledTemporaryFile[bytes](max_size=_IN_MEMORY_BYTES)) as file:
            async for piece in upload.pieces:
                file.write(piece)
            file.seek(0)
            parts = READERS[upload.media_type](cast("BinaryIO", file))
            async with held(call.services.off_policy.uploads):
                return await asyncio.to_thread(_checked, parts, datetime.now(UTC))
    except OSError as error:
        logger("kaireon.api").error("An upload could not be kept on the disk", reason=str(error))
        message = "there is no room for this upload now; try again"
        raise Unavailable(message) from error


def _checked(parts: Iterator[LogPart], at: datetime) -> tuple[LogSummary, list[bytes]]:
    found = list(parts)
    return summary_of(uuid4(), found, at), [stored_part(part) for part in found]


async def _list(call: Call[None]) -> Reply:
    query: PageQuery = call.params
    page = await call.services.off_policy.logs.page(call.tenant_id, query.limit, query.start)
    return Reply(content=LogList(data=page.logs, pagination=pagination_of(query, len(page.logs), page.total)))


async def _get(call: Call[None]) -> Reply:
    return Reply(content=await find_log(call.services.off_policy.logs, call.tenant_id, parsed_id(call.path["id"])))


async def _delete(call: Call[None]) -> Reply:
    log_id = parsed_id(call.path["id"])
    if log_id is None or not await call.services.off_policy.logs.delete(call.tenant_id, log_id):
        raise NotFound("there is no such decision log")
    return Reply(status=204)


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="POST",
        path=_PATH,
        role=Role.EDITOR,
        handler=_store,
        summary="Store a log of decisions with their selection probabilities and rewards",
        uploads=_FORMS,
        body_limit=MAX_LOG_BYTES,
        headers={"Location": "Where the log is."},
        answers={201: LogStored, **READ_ERRORS, 413: None, 415: None},
    ),
    Operation(
        method="GET",
        path=_PATH,
        role=Role.VIEWER,
        handler=_list,
        summary="List decision logs, newest first",
        query=PageQuery,
        answers={200: LogList, **READ_ERRORS},
    ),
    Operation(
        method="GET",
        path=f"{_PATH}/{{id}}",
        role=Role.VIEWER,
        handler=_get,
        summary="Get what a decision log is about",
        answers={200: LogSummary, **ITEM_ERRORS},
    ),
    Operation(
        method="DELETE",
        path=f"{_PATH}/{{id}}",
        role=Role.EDITOR,
        handler=_delete,
        summary="Delete a decision log; its evaluations stay",
        answers={204: None, **ITEM_ERRORS},
    ),
)
