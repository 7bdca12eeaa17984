"""The relay on a real outbox: refusals, order within a key, claims side by side, sending again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg
import pytest

from kaireon_application.errors import InvalidInput
from kaireon_application.platform.outbox import ClaimLimits, SinkUnavailable
from kaireon_application.platform.outbox_reaper import reap_outbox
from kaireon_application.platform.outbox_relay import RelayLimits, RelayOutbox
from kaireon_application.platform.republish import republish_events
from kaireon_storage.postgres.outbox import PostgresOutbox

if TYPE_CHECKING:
    from kaireon_storage.postgres.database import Database
    from tests.outbox_publisher.conftest import MemorySink
    from tests.outbox_publisher.outbox_table import OutboxTable


class Clock:
    """A monotonic clock that a test sets forward."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def outbox(database: Database) -> PostgresOutbox:
    """The stored outbox."""
    return PostgresOutbox(database)


@pytest.fixture
def clock() -> Clock:
    """A clock that stands."""
    return Clock()


@pytest.fixture
def relay(outbox: PostgresOutbox, memory_sink: MemorySink, clock: Clock) -> RelayOutbox:
    """A relay whose sink the test governs."""
    return RelayOutbox(outbox, memory_sink, RelayLimits(max_tries=3), clock)


async def test_a_refused_event_holds_back_its_own_customer_only_until_it_is_given_up(
    relay: RelayOutbox, memory_sink: MemorySink, clock: Clock, outbox_table: OutboxTable, tenant_id: UUID
) -> None:
    refused = await outbox_table.insert("customer-1", tenant_id=tenant_id)
    later = await outbox_table.insert("customer-1", tenant_id=tenant_id)
    other = await outbox_table.insert("customer-2", tenant_id=tenant_id)
    memory_sink.refuses = lambda event: event.id == refused
    for tries in (1, 2):
        await relay.relay()
        assert [row["attempts"] for row in await outbox_table.rows()] == [tries, 0, 0]
        assert [event.id for event in memory_sink.taken] == [other]
        assert await outbox_table.dead() == {}
        # Not due yet: another claim changes nothing.
        report = await relay.relay()
        assert not report.has_progressed
        assert report.retry_in_seconds is not None
        clock.now += report.retry_in_seconds
    await relay.relay()
    assert (await outbox_table.dead())[refused]["attempts"] == 3
    assert later not in [event.id for event in memory_sink.taken], "the dead letter is committed first"
    await relay.relay()
    assert [event.id for event in memory_sink.taken] == [other, later]


async def test_the_same_key_of_two_tenants_are_two_customers(
    relay: RelayOutbox, memory_sink: MemorySink, outbox_table: OutboxTable, tenant_id: UUID
) -> None:
    refused = await outbox_table.insert("customer-1", tenant_id=tenant_id)
    other = await outbox_table.insert("customer-1", tenant_id=UUID(int=1))
    memory_sink.refuses = lambda event: event.id == refused
    await relay.relay()
    assert [event.id for event in memory_sink.taken] == [other]


async def test_nothing_moves_while_the_sink_is_away(
    relay: RelayOutbox, memory_sink: MemorySink, outbox_table: OutboxTable, tenant_id: UUID
) -> None:
    await outbox_table.insert_many(["customer-1", "customer-2"], tenant_id=tenant_id)
    memory_sink.is_reachable = False
    for _ in range(10):
        with pytest.raises(SinkUnavailable):
            await relay.relay()
    assert {(row["status"], row["attempts"]) for row in await outbox_table.rows()} == {("pending", 0)}
    memory_sink.is_reachable = True
    await relay.relay()
    assert set(await outbox_table.statuses()) == {"sent"}


async def test_what_was_acknowledged_before_the_sink_went_is_not_sent_again(
    relay: RelayOutbox, memory_sink: MemorySink, outbox_table: OutboxTable, tenant_id: UUID
) -> None:
    await outbox_table.insert_many(["customer-1"] * 3, tenant_id=tenant_id)

    def go_after_the_first(_: object) -> bool:
        memory_sink.is_reachable = False
        return False

    memory_sink.refuses = go_after_the_first
    with pytest.raises(SinkUnavailable):
        await relay.relay()
    assert await outbox_table.statuses() == ["sent", "pending", "pending"]
    memory_sink.refuses = lambda _: False
    memory_sink.is_reachable = True
    await relay.relay()
    assert [str(event.id) for event in memory_sink.taken] == (await outbox_table.ids_by_key())["customer-1"]


