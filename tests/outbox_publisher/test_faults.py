"""Faults at full size: a backlog of one tenant, publishers that are killed or frozen in the middle of it."""

from __future__ import annotations

import asyncio
import random
import signal
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from kaireon_testkit.patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    import subprocess

    from tests.outbox_publisher.conftest import Eventually, StartPublisher, StreamReader
    from tests.outbox_publisher.outbox_table import OutboxTable

QUIET = UUID(int=1)


@pytest.mark.parametrize(
    ("backlog", "customers"), [(20_000, 500), pytest.param(100_000, 5000, marks=pytest.mark.faults)]
)
async def test_a_backlog_of_one_tenant_delays_nobody_and_survives_the_loss_of_every_publisher(
    backlog: int,
    customers: int,
    outbox_table: OutboxTable,
    stream: StreamReader,
    tenant_id: UUID,
    start_publisher: StartPublisher,
    eventually: Eventually,
) -> None:
    await outbox_table.insert_backlog(backlog, customers=customers, tenant_id=tenant_id)
    await outbox_table.insert_many([f"customer-{number}" for number in range(100)], tenant_id=QUIET)
    publishers = [start_publisher() for _ in range(3)]
    await _drained(outbox_table, QUIET)
    assert await outbox_table.pending(tenant_id) > 0, "the quiet tenant waited for all of the backlog"
    for number in range(3):
        publishers[number].send_signal(signal.SIGKILL)
        await asyncio.to_thread(publishers[number].wait)
        start_publisher()
        before = await outbox_table.pending(tenant_id)
        await eventually(lambda before=before: _has_moved(outbox_table, tenant_id, before))
    await _drained(outbox_table, tenant_id)
    assert stream.first_ids_by_customer() == await outbox_table.ids_by_customer()


@pytest.mark.faults
@pytest.mark.parametrize("statement", ["SELECT free.lane", "WITH RECURSIVE queues", "UPDATE outbox_events"])
async def test_a_publisher_that_is_frozen_loses_its_lanes_and_overtakes_nobody_when_it_thaws(
    statement: str,
    outbox_table: OutboxTable,
    stream: StreamReader,
    tenant_id: UUID,
    start_publisher: StartPublisher,
) -> None:
    await outbox_table.insert_backlog(50_000, customers=500, tenant_id=tenant_id)
    frozen = start_publisher()
    await _freeze_after(statement, frozen, outbox_table, tenant_id)
    start_publisher()
    # Postgres takes the lanes from it after twenty seconds.
    await _drained(outbox_table, tenant_id)
    await outbox_table.insert_backlog(1000, customers=500, tenant_id=tenant_id)
    frozen.send_signal(signal.SIGCONT)
    await _drained(outbox_table, tenant_id)
    frozen.terminate()
    assert await asyncio.to_thread(frozen.wait, 60) == 0
    assert stream.first_ids_by_customer() == await outbox_table.ids_by_customer()


@pytest.mark.faults
async def test_a_claim_that_no_time_out_of_postgres_ends_is_ended_by_the_other_publishers(
    outbox_table: OutboxTable, tenant_id: UUID, start_publisher: StartPublisher
) -> None:
    await outbox_table.insert_backlog(1000, customers=100, tenant_id=tenant_id)
    stuck = await outbox_table.hold_every_lane()
    try:
        start_publisher()
        await _drained(outbox_table, tenant_id)
    finally:
        await stuck.close()


async def _freeze_after(
    statement: str, publisher: subprocess.Popen[bytes], outbox_table: OutboxTable, tenant_id: UUID
) -> None:
    """Freeze it while it holds lanes and has done nothing since this statement; keep it in work until then."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            publisher.send_signal(signal.SIGSTOP)
            # What it had sent is done by now.
            await asyncio.sleep(0.1)
            if await outbox_table.has_claim_after(statement):
                return
            publisher.send_signal(signal.SIGCONT)
            await asyncio.sleep(0.02 * random.random())
            if await outbox_table.pending(tenant_id) < 10_000:
                await outbox_table.insert_backlog(30_000, customers=500, tenant_id=tenant_id)


async def _has_moved(outbox_table: OutboxTable, tenant_id: UUID, before: int) -> bool:
    now = await outbox_table.pending(tenant_id)
    return now < before or now == 0


async def _drained(outbox_table: OutboxTable, tenant_id: UUID) -> None:
    async with asyncio.timeout(300):
        while await outbox_table.pending(tenant_id):
            await asyncio.sleep(0.02)
