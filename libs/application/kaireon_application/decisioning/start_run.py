"""Starting a batch run: its customers are stored with its job, and a worker is told to look."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from itertools import islice
from typing import Protocol
from uuid import UUID, uuid4

import msgspec

from kaireon_application.catalog.entities import Entities
from kaireon_application.decisioning.decide_list import DecideRequest
from kaireon_application.decisioning.decision_run import CHUNK_SIZE, NewRun
from kaireon_application.decisioning.plan_decision import PlanDecision
from kaireon_application.decisioning.recommend import anonymous_id
from kaireon_application.errors import NotFound
from kaireon_application.platform.job import Queue
from kaireon_application.platform.jobs import Jobs, JobSummons

_encode = msgspec.json.Encoder().encode


class RunShelf(Protocol):
    """Where runs are put for a worker to take."""

    async def insert(self, tenant_id: UUID, new: NewRun) -> None:
        """Write a run, its customers and its queued job in one transaction. Raises `Unavailable`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRun:
    """The use case."""

    plan: PlanDecision
    entities: Entities
    shelf: RunShelf
    jobs: Jobs

    async def __call__(self, tenant_id: UUID, request: DecideRequest, caller: str) -> UUID:
        """Queue a run and return its id, which is its job's too.

        `caller` identifies anonymous customers, as in /recommend. Raises `NotFound` for an unknown flow or segment.
        """
        await self.plan(str(tenant_id), request.decision_flow_key, request.routing)
        if request.segment_id is not None:
            new = await self._of_segment(tenant_id, request, request.segment_id)
        else:
            # A million customers take seconds; whoever else is being answered must not wait for them.
            new = await asyncio.to_thread(_of_list, request, caller)
        await self.shelf.insert(tenant_id, new)
        await self.jobs.summon(JobSummons(queue=Queue.BATCH, tenant_id=tenant_id, job_id=new.id))
        return new.id

    async def _of_segment(self, tenant_id: UUID, request: DecideRequest, reference: str) -> NewRun:
        """Return the run of a segment, whose members the worker reads."""
        async with self.entities.reading(tenant_id) as reader:
            segment = (await reader.find("segment", [reference])).get(reference)
        if segment is None:
            raise NotFound.reference("$.segmentId", f"there is no segment {reference!r} in this tenant")
        named = msgspec.structs.replace(request, segment_id=str(segment.id))
        return NewRun(id=uuid4(), request=named, total=None, chunks=())


def _of_list(request: DecideRequest, caller: str) -> NewRun:
    # The worker does not know the caller.
    customers = request.listed(anonymous_id(caller))
    chunks, total = list[bytes](), 0
    while chunk := list(islice(customers, CHUNK_SIZE)):
        chunks.append(_encode(chunk))
        total += len(chunk)
    shared = msgspec.structs.replace(request, customers=None, customer_ids=None)
    return NewRun(id=uuid4(), request=shared, total=total, chunks=chunks)
