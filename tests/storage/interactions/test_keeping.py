"""Stores beside Postgres get every interaction: at once, or later, and once. The other store is another database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

import pytest

from kaireon_application.customers.history import HistoryQuery
from kaireon_application.customers.interaction_store import ExportWindow, InteractionRecord, StoreRefusal
from kaireon_application.customers.keep_stores import RepairStores, StoreResponses
from kaireon_application.errors import Unavailable
from kaireon_runtime.metrics import Metrics
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.decisions import PostgresDecisions
from kaireon_storage.postgres.interactions import PostgresInteractions
from kaireon_storage.postgres.store_marks import PostgresStoreMarks
from kaireon_testkit.native.clones import cloned_database
from tests.storage.test_decisions import decision, response

if TYPE_CHECKING:
    from kaireon_testkit.platform.tenant import Tenant

EVERYTHING = HistoryQuery(limit=100)


class Moody(PostgresInteractions):
    """A real store that can be away, slow, or refuse one interaction; it counts what is written to it."""

    is_away = False
    delay_seconds = 0.0
    refused: str | None = None
    writes = 0

    async def write(self, records: Sequence[InteractionRecord]) -> None:
        self.writes += len(records)
        await asyncio.sleep(self.delay_seconds)
        if self.is_away:
            raise Unavailable
        if any(record.customer_id == self.refused for record in records):
            raise StoreRefusal
        await super().write(records)


@pytest.fixture
async def other(template_url: str) -> AsyncIterator[Moody]:
    with cloned_database(template_url) as url:
        database = Database(url, application_name="tests")
        await database.open()
        yield Moody(database)
        await database.close()


@pytest.fixture
def decisions(database: Database) -> PostgresDecisions:
    return PostgresDecisions(database, is_marked=True)


@pytest.fixture
def marks(database: Database) -> PostgresStoreMarks:
    return PostgresStoreMarks(database)


@pytest.fixture
async def responses(other: Moody, marks: PostgresStoreMarks) -> AsyncIterator[StoreResponses]:
    kept = StoreResponses(
        {"other": other}, marks, Metrics(), timeout_seconds=0.5, retention_days=None, monotonic=time.monotonic
    )
    yield kept
    await kept.drain()


@pytest.fixture
def repair(other: Moody, marks: PostgresStoreMarks) -> RepairStores:
    return RepairStores({"other": other}, marks, Metrics(), retention_days=None)


async def contents(store: PostgresInteractions) -> list[InteractionRecord]:
    return list((await store.export(ExportWindow(), None, 1000)).records)


async def make_due(database: Database) -> None:
    """Let the time pass after which a repairer looks at what was just recorded."""
    async with database.system_transaction() as connection:
        await connection.execute("UPDATE interaction_marks SET due_at = now()")


async def test_without_other_stores_nothing_is_marked(
    database: Database, tenant: Tenant, marks: PostgresStoreMarks
) -> None:
    decisions = PostgresDecisions(database)
    await decisions.commit_decisions([decision(tenant)])
    await decisions.commit_responses([response(tenant)])

    assert (await marks.backlog()).interactions == 0


async def test_impressions_of_decisions_are_written_by_the_repairer(
    decisions: PostgresDecisions, database: Database, tenant: Tenant, other: Moody, repair: RepairStores
) -> None:
    await decisions.commit_decisions([decision(tenant, f"c{number}") for number in range(5)])
    await decisions.commit_decisions([decision(tenant, "c0", version=0)])  # it lost: nothing of it is marked

    report = await repair()

    assert (report.written, report.refused, report.has_more) == (5, 0, False)
    assert await contents(other) == await contents(PostgresInteractions(database))
    assert (await repair()).written == 0


async def test_a_response_is_in_the_store_before_it_is_answered(
    decisions: PostgresDecisions,
    database: Database,
    tenant: Tenant,
    other: Moody,
    responses: StoreResponses,
    marks: PostgresStoreMarks,
) -> None:
    changes = [response(tenant, f"c{number}", f"k{number}") for number in range(40)]
    await decisions.commit_responses(changes)
    assert (await marks.backlog()).interactions == 40

    await asyncio.gather(*map(responses, changes))

    assert await contents(other) == await contents(PostgresInteractions(database))
    await responses.drain()
    assert (await marks.backlog()).interactions == 0


@pytest.mark.parametrize("fault", ["away", "slow"])
async def test_what_a_store_does_not_take_is_written_later_once(
    fault: str,
    decisions: PostgresDecisions,
    database: Database,
    tenant: Tenant,
    other: Moody,
    responses: StoreResponses,
    repair: RepairStores,
) -> None:
    other.is_away, other.delay_seconds = fault == "away", 30.0 if fault == "slow" else 0.0
    first, second = response(tenant, "c1", "k1"), response(tenant, "c2", "k2")
    await decisions.commit_responses([first, second])

    await responses(first)
    assert other.writes == 1
    await responses(second)  # nobody else waits for it

    assert other.writes == 1
    assert (await repair()).written == 0  # not its business yet
    await make_due(database)
    if fault == "away":
        with pytest.raises(Unavailable):
            await repair()
    other.is_away, other.delay_seconds = False, 0.0
    reports = await asyncio.gather(repair(), repair(), repair())
    assert sum(report.written for report in reports) == 2
    assert await contents(other) == await contents(PostgresInteractions(database))


async def test_a_crash_between_commit_and_store_loses_nothing(
    decisions: PostgresDecisions, database: Database, tenant: Tenant, other: Moody, repair: RepairStores
) -> None:
    await decisions.commit_responses([response(tenant)])
    await make_due(database)
    other.delay_seconds = 30.0
    crashed = asyncio.create_task(repair())
    while other.writes == 0:
        await asyncio.sleep(0.01)
    crashed.cancel()
    await asyncio.gather(crashed, return_exceptions=True)
    other.delay_seconds = 0.0

    assert (await repair()).written == 1
    assert len(await contents(other)) == 1


async def test_one_that_is_refused_does_not_hold_up_the_others(
    decisions: PostgresDecisions,
    database: Database,
    tenant: Tenant,
    other: Moody,
    repair: RepairStores,
    marks: PostgresStoreMarks,
) -> None:
    other.refused = "c1"
    await decisions.commit_decisions([decision(tenant, f"c{number}") for number in range(3)])

    report = await repair()

    assert (report.written, report.refused) == (2, 1)
    assert {record.customer_id for record in await contents(other)} == {"c0", "c2"}
    assert (await repair()).refused == 0  # an hour later
    assert (await marks.backlog()).interactions == 1
    other.refused = None
    await make_due(database)
    assert (await repair()).written == 1


async def test_what_is_erased_is_not_written_any_more(
    decisions: PostgresDecisions,
    database: Database,
    tenant: Tenant,
    other: Moody,
    repair: RepairStores,
    marks: PostgresStoreMarks,
) -> None:
    await decisions.commit_decisions([decision(tenant, "c1"), decision(tenant, "c2")])
    await PostgresInteractions(database).delete_customer(tenant.tenant_id, "c1")

    assert (await repair()).written == 2  # settled; of the first there is nothing to write

    assert {record.customer_id for record in await contents(other)} == {"c2"}
    await decisions.commit_decisions([decision(tenant, "c3")])
    await marks.forget_customer(tenant.tenant_id, "c3")
    assert (await repair()).written == 0
