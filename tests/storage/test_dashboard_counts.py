"""Counts of dashboards: whenever they are kept, and whatever comes late, they are what counting every row gives."""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import msgspec
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kaireon_application.decisioning.count_for_dashboards import Horizon, count_for_dashboards
from kaireon_application.decisioning.dashboards import DashboardType, GroupBy, SummaryPage, span_of
from kaireon_runtime.metrics import Metrics
from kaireon_storage.postgres.dashboard_counts import PostgresDashboardCounts
from kaireon_storage.postgres.dashboards import PostgresDashboards
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.decisions import PostgresDecisions
from kaireon_storage.postgres.queries import queries
from kaireon_storage.postgres.replicas import ReadDatabase
from kaireon_storage.postgres.sample_history import PastContact, SampleHistory
from kaireon_testkit.platform.tenant import Tenant, create_tenant
from tests.storage.test_decisions import decision, response

if TYPE_CHECKING:
    from collections.abc import Iterable

ZONE = ZoneInfo("UTC")
OFFERS = [UUID(int=number) for number in (1, 2, 3)]
OUTCOMES = {"impression": "neutral", "click": "positive", "convert": "positive", "dismiss": "negative"}
# What is told from traces is not counted.
COUNTED = sorted(set(DashboardType) - {DashboardType.WHY_NOT_RANKED, DashboardType.MODEL_METRICS_TREND})


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A decision (with offers, perhaps none) or an interaction (with an outcome), so many seconds ago."""

    id: UUID
    seconds_ago: int
    customer_id: str
    offer_ids: list[UUID]
    outcome: str | None
    value: float
    is_late: bool

    def at(self, now: datetime) -> datetime:
        """Return the row's instant."""
        return now - timedelta(seconds=self.seconds_ago)


def made_up(seed: int, count: int, youngest: int, *, is_late: bool) -> list[Row]:
    """Return rows that are at least so many seconds old, at most two days more."""
    dice = random.Random(seed)
    return [
        Row(
            id=UUID(int=dice.getrandbits(128), version=4),
            seconds_ago=youngest + dice.randrange(0, 2 * 86_400),
            customer_id=f"c{dice.randrange(8)}",
            offer_ids=dice.sample(OFFERS, dice.randrange(4)),
            outcome=dice.choice([None, *OUTCOMES]),
            value=dice.choice([0, 0.25, 8]),
            is_late=is_late,
        )
        for _ in range(count)
    ]


async def write(database: Database, tenant: Tenant, rows: Iterable[Row], now: datetime) -> None:
    """Write rows as commits do, each late one with its mark, all in one transaction."""
    async with database.transaction(tenant.tenant_id) as connection:
        for row in rows:
            known = {"tenant_id": tenant.tenant_id, "at": row.at(now), **msgspec.structs.asdict(row)}
            if row.outcome is None:
                await connection.execute(
                    "INSERT INTO decision_traces (tenant_id, recommendation_id, decided_at, customer_id, flow_id,"
                    " flow_version, offer_ids, scores) VALUES (%(tenant_id)s, %(id)s, %(at)s, %(customer_id)s,"
                    " gen_random_uuid(), 1, %(offer_ids)s,"
                    " array_fill(%(value)s, ARRAY[cardinality(%(offer_ids)s::uuid[])]))",
                    known,
                )
            else:
                offer_id = row.offer_ids[0] if row.offer_ids else None
                await connection.execute(
                    "INSERT INTO interactions (tenant_id, id, occurred_at, customer_id, kind, outcome_key,"
                    " classification, offer_id, creative_id, channel_id, conversion_value) VALUES (%(tenant_id)s,"
                    " %(id)s, %(at)s, %(customer_id)s, 'outcome', %(outcome)s, %(classification)s, %(offer_id)s,"
                    " %(offer_id)s, %(offer_id)s, %(value)s)",
                    {**known, "offer_id": offer_id, "classification": OUTCOMES[row.outcome]},
                )
            if row.is_late:
                source = "decision" if row.outcome is None else "interaction"
                await connection.execute(
                    "INSERT INTO late_rows (tenant_id, source, at, id)"
                    " VALUES (%(tenant_id)s, %(source)s, %(at)s, %(id)s)",
                    {**known, "source": source},
                )


