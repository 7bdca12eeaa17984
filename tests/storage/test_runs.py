"""Batch runs: a result is written with its decision or not at all, and only by who holds the job."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import msgspec
import pytest

from kaireon_application.decisioning.decide_list import DecideCustomer, DecideRequest
from kaireon_application.decisioning.decision_run import (
    CHUNK_SIZE,
    JOB_TYPE,
    NewRun,
    PartRefused,
    RunCounts,
    RunLine,
    RunPart,
    RunStand,
    RunSummary,
)
from kaireon_application.platform.job import Job, LeaseLost, Queue
from kaireon_application.platform.job_runner import Lease
from kaireon_storage.postgres.decisions import PostgresDecisions
from kaireon_storage.postgres.jobs import PostgresJobStore
from kaireon_storage.postgres.runs import PostgresRunProgress, PostgresRuns
from tests.storage.test_decisions import OFFER, TRICKY, decision, rows

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from kaireon_storage.postgres.database import Database
    from kaireon_testkit.platform.tenant import Tenant

CUSTOMERS = ("a", TRICKY, "b")


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """Implements `JobRun` for who has leased a job."""

    job: Job
    lease_token: UUID = field(default_factory=uuid4)

    async def report(self, processed: int, total: int | None) -> None:
        """Nobody looks."""


async def members(tenant_id: UUID, segment_id: str) -> AsyncGenerator[list[str]]:
    """Yield the members of a segment that says them."""
    yield [segment_id + "1"]
    yield [segment_id + str(number) for number in range(2, CHUNK_SIZE + 2)]


@pytest.fixture
def progress(database: Database) -> PostgresRunProgress:
    return PostgresRunProgress(database, PostgresDecisions(database), members, lambda: None)


@pytest.fixture
async def run(database: Database, tenant: Tenant) -> Attempt:
    """A leased run of three customers in two chunks."""
    sent = [DecideCustomer(customer_id=id_, attributes={"n": 1.0}) for id_ in CUSTOMERS]
    new = NewRun(
        id=uuid4(),
        request=DecideRequest(channel="web", limit=3),
        total=len(CUSTOMERS),
        chunks=[msgspec.json.encode(sent[:2]), msgspec.json.encode(sent[2:])],
    )
    await PostgresRuns(database).insert(tenant.tenant_id, new)
    job = Job(id=new.id, tenant_id=tenant.tenant_id, queue=Queue.BATCH, type=JOB_TYPE, payload={}, attempt=1)
    return await leased(database, Attempt(job=job))


async def leased(database: Database, run: Attempt) -> Attempt:
    lease = Lease(tenant_id=run.job.tenant_id, job_id=run.job.id, token=run.lease_token)
    assert await PostgresJobStore(database).claim(lease, 60) is not None
    return run


async def relieved(database: Database, run: Attempt) -> Attempt:
    """Return the attempt of a worker that has taken the job over."""
    async with database.system_transaction() as connection:
        await connection.execute("UPDATE jobs SET leased_until = now() - interval '1 s' WHERE id = %s", (run.job.id,))
    return await leased(database, Attempt(job=run.job))


async def places(progress: PostgresRunProgress, run: Attempt) -> list[int]:
    """Return who is left of the next chunk."""
    return [one.place for one in await progress.claim(run) or ()]


def part(tenant: Tenant, *customers: tuple[int, str, int]) -> RunPart:
    """Return the decisions of (place, customer, expected version)."""
    return RunPart(
        changes=[decision(tenant, customer, version) for _, customer, version in customers],
        lines=[RunLine(place=place, line=msgspec.json.encode({"who": who})) for place, who, _ in customers],
    )


async def test_what_was_sent_is_read_back_and_what_has_a_result_is_not(
    progress: PostgresRunProgress, run: Attempt, database: Database, tenant: Tenant
) -> None:
    plan = await progress.open(run)
    assert plan is not None
    assert (plan.total, plan.request.channel, plan.request.limit) == (3, "web", 3)
    first = await progress.claim(run)
    assert first is not None
    assert [(one.place, one.customer.customer_id) for one in first] == [(0, "a"), (1, TRICKY)]
    assert first[0].customer.attributes == {"n": 1.0}
    assert await places(progress, run) == [CHUNK_SIZE]
    assert await progress.claim(run) is None
    assert await progress.stand(run) == RunStand(processed=0, is_complete=False)

    won = await progress.committing(run)(part(tenant, (1, TRICKY, 0), (0, "a", 0)))

    assert won == [True, True]
    assert await progress.stand(run) == RunStand(processed=2, is_complete=False)
    await progress.committing(run)(RunPart(refusals=[RunLine(place=CHUNK_SIZE, line=b"{}")]))
    assert await progress.stand(run) == RunStand(processed=3, is_complete=True)
    found = await PostgresRuns(database).lines(tenant.tenant_id, run.job.id, -1, 10)
    assert [(place, msgspec.json.decode(line)) for place, line in found[:2]] == [
        (0, {"who": "a"}),
        (1, {"who": TRICKY}),
    ]


async def test_the_members_of_a_segment_are_read_once(
    progress: PostgresRunProgress, run: Attempt, database: Database, tenant: Tenant
) -> None:
    new = NewRun(id=uuid4(), request=DecideRequest(segment_id="s"), total=None, chunks=())
    await PostgresRuns(database).insert(tenant.tenant_id, new)
    waiting = await PostgresRuns(database).get(tenant.tenant_id, new.id)
    assert waiting is not None
    assert waiting.job.total is None

    opened = await leased(database, Attempt(job=msgspec.structs.replace(run.job, id=new.id)))
    plans = [await progress.open(opened) for _ in range(2)]

    assert [plan and plan.total for plan in plans] == [CHUNK_SIZE + 1] * 2
    first, last = await progress.claim(opened), await progress.claim(opened)
    assert [len(first or ()), [one.customer.customer_id for one in last or ()]] == [CHUNK_SIZE, [f"s{CHUNK_SIZE + 1}"]]


async def test_who_moved_on_has_no_result(
    progress: PostgresRunProgress, run: Attempt, database: Database, tenant: Tenant
) -> None:
    await PostgresDecisions(database).commit_decisions([decision(tenant, "a")])

    await progress.claim(run)
    assert await progress.committing(run)(part(tenant, (0, "a", 0), (1, TRICKY, 0))) == [False, True]
    run = await relieved(database, run)
    assert await places(progress, run) == [0]
    async with progress.holding(run, "a") as commit:
        assert await commit(part(tenant, (0, "a", 1))) == [True]
    assert await places(progress, await relieved(database, run)) == [CHUNK_SIZE]
    assert len(await rows(database, "decision_traces")) == 3


async def test_nobody_else_commits_for_a_customer_who_is_held(
    progress: PostgresRunProgress, run: Attempt, database: Database, tenant: Tenant
) -> None:
    await progress.claim(run)
    async with progress.holding(run, "a") as commit:
        other = asyncio.create_task(PostgresDecisions(database).commit_decisions([decision(tenant, "a", 0)]))
        await asyncio.sleep(0)
        assert await commit(part(tenant, (0, "a", 0))) == [True]
    assert await other == [False]


async def test_who_has_lost_the_lease_writes_nothing(
    progress: PostgresRunProgress, run: Attempt, database: Database, tenant: Tenant
) -> None:
    await progress.claim(run)
    await relieved(database, run)

    with pytest.raises(LeaseLost):
        await progress.committing(run)(part(tenant, (0, "a", 0)))
    with pytest.raises(LeaseLost):
        async with progress.holding(run, "a"):
            pass
    assert await rows(database, "decision_traces") == []
    assert await rows(database, "decision_run_results") == []


async def test_no_customer_of_a_run_has_two_results(
    progress: PostgresRunProgress, run: Attempt, database: Database, tenant: Tenant
) -> None:
    await progress.claim(run)
    await progress.committing(run)(part(tenant, (0, "a", 0)))
    with pytest.raises(PartRefused):
        await progress.committing(run)(part(tenant, (0, "a", 1), (1, TRICKY, 0)))
    assert len(await rows(database, "decision_traces")) == 1


async def test_what_was_decided_is_counted(progress: PostgresRunProgress, run: Attempt, tenant: Tenant) -> None:
    await progress.claim(run)
    await progress.claim(run)
    await progress.committing(run)(part(tenant, (0, "a", 0), (1, TRICKY, 0)))
    await progress.committing(run)(RunPart(refusals=[RunLine(place=CHUNK_SIZE, line=b'{"code": "X"}')]))
    seen = list[RunCounts]()

    def summarise(counts: RunCounts) -> RunSummary:
        seen.append(counts)
        return RunSummary(
            customers_processed=counts.processed,
            customers_failed=counts.failed,
            customers_with_recommendations=counts.with_recommendations,
            total_recommendations=counts.recommendations,
            average_offers_per_customer=1.0,
            by_offer=[],
            by_channel=[],
        )

    summary = await progress.finish(run, summarise)

    counted = RunCounts(
        processed=3, failed=1, with_recommendations=2, recommendations=2, offers=[(OFFER, 2)], channels=[]
    )
    assert seen == [counted]
    record = await PostgresRuns(progress._database).get(tenant.tenant_id, run.job.id)
    assert record is not None
    assert record.summary == summary
