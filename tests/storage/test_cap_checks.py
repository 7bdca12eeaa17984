"""Answers against caps: windows to the millisecond, each answer once, and never by terms that were not its own."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import msgspec
import pytest
from psycopg.types.json import Jsonb

from kaireon_application.decisioning.check_caps import check_caps
from kaireon_runtime.logs import logger
from kaireon_storage.postgres.cap_checks import PostgresCapChecks
from kaireon_storage.postgres.cap_violations import PostgresCapViolations

if TYPE_CHECKING:
    from kaireon_storage.postgres.database import Database
    from kaireon_testkit.platform.tenant import Tenant

# A Wednesday.
NOW = datetime(2026, 3, 18, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=100)
SETTLE = timedelta(minutes=5)
FLOW, OFFER, CHANNEL, POLICY = (UUID(int=number) for number in (1, 2, 3, 4))
NODES = [{"id": "a", "type": "inventory"}, {"id": "b", "type": "contact_policy"}, {"id": "c", "type": "response"}]


class World(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant with one offer on one channel, one flow and one cap."""

    database: Database
    tenant: Tenant

    async def run(self, statement: str, **parameters: object) -> None:
        async with self.database.transaction(self.tenant.tenant_id) as connection:
            await connection.execute(statement.encode(), {"tenant_id": self.tenant.tenant_id, **parameters})

    async def configure(self, config: dict[str, Any]) -> None:
        """Have had this cap for long."""
        bodies: list[tuple[str, UUID, dict[str, Any]]] = [
            ("decision_flow", FLOW, {}),
            ("offer", OFFER, {}),
            ("channel", CHANNEL, {"impressionMode": "implicit"}),
            ("contact_policy", POLICY, {"ruleType": "frequency_cap", "scope": "global", "config": config}),
        ]
        for kind, id_, body in bodies:
            await self.run(
                "INSERT INTO entities (tenant_id, kind, id, key, name, status, body, created_at, updated_at)"
                " VALUES (%(tenant_id)s, %(kind)s, %(id)s, %(kind)s, %(kind)s, 'active', %(body)s, %(at)s, %(at)s)",
                kind=kind,
                id=id_,
                body=Jsonb(body),
                at=LONG_AGO,
            )
        await self.run(
            "INSERT INTO flow_versions (tenant_id, flow_id, version, config, published_at)"
            " VALUES (%(tenant_id)s, %(flow)s, 1, %(config)s, %(at)s)",
            flow=FLOW,
            config=Jsonb({"version": 2, "nodes": NODES}),
            at=LONG_AGO,
        )

    async def set_zone(self, zone: str) -> None:
        await self.run("UPDATE tenants SET settings = %(zone)s", zone=Jsonb({"timezone": zone}))

    async def answer(self, at: datetime, customer_id: str = "c", count: int = 1) -> None:
        """Give a customer the offer so often in one answer."""
        await self.run(
            "INSERT INTO decision_traces (tenant_id, recommendation_id, decided_at, customer_id, flow_id, flow_version,"
            " offer_ids, creative_ids, channel_ids) VALUES (%(tenant_id)s, %(id)s, %(at)s, %(customer_id)s, %(flow)s,"
            " 1, array_fill(%(offer)s::uuid, ARRAY[%(count)s]), array_fill(NULL::uuid, ARRAY[%(count)s]),"
            " array_fill(%(channel)s::uuid, ARRAY[%(count)s]))",
            id=uuid4(),
            at=at,
            customer_id=customer_id,
            flow=FLOW,
            offer=OFFER,
            channel=CHANNEL,
            count=count,
        )

    async def begin(self, at: datetime = NOW - timedelta(days=90)) -> None:
        """Check what was answered from then on."""
        await self.found(at + SETTLE)

    async def found(
        self, now: datetime = NOW + SETTLE, slice_answers: int = 5, longest_wait: timedelta = timedelta(days=400)
    ) -> int:
        """Return how many offers a check finds that went beyond a cap."""
        checks = PostgresCapChecks(self.database, slice_answers=slice_answers, longest_wait=longest_wait)
        count, failures = await check_caps(checks, [self.tenant.tenant_id], now, time.monotonic, logger("kaireon.test"))
        assert failures == ()
        return count


@pytest.fixture
def world(database: Database, tenant: Tenant) -> World:
    return World(database=database, tenant=tenant)


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}Z")


# config, zone, answers, how many of them are beyond
WINDOWS: list[tuple[dict[str, Any], str, list[str], int]] = [
    ({"maxPerDay": 1}, "UTC", ["03-10T22:30", "03-10T23:30"], 1),
    ({"maxPerDay": 1}, "Europe/Vienna", ["03-10T22:30", "03-10T23:30"], 0),
    ({"maxPerDay": 1}, "Europe/Vienna", ["03-10T23:00", "03-11T22:59:59.999"], 1),
    ({"maxPerWeek": 1}, "UTC", ["03-08T23:59:59.999", "03-09T00:00"], 0),
    ({"maxPerWeek": 1}, "UTC", ["03-09T00:00", "03-15T23:59:59.999"], 1),
    ({"maxPerMonth": 1}, "UTC", ["02-28T23:59:59.999", "03-01T00:00"], 0),
    ({"maxPerMonth": 1}, "UTC", ["01-01T00:00", "01-31T23:59:59.999"], 1),
    ({"maxTotal": 1, "lookbackHours": 24}, "UTC", ["03-10T10:00", "03-11T10:00"], 0),
    ({"maxTotal": 1, "lookbackHours": 24}, "UTC", ["03-10T10:00", "03-11T09:59:59.999"], 1),
    ({"maxTotal": 1, "lookbackHours": 0.5}, "UTC", ["03-10T10:00", "03-10T10:29:59.999", "03-10T11:00"], 1),
    ({"maxContacts": 2, "windowDays": 7}, "UTC", ["03-02T10:00", "03-05T10:00", "03-09T09:00", "03-12T10:00"], 1),
    ({"maxTotal": 1}, "UTC", ["01-01T10:00", "02-01T10:00", "03-01T10:00"], 2),
    ({"maxPerDay": 1, "maxTotal": 2}, "UTC", ["03-10T10:00", "03-10T11:00", "03-10T12:00"], 2),
]