async def shown(database: Database, tenant: Tenant, now: datetime, days: int = 4) -> dict[str, Any]:
    """Return what all dashboards show."""
    span, reads = span_of(days, now, ZONE), PostgresDashboards(ReadDatabase(database, (), 0, Metrics()))
    found: dict[str, Any] = {type_.value: await reads.data(tenant.tenant_id, type_, span) for type_ in COUNTED}
    for group_by in GroupBy:
        page = SummaryPage(group_by=group_by, span=span, limit=100, offset=0)
        found[group_by.value] = await reads.interactions(tenant.tenant_id, page)
    return found


async def count_all(database: Database, tenant: Tenant, at: datetime | None = None, **sizes: int) -> Horizon:
    """Count everything up to an instant, a minute ago where none is given."""
    counts = PostgresDashboardCounts(database, **sizes)
    settled_at, transaction = await counts.horizon()
    horizon = (at or settled_at, transaction)
    while await counts.count(tenant.tenant_id, horizon):
        pass
    return horizon


async def late_rows(database: Database) -> list[dict[str, Any]]:
    async with database.system_transaction() as connection:
        return await (await connection.execute("SELECT source, at FROM late_rows ORDER BY source")).fetchall()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["write", "write late", "count"]),
        st.integers(0, 2**32),
        st.integers(1, 12),
        st.integers(0, 90_000),
    ),
    min_size=2,
    max_size=9,
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, slice_rows=st.integers(1, 30))
async def test_counted_at_any_time_is_as_counting_every_row(
    database: Database, steps: list[tuple[str, int, int, int]], slice_rows: int
) -> None:
    counted, never = [await create_tenant(database, f"t{uuid4().hex}") for _ in range(2)]
    now = datetime.now(UTC)
    youngest = 90_000
    for place, (what, seed, size, seconds) in enumerate(steps):
        if what == "count":
            youngest = min(youngest, seconds)
            at = now - timedelta(seconds=youngest)
            await count_all(database, counted, at, slice_rows=slice_rows)
        else:
            rows = made_up(place << 32 | seed, size, 0, is_late=True)
            # What is younger than everything counted need not be marked, but may be.
            if what == "write":
                rows = [msgspec.structs.replace(row, is_late=row.seconds_ago > youngest) for row in rows]
            for tenant in (counted, never):
                await write(database, tenant, rows, now)
        if what != "write":
            assert await shown(database, counted, now) == await shown(database, never, now)
    assert await shown(database, counted, now, days=1) == await shown(database, never, now, days=1)


async def test_what_is_there_already_is_counted_once_whoever_counts(database: Database, tenant: Tenant) -> None:
    now = datetime.now(UTC)
    await write(database, tenant, made_up(1, 120, 120, is_late=False), now)
    before = await shown(database, tenant, now)
    counts = PostgresDashboardCounts(database, slice_rows=7)
    await asyncio.gather(*(count_for_dashboards(counts, [tenant.tenant_id], time.monotonic) for _ in range(4)))
    await count_all(database, tenant)
    async with database.transaction(tenant.tenant_id) as connection:
        await connection.execute("DELETE FROM interactions")
        await connection.execute("DELETE FROM decision_traces")
    after = await shown(database, tenant, now)
    # These are told from rows.
    assert after == before | {name: after[name] for name in ("score_distribution", "customer")}


async def test_commits_mark_what_is_late_and_nothing_else(database: Database, tenant: Tenant) -> None:
    decisions, now_ms = PostgresDecisions(database), int(time.time() * 1000)
    for number, ago in enumerate((0, 3_600_000)):
        made = msgspec.structs.replace(decision(tenant, f"d{number}"), trace=None)
        sent = response(tenant, f"r{number}", key=f"k{number}")
        at = now_ms - ago
        interaction = msgspec.structs.replace(sent.interaction, occurred_at_ms=at)
        assert await decisions.commit_decisions([msgspec.structs.replace(made, decided_at_ms=at)]) == [True]
        assert await decisions.commit_responses([msgspec.structs.replace(sent, interaction=interaction)]) == [True]
    hour_ago = datetime.fromtimestamp((now_ms - 3_600_000) / 1000, UTC)
    assert await late_rows(database) == [
        {"source": source, "at": hour_ago} for source in ("decision", "interaction", "interaction")
    ]
    now = datetime.now(UTC)
    before = await shown(database, tenant, now)
    await count_all(database, tenant)
    assert await late_rows(database) == []
    assert await shown(database, tenant, now) == before
    assert (before["summary"]["decisions"], before["summary"]["customers"]) == (2, 4)


