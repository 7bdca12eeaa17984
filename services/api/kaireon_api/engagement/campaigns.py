"""Campaigns over HTTP: runs that are defined once, and triggered by people or a schedule."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from kaireon_api.catalog.crud import create_operation, delete_operation, list_operation, update_operation
from kaireon_api.decisioning.runs import accept_run
from kaireon_api.operation import ITEM_ERRORS, Call, Operation, Reply, Role
from kaireon_api.pagination import pagination_of
from kaireon_application.catalog.entities import Entity
from kaireon_application.catalog.forms import Pagination
from kaireon_application.catalog.read_entity import get_entity
from kaireon_application.decisioning.run_answer import RunAccepted, RunAnswer, run_answer
from kaireon_application.engagement.run_definition import KIND, RUN
from kaireon_application.engagement.trigger_run import run_of
from kaireon_application.platform.cursor import Offset, decode_cursor
from kaireon_application.platform.job import Queue
from kaireon_application.platform.jobs import JobSummons


class ExecutionParameters(msgspec.Struct, frozen=True, kw_only=True):
    """The query string of the runs of a definition."""

    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    cursor: str | None = None


class ExecutionList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of runs, newest first."""

    data: list[RunAnswer]
    pagination: Pagination


async def _definition(call: Call[Any]) -> Entity:
    return await get_entity(call.services.entities, call.tenant_id, KIND, call.path["id"])


async def _trigger(call: Call[Any]) -> Reply:
    new = run_of(await _definition(call), due_at=None)
    await call.services.runs.insert(call.tenant_id, new)
    await call.services.jobs.summon(JobSummons(queue=Queue.BATCH, tenant_id=call.tenant_id, job_id=new.id))
    return accept_run(new.id)


async def _executions(call: Call[Any]) -> Reply:
    parameters: ExecutionParameters = call.params
    definition = await _definition(call)
    before = decode_cursor(parameters.cursor, Offset)
    found, total = await call.services.runs.list(
        call.tenant_id, definition.id, before.count if before else None, parameters.limit + 1
    )
    shown = found[: parameters.limit]
    last = shown[-1].run_number if len(found) > len(shown) else None
    pagination = pagination_of(total, parameters.limit, None if last is None else Offset(count=last))
    now = datetime.now(UTC)
    return Reply(content=ExecutionList(data=[run_answer(record, now) for record in shown], pagination=pagination))


OPERATIONS: tuple[Operation, ...] = (
    list_operation(RUN),
    create_operation(RUN),
    update_operation(RUN),
    delete_operation(RUN),
    Operation(
        method="POST",
        path="/api/v1/runs/{id}/trigger",
        role=Role.EDITOR,
        handler=_trigger,
        summary="Start a run of a definition now, whatever its schedule",
        answers={202: RunAccepted, **ITEM_ERRORS, 409: None},
    ),
    Operation(
        method="GET",
        path="/api/v1/runs/{id}/executions",
        role=Role.VIEWER,
        handler=_executions,
        summary="List the runs of a definition, newest first",
        query=ExecutionParameters,
        find=_definition,
        answers={200: ExecutionList, **ITEM_ERRORS},
    ),
)
