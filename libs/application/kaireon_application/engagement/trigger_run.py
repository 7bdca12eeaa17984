"""Starting the runs of campaigns: by hand, or because their schedule says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Protocol
from uuid import UUID, uuid4

import msgspec

from kaireon_application.catalog.entities import Entities, Entity, ListQuery
from kaireon_application.decisioning.decide_list import DecideRequest
from kaireon_application.decisioning.decision_run import NewRun, RunOrigin
from kaireon_application.decisioning.run_terms import RunTerms
from kaireon_application.engagement.run_definition import KIND
from kaireon_application.engagement.run_schedule import latest_due
from kaireon_application.errors import Conflict, Unavailable

_ALL = 10_000


class CampaignShelf(Protocol):
    """Where runs are put for a worker to take."""

    async def insert(self, tenant_id: UUID, new: NewRun) -> None:
        """Write a run with its queued job. Raises `Conflict` when the definition's due instant has its run already."""
        ...

    async def last_due(self, tenant_id: UUID, definition_id: UUID) -> datetime | None:
        """Return the last instant of its schedule for which a definition has a run, or None."""
        ...


class DueRuns(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the definitions, by outcome, and for which tenants nothing could be said."""

    counts: dict[str, int]
    failures: tuple[str, ...]


def run_of(definition: Entity, due_at: datetime | None) -> NewRun:
    """Return a run of a definition. Raises `Conflict` when it is archived."""
    if definition.status == "archived":
        raise Conflict(f"the run definition {definition.key!r} is archived")
    body = definition.body
    request = DecideRequest(segment_id=body["segmentId"], decision_flow_key=body["decisionFlowId"], limit=body["limit"])
    wanted = {
        "channelIds": body["channelIds"],
        "frequencyCaps": body["frequencyCaps"],
        "format": body["fileConfig"]["format"],
    }
    return NewRun(
        id=uuid4(),
        request=request,
        total=None,
        chunks=(),
        terms=msgspec.convert(wanted, RunTerms),
        origin=RunOrigin(definition_id=definition.id, due_at=due_at),
    )


async def start_due_runs(
    entities: Entities, shelf: CampaignShelf, tenant_ids: Iterable[UUID], now: datetime
) -> DueRuns:
    """Write a run for each active definition whose schedule has come, once for each instant however often it is asked.

    Of several instants that came since, the last one counts; what came before a definition's last change is not made up
    for. A worker finds the runs by itself.
    """
    counts, failures = Counter[str](startedRuns=0), list[str]()
    for tenant_id in tenant_ids:
        try:
            for definition in await _scheduled(entities, tenant_id):
                counts["startedRuns"] += await _start(shelf, tenant_id, definition, now)
        except Unavailable as error:
            failures.append(f"{tenant_id}: {error.message}")
    return DueRuns(counts=dict(counts), failures=tuple(failures))


async def _scheduled(entities: Entities, tenant_id: UUID) -> list[Entity]:
    async with entities.reading(tenant_id) as reader:
        page = await reader.page(KIND, ListQuery(limit=_ALL, status="active"))
    return list(page.entities)


async def _start(shelf: CampaignShelf, tenant_id: UUID, definition: Entity, now: datetime) -> bool:
    before = await shelf.last_due(tenant_id, definition.id)
    after = definition.updated_at if before is None else max(before, definition.updated_at)
    due_at = latest_due(definition.body, after, now)
    if due_at is None:
        return False
    try:
        await shelf.insert(tenant_id, run_of(definition, due_at))
    except Conflict:
        return False
    return True