async def test_nothing_is_counted_while_somebody_who_wrote_before_has_not_ended(
    database: Database, database_url: str, tenant: Tenant
) -> None:
    counts = PostgresDashboardCounts(database)
    async with await psycopg.AsyncConnection.connect(database_url) as writing:
        await writing.execute("SELECT pg_current_xact_id()")
        horizon = await counts.horizon()
        assert not await counts.is_settled(horizon)
    assert await counts.is_settled(horizon)
    assert await count_for_dashboards(counts, [tenant.tenant_id], time.monotonic) == (1, ())


async def test_many_customers_are_estimated(database: Database, tenant: Tenant) -> None:
    now = datetime.now(UTC)
    rows = [
        msgspec.structs.replace(row, customer_id=f"c{place % 1_700}", outcome=None)
        for place, row in enumerate(made_up(2, 3_000, 120, is_late=False))
    ]
    await write(database, tenant, rows, now)
    await count_all(database, tenant, slice_rows=400, hashes=256)
    async with database.transaction(tenant.tenant_id) as connection:
        sketches = await (await connection.execute("SELECT bound, hashes FROM dashboard_sketches")).fetchall()
    assert all(len(one["hashes"]) <= 256 for one in sketches)
    assert any(one["bound"] is not None for one in sketches)
    # The hashes are those of these ids: the estimate is always the same.
    estimate = (await shown(database, tenant, now))["decision_health"]["customers"]
    assert estimate == pytest.approx(1_700, rel=0.15)


async def test_an_erased_customer_is_in_no_sketch(database: Database, tenant: Tenant) -> None:
    now = datetime.now(UTC)
    await write(database, tenant, made_up(3, 200, 120, is_late=False), now)
    await count_all(database, tenant)
    before = (await shown(database, tenant, now))["summary"]
    async with database.transaction(tenant.tenant_id) as connection:
        own = {"tenant_id": tenant.tenant_id, "ids": ["c1", "c2"]}
        assert await queries("customer_data").erase_sketches(connection, **own) > 0
        assert await queries("customer_data").erase_sketches(connection, **own) == 0
    after = (await shown(database, tenant, now))["summary"]
    assert after == before | {"customers": before["customers"] - 2}


@pytest.mark.parametrize("is_counted_before", [False, True])
async def test_a_sample_that_is_taken_out_is_counted_no_more(
    database: Database, tenant: Tenant, *, is_counted_before: bool
) -> None:
    now = datetime.now(UTC)
    await write(database, tenant, made_up(4, 40, 120, is_late=False), now)
    if is_counted_before:
        await count_all(database, tenant)
    before = await shown(database, tenant, now)
    past = [
        PastContact(
            id=uuid4(),
            occurred_at=now - timedelta(hours=hours),
            customer_id=f"sample{hours % 3}",
            offer_id=OFFERS[hours % 3],
            creative_id=OFFERS[0],
            channel_id=OFFERS[0],
            placement_id=None,
            outcome_key="convert",
            classification="positive",
            is_impression=False,
            conversion_value=0.5,
        )
        for hours in range(1, 40)
    ]
    # The second half is not counted yet when all are taken out.
    for part in (past[:20], past[20:]):
        async with database.transaction(tenant.tenant_id) as connection:
            await SampleHistory(connection, tenant.tenant_id, "pack").load(part)
        if part is not past[20:]:
            await count_all(database, tenant)
    assert (await shown(database, tenant, now))["summary"]["conversions"] >= 39
    async with database.transaction(tenant.tenant_id) as connection:
        customers = {one.customer_id for one in past}
        await SampleHistory(connection, tenant.tenant_id, "pack").forget(customers)
    assert await shown(database, tenant, now) == before
    await count_all(database, tenant)
    assert await shown(database, tenant, now) == before
