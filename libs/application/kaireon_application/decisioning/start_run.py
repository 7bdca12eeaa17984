"""Starting a batch run: its customers are stored with its job, and a worker is told to look."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import Protocol
from uuid import UUID, uuid4

import msgspec

from kaireon_application.decisioning.decide_list import DecideRequest
from kaireon_application.decisioning.decision_run import CHUNK_SIZE, NewRun
from kaireon_application.decisioning.plan_decision import PlanDecision
from kaireon_application.decisioning.recommend import anonymous_id
from kaireon_application.platform.job import Queue
from kaireon_application.platform.jobs import Jobs, JobSummons

_encode = msgspec.json.Encoder().encode


class RunShelf(Protocol):
    """Where runs are put for a worker to take."""

    async def insert(self, tenant_id: UUID, new: NewRun) -> None:
        """Write a run, its customers and its queued job in one transaction. Raises `Unavailable`."""
        ...


async def start_run(
    plan: PlanDecision, shelf: RunShelf, jobs: Jobs, tenant_id: UUID, request: DecideRequest, caller: str
) -> UUID:
    """Queue a run and return its id, which is its job's too.

    `caller` identifies anonymous customers, as in /recommend. Raises `NotFound` for an unknown flow.
    """
    await plan(str(tenant_id), request.decision_flow_key, request.routing)
    # A million customers take seconds; whoever else is being answered must not wait for them.
    new = await asyncio.to_thread(_new_run, request, caller)
    await shelf.insert(tenant_id, new)
    await jobs.summon(JobSummons(queue=Queue.BATCH, tenant_id=tenant_id, job_id=new.id))
    return new.id


def _new_run(request: DecideRequest, caller: str) -> NewRun:
    # The worker does not know the caller.
    customers = request.listed(anonymous_id(caller))
    chunks, total = list[bytes](), 0
    while chunk := list(islice(customers, CHUNK_SIZE)):
        chunks.append(_encode(chunk))
        total += len(chunk)
    shared = msgspec.structs.replace(request, customers=None, customer_ids=None)
    return NewRun(id=uuid4(), request=shared, total=total, chunks=chunks)
