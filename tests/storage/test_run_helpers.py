"""Who helps with a batch run: a lease of their own, chunks that nobody else holds, and an end with the run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec
import pytest

from kaireon_application.decisioning.decide_list import DecideCustomer, DecideRequest
from kaireon_application.decisioning.decision_run import CHUNK_SIZE, ChunkTaken, NewRun, RunLine, RunPart, RunStand
from kaireon_application.decisioning.run_terms import FrequencyCaps, RunTerms
from kaireon_application.platform.job import JobStatus, LeaseLost
from kaireon_application.platform.job_runner import Lease, Progress, Settlement
from kaireon_storage.postgres.decisions import PostgresDecisions
from kaireon_storage.postgres.jobs import PostgresJobBook
from kaireon_storage.postgres.run_helpers import PostgresRunHelpers, hold_helper
from kaireon_storage.postgres.runs import PostgresRunProgress, PostgresRuns
from tests.storage.test_runs import Attempt, leased, members, run

if TYPE_CHECKING:
    from kaireon_storage.postgres.database import Database
    from kaireon_testkit.platform.tenant import Tenant

__all__ = ["run"]

CHUNKS = 4
NOTHING = Progress(processed=0, total=None)
LINE = b'{"code": "X"}'


@pytest.fixture
def leading(database: Database) -> PostgresRunProgress:
    return PostgresRunProgress(database, PostgresDecisions(database), members, lambda: None)


@pytest.fixture
def helping(database: Database) -> PostgresRunProgress:
    return PostgresRunProgress(database, PostgresDecisions(database), members, lambda: None, hold_helper)


@pytest.fixture
def helpers(database: Database) -> PostgresRunHelpers:
    return PostgresRunHelpers(database)


async def begin(database: Database, run: Attempt, caps: FrequencyCaps | None = None) -> Attempt:
    """Return the leader of a run of four chunks, of one customer each but for their places."""
    chunks = [msgspec.json.encode([DecideCustomer(customer_id=str(number))]) for number in range(CHUNKS)]
    terms = RunTerms(frequency_caps=caps or FrequencyCaps())
    new = NewRun(id=uuid4(), request=DecideRequest(), total=CHUNKS, chunks=chunks, terms=terms)
    await PostgresRuns(database).insert(run.job.tenant_id, new)
    return await leased(database, Attempt(job=msgspec.structs.replace(run.job, id=new.id)))


def lease_of(run: Attempt) -> Lease:
    return Lease(tenant_id=run.job.tenant_id, job_id=run.job.id, token=run.lease_token)


async def joined(helpers: PostgresRunHelpers, leader: Attempt, seconds: float = 60) -> Attempt:
    helper = replace(leader, lease_token=uuid4())
    assert await helpers.claim(lease_of(helper), seconds) is not None
    return helper


async def place(progress: PostgresRunProgress, who: Attempt) -> int | None:
    """Return the place of the only customer of the next chunk."""
    claimed = await progress.claim(who)
    return claimed[0].place if claimed else None


def refusal(number: int) -> RunPart:
    return RunPart(refusals=[RunLine(place=number * CHUNK_SIZE, line=LINE)])


async def test_those_who_decide_a_run_hold_different_chunks(
    database: Database,
    run: Attempt,
    leading: PostgresRunProgress,
    helping: PostgresRunProgress,
    helpers: PostgresRunHelpers,
) -> None:
    leader = await begin(database, run)
    helper = await joined(helpers, leader)
    assert [await place(leading, leader), await place(helping, helper), await place(leading, leader)] == [0, 500, 1000]

    await leading.committing(leader)(refusal(0))
    await helping.committing(helper)(refusal(1))
    assert await leading.stand(leader) == RunStand(processed=2, is_complete=False)
    with pytest.raises(ChunkTaken):
        await helping.committing(helper)(refusal(2))

    settled = Settlement(status=JobStatus.COMPLETED)
    assert await place(helping, helper) == 1500
    assert await helpers.settle(lease_of(helper), NOTHING, settled)
    assert await place(leading, leader) == 1500
    assert await leading.claim(leader) is None


@pytest.mark.parametrize("seconds", [pytest.param(0, id="lapsed"), pytest.param(3600, id="the clock was set back")])
async def test_a_chunk_of_a_lost_helper_is_taken_and_the_helper_writes_nothing_more(
    database: Database,
    run: Attempt,
    leading: PostgresRunProgress,
    helping: PostgresRunProgress,
    helpers: PostgresRunHelpers,
    seconds: float,
) -> None:
    leader = await begin(database, run)
    lost = await joined(helpers, leader, seconds)
    assert await place(helping, lost) == 0
    assert await place(leading, leader) == 0
    with pytest.raises(ChunkTaken):
        await helping.committing(lost)(refusal(0))
    assert await helpers.renew(lease_of(lost), NOTHING, 60) is False


async def test_what_was_written_of_a_chunk_without_its_holder_is_counted_when_it_is_taken(
    database: Database, run: Attempt, leading: PostgresRunProgress
) -> None:
    leader = await begin(database, run)
    async with database.transaction(run.job.tenant_id) as connection:
        await connection.execute(
            "INSERT INTO decision_run_results (tenant_id, run_id, place, line, is_error, offer_ids, channel_ids)"
            " VALUES (%s, %s, 0, '{}', true, '{}', '{}')",
            (leader.job.tenant_id, leader.job.id),
        )
        await connection.execute("UPDATE decision_run_chunks SET place_count = NULL")
    assert await leading.claim(leader) == []
    assert await leading.stand(leader) == RunStand(processed=1, is_complete=False)
    assert await place(leading, leader) == 500


async def test_a_run_is_helped_with_while_more_is_left_than_is_held(
    database: Database, run: Attempt, leading: PostgresRunProgress, helpers: PostgresRunHelpers
) -> None:
    assert await helpers.find() is None, "a run of two chunks is its leader's"
    leader = await begin(database, run)
    assert await helpers.find() == (leader.job.tenant_id, leader.job.id)
    helper = await joined(helpers, leader)
    assert await helpers.find() is None, "two times two chunks are held"
    await helpers.settle(lease_of(helper), NOTHING, Settlement(status=JobStatus.COMPLETED))
    assert await helpers.find() is not None
    for number in range(2):
        await leading.claim(leader)
        await leading.committing(leader)(refusal(number))
    assert await helpers.find() is None


@pytest.mark.parametrize("caps", [FrequencyCaps(max_per_offer=1), FrequencyCaps(max_total_per_run=9)])
async def test_nobody_helps_with_a_run_that_has_caps(
    database: Database, run: Attempt, helpers: PostgresRunHelpers, caps: FrequencyCaps
) -> None:
    await begin(database, run, caps)
    assert await helpers.find() is None


async def test_a_helper_ends_with_the_run(
    database: Database,
    tenant: Tenant,
    run: Attempt,
    leading: PostgresRunProgress,
    helping: PostgresRunProgress,
    helpers: PostgresRunHelpers,
) -> None:
    leader = await begin(database, run)
    dismissed, cancelled = await joined(helpers, leader), await joined(helpers, leader)
    assert await place(helping, cancelled) == 0
    assert await helpers.renew(lease_of(cancelled), NOTHING, 60) is False

    await PostgresJobBook(database).cancel(tenant.tenant_id, leader.job.id)

    assert await helpers.renew(lease_of(cancelled), NOTHING, 60) is True
    with pytest.raises(LeaseLost):
        await helping.committing(cancelled)(refusal(0))
    assert await helpers.find() is None
    assert await helpers.claim(lease_of(replace(leader, lease_token=uuid4())), 60) is None
    await leading.dismiss(leader)
    assert await helpers.renew(lease_of(dismissed), NOTHING, 60) is None
    assert await leading.stand(leader) == RunStand(processed=0, is_complete=False)