async def test_two_claims_never_share_a_customer(
    outbox: PostgresOutbox, outbox_table: OutboxTable, tenant_id: UUID
) -> None:
    await outbox_table.insert_many([f"customer-{number}" for number in range(60)] * 3, tenant_id=tenant_id)
    limits = ClaimLimits(lanes=20)
    async with outbox.claim(limits) as one, outbox.claim(limits) as other:
        one_keys = {event.key for event in one.events}
        other_keys = {event.key for event in other.events}
    assert one_keys
    assert other_keys
    assert not one_keys & other_keys


async def test_a_claim_stays_within_its_bytes_and_never_reads_an_oversized_payload(
    outbox: PostgresOutbox, outbox_table: OutboxTable, tenant_id: UUID
) -> None:
    for _ in range(5):
        await outbox_table.insert("customer-1", tenant_id=tenant_id, payload={"filler": "x" * 1000})
    big = await outbox_table.insert("customer-2", tenant_id=tenant_id, payload={"filler": "x" * 9000})
    async with outbox.claim(ClaimLimits(total_bytes=6500, event_bytes=4000)) as claim:
        # The oldest of each customer's lane, the oversized one as its limit, and then what there is room for.
        assert 3 <= len(claim.events) <= 4
        assert claim.has_more
    async with outbox.claim(ClaimLimits(event_bytes=4000)) as claim:
        assert [event.id for event in claim.events if event.payload is None] == [big]


async def test_a_tenant_s_events_do_not_wait_behind_another_s_backlog(
    relay: RelayOutbox, memory_sink: MemorySink, outbox_table: OutboxTable, tenant_id: UUID
) -> None:
    await outbox_table.insert_backlog(15_000, customers=500, tenant_id=tenant_id)
    quiet = UUID(int=1)
    await outbox_table.insert_many([f"customer-{number}" for number in range(10)], tenant_id=quiet)
    while sum(event.tenant_id == quiet for event in memory_sink.taken) < 10:
        assert (await relay.relay()).has_progressed
    # A claim takes half of the lanes, by chance: ten of them are all met long before thirty claims of 500 events.
    assert (await outbox_table.statuses()).count("pending") > 0


async def test_republished_events_keep_their_ids_and_their_order(
    outbox: PostgresOutbox, relay: RelayOutbox, memory_sink: MemorySink, outbox_table: OutboxTable, tenant_id: UUID
) -> None:
    await outbox_table.insert_many(["customer-1"] * 2, tenant_id=tenant_id)
    await relay.relay()
    since = datetime.now(UTC)
    await outbox_table.insert_many(["customer-1"] * 3, tenant_id=tenant_id)
    await relay.relay()
    expected = (await outbox_table.ids_by_key())["customer-1"][2:]
    memory_sink.taken.clear()
    assert await republish_events(outbox, since) == 3
    await relay.relay()
    assert [str(event.id) for event in memory_sink.taken] == expected
    assert set(await outbox_table.statuses()) == {"sent"}


async def test_republishing_needs_an_instant_with_a_time_zone(outbox: PostgresOutbox) -> None:
    with pytest.raises(InvalidInput):
        await republish_events(outbox, datetime(2026, 1, 1))  # noqa: DTZ001 - the mistake


async def test_the_reaper_frees_what_stands_in_processing_for_too_long_and_nothing_else(
    outbox: PostgresOutbox, outbox_table: OutboxTable, tenant_id: UUID, database_url: str
) -> None:
    stuck, young, sent = [await outbox_table.insert("customer-1", tenant_id=tenant_id) for _ in range(3)]
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "UPDATE outbox_events SET status = 'processing', created_at = now() - interval '1 hour' WHERE id = %s",
            (stuck,),
        )
        connection.execute("UPDATE outbox_events SET status = 'processing' WHERE id = %s", (young,))
        connection.execute("UPDATE outbox_events SET status = 'sent', sent_at = now() WHERE id = %s", (sent,))
    assert await reap_outbox(outbox, datetime.now(UTC), timedelta(minutes=10)) == 1
    assert await outbox_table.statuses() == ["pending", "processing", "sent"]


async def test_the_backlog_is_measured(outbox: PostgresOutbox, outbox_table: OutboxTable, tenant_id: UUID) -> None:
    assert (await outbox.backlog()).oldest_at is None
    await outbox_table.insert_many(["customer-1", "customer-2"], tenant_id=tenant_id)
    backlog = await outbox.backlog()
    assert backlog.events == 2
    assert backlog.oldest_at == (await outbox_table.rows())[0]["created_at"]
