"""Batch runs: how they stand, what they have decided, and an end before that."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from kaireon_api.decisioning.parquet import PARQUET, parquet_of
from kaireon_api.decisioning.run_results import LINES, lines_of
from kaireon_api.operation import ITEM_ERRORS, Call, Operation, Reply, Role
from kaireon_application.catalog.read_entity import get_view
from kaireon_application.decisioning.run_answer import (
    RunAccepted,
    RunAnswer,
    RunRecord,
    find_run,
    require_results,
    run_accepted,
    run_answer,
)
from kaireon_application.decisioning.run_terms import ResultsFormat
from kaireon_application.engagement.run_definition import RUN
from kaireon_application.errors import NotFound
from kaireon_application.platform.job import JobStatus


class ResultsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The query string of the results; without it the Accept header tells the format."""

    format: ResultsFormat | None = None


def accept_run(run_id: UUID) -> Reply:
    """Return the answer to a call that queued a run: 202 with where to look."""
    answered = run_accepted(run_id)
    return Reply(content=answered, status=202, headers={"location": answered.status_url})


async def _find(call: Call[Any]) -> RunRecord:
    return await find_run(call.services.runs, call.tenant_id, call.path["id"])


async def _get(call: Call[Any]) -> Reply:
    try:
        record = await _find(call)
    except NotFound:
        # What is defined has a key too, and its own id.
        return Reply(content=await get_view(call.services.entities, call.tenant_id, RUN, call.path["id"]))
    return _answer(record)


def _answer(record: RunRecord) -> Reply:
    return Reply(content=run_answer(record, datetime.now(UTC)))


async def _cancel(call: Call[Any]) -> Reply:
    found = await _find(call)
    job = await call.services.jobs.cancel(call.tenant_id, found.job.id)
    if job.status != JobStatus.CANCELLED:
        return accept_run(job.id)
    return _answer(await _find(call))


async def _results(call: Call[Any]) -> Reply:
    query: ResultsQuery = call.params
    record = await _find(call)
    require_results(record)
    is_parquet = (query.format or _accepted(call) or record.terms.format) is ResultsFormat.PARQUET
    lines = lines_of(call.services.runs, call.tenant_id, record.job.id)
    name = f"run-{record.job.id}.{'parquet' if is_parquet else 'ndjson'}"
    return Reply(
        stream=parquet_of(lines) if is_parquet else lines,
        media_type=PARQUET if is_parquet else LINES,
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


def _accepted(call: Call[Any]) -> ResultsFormat | None:
    accept = call.headers.get("accept", "")
    forms = {PARQUET: ResultsFormat.PARQUET, LINES: ResultsFormat.NDJSON}
    return next((format_ for media_type, format_ in forms.items() if media_type in accept), None)


_PATH = "/api/v1/runs/{id}"
OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="GET",
        path=_PATH,
        role=Role.VIEWER,
        handler=_get,
        summary="Get a batch run: its progress, and its summary once it is over; or a run definition",
        answers={200: dict[str, Any], **ITEM_ERRORS},
    ),
    Operation(
        method="GET",
        path=f"{_PATH}/results",
        role=Role.VIEWER,
        handler=_results,
        summary="Download the results of a batch run that is over, one per customer in the order of the list",
        query=ResultsQuery,
        find=_find,
        answers={200: None, **ITEM_ERRORS, 409: None},
        media_type=LINES,
        other_forms={PARQUET: "One row per customer, with the columns of docs/reference/decide.md."},
        headers={"Content-Disposition": "A name for the file."},
    ),
    Operation(
        method="POST",
        path=f"{_PATH}/cancel",
        role=Role.VIEWER,
        handler=_cancel,
        summary="Cancel a batch run: at once while it waits, after the customers in hand while it runs",
        answers={200: RunAnswer, 202: RunAccepted, **ITEM_ERRORS, 409: None},
    ),
)