@pytest.mark.parametrize(("config", "zone", "answers", "expected"), WINDOWS)
async def test_windows_begin_and_end_to_the_millisecond(
    world: World, config: dict[str, Any], zone: str, answers: list[str], expected: int
) -> None:
    await world.configure(config)
    await world.set_zone(zone)
    await world.begin()
    for text in answers:
        await world.answer(at(text))
        await world.answer(at(text), "another customer" if text == answers[0] else text)

    assert await world.found() == expected
    assert await world.found() == 0


async def test_an_answer_is_checked_once_whoever_checks(world: World) -> None:
    await world.configure({"maxTotal": 10})
    await world.begin()
    for hours in range(1, 61):
        await world.answer(NOW - timedelta(hours=hours), f"c{hours % 2}", count=2)

    assert sum(await asyncio.gather(*(world.found(slice_answers=3) for _ in range(4)))) + await world.found() == 100
    counted = await PostgresCapViolations(world.database).read()
    assert counted.counts == {"cross_channel_cap": 0, "customer_total_cap": 0, "frequency_cap": 100}
    assert counted.lag_seconds is not None


async def test_answers_of_one_instant_are_checked_too(world: World) -> None:
    await world.configure({"maxTotal": 1})
    await world.begin()
    for _ in range(9):
        await world.answer(NOW - timedelta(hours=1))

    assert await world.found(slice_answers=2) == 8


async def test_what_was_answered_before_the_first_check_is_not_checked(world: World) -> None:
    await world.configure({"maxTotal": 1})
    for days in (1, 2):
        await world.answer(NOW - timedelta(days=days))
    await world.begin(NOW)
    assert await world.found(NOW + timedelta(hours=1)) == 0

    await world.answer(NOW + timedelta(minutes=1))

    assert await world.found(NOW + timedelta(hours=2)) == 0, "that hour is checked"
    await world.answer(NOW + timedelta(hours=3))
    assert await world.found(NOW + timedelta(hours=4)) == 1, "what was answered before counts all the same"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE entities SET updated_at = %(at)s WHERE kind = 'contact_policy'",
        "UPDATE entities SET updated_at = %(at)s WHERE kind = 'decision_flow'",
        "UPDATE entities SET updated_at = %(at)s WHERE kind = 'offer'",
        "UPDATE entities SET updated_at = %(at)s WHERE kind = 'channel'",
        "UPDATE flow_versions SET published_at = %(at)s",
        "UPDATE entities SET deleted_at = %(at)s, updated_at = %(at)s WHERE kind = 'contact_policy'",
    ],
)
async def test_an_answer_is_not_held_to_what_was_configured_after_it(world: World, change: str) -> None:
    await world.configure({"maxTotal": 1})
    await world.begin()
    for minutes in (50, 40, 30):
        await world.answer(NOW - timedelta(minutes=minutes))
    await world.run(change, at=NOW - timedelta(minutes=33))

    # Two minutes later not every process may know.
    assert await world.found() == 0


async def test_a_new_zone_is_a_new_beginning(world: World) -> None:
    await world.configure({"maxPerDay": 1})
    await world.begin()
    for text in ("03-10T22:30", "03-10T23:30"):
        await world.answer(at(text))
    await world.set_zone("Asia/Tokyo")

    assert await world.found() == 0
    for minutes in (11, 12):
        await world.answer(NOW + timedelta(minutes=minutes))
    assert await world.found(NOW + timedelta(minutes=20)) == 1


async def test_a_clock_that_was_ahead_does_not_end_the_checks(world: World) -> None:
    await world.configure({"maxTotal": 1})
    await world.begin(NOW + timedelta(days=365))
    assert await world.found() == 0
    for minutes in (31, 32):
        await world.answer(NOW + timedelta(minutes=minutes))

    assert await world.found(NOW + timedelta(hours=1)) == 1


async def test_what_has_waited_too_long_is_left_out_and_the_rest_is_checked(world: World) -> None:
    await world.configure({"maxTotal": 1})
    await world.begin()
    for minutes in (90, 80, 70, 20, 10):
        await world.answer(NOW - timedelta(minutes=minutes))

    assert await world.found(longest_wait=timedelta(minutes=30)) == 2


async def test_a_count_stays_when_its_tenant_goes(world: World) -> None:
    await world.configure({"maxTotal": 1})
    await world.begin()
    await world.answer(NOW - timedelta(hours=1), count=3)
    assert await world.found() == 2
    async with world.database.system_transaction() as connection:
        await connection.execute("DELETE FROM tenants")

    counted = await PostgresCapViolations(world.database).read()

    assert counted.counts["frequency_cap"] == 2
    assert counted.lag_seconds is None
