"""The dead-letter list over HTTP: events that no sink took, jobs that no worker could finish."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec

from kaireon_api.operation import Call, Operation, Reply, Role
from kaireon_application.platform.dead_letters import (
    DeadLetterAction,
    DeadLetterChoice,
    DeadLetterReport,
    purge_dead_letters,
    report_dead_letters,
    retry_dead_letters,
)
from kaireon_runtime.catalogue import DLQ_DEPTH


class DeadLetterQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The query string of the list."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50
    topic: str | None = None


class DeadLetterBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What to do, and with which dead letters: all of the tenant's, those of a topic, or these."""

    action: DeadLetterAction
    event_ids: Annotated[list[UUID], msgspec.Meta(max_length=1000)] | None = None
    topic: str | None = None


class DeadLetterOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """How many dead letters have another life, or are gone for good."""

    action: DeadLetterAction
    requeued: int | msgspec.UnsetType = msgspec.UNSET
    deleted: int | msgspec.UnsetType = msgspec.UNSET


async def _report(call: Call[Any]) -> Reply:
    query: DeadLetterQuery = call.params
    services = call.services
    report = await report_dead_letters(
        services.dead_letters, call.tenant_id, DeadLetterChoice(topic=query.topic), query.limit
    )
    if query.topic is None:
        services.metrics.set(DLQ_DEPTH, report.total_events, call.principal.tenant_key)
    return Reply(content=report)


async def _act(call: Call[DeadLetterBody]) -> Reply:
    body, services = call.body, call.services
    choice = DeadLetterChoice(ids=None if body.event_ids is None else tuple(body.event_ids), topic=body.topic)
    if body.action == DeadLetterAction.PURGE:
        deleted_count = await purge_dead_letters(services.dead_letters, call.tenant_id, choice)
        return Reply(content=DeadLetterOutcome(action=body.action, deleted=deleted_count))
    requeued_count = await retry_dead_letters(services.dead_letters, services.announcer, call.tenant_id, choice)
    return Reply(content=DeadLetterOutcome(action=body.action, requeued=requeued_count))


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="GET",
        path="/api/v1/admin/dlq",
        role=Role.ADMIN,
        handler=_report,
        summary="List dead letters, newest first; the topic is an event's type or a job's queue",
        query=DeadLetterQuery,
        answers={200: DeadLetterReport},
    ),
    Operation(
        method="POST",
        path="/api/v1/admin/dlq",
        role=Role.ADMIN,
        handler=_act,
        summary="Retry or purge dead letters",
        body=DeadLetterBody,
        example={"action": "retry", "topic": "seed-jobs"},
        answers={200: DeadLetterOutcome, 404: None, 409: None},
    ),
)
