"""Committing: all of a change or nothing, in order, once, and for its own tenant only."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import psycopg
import pytest
from psycopg import sql

from kaireon_application.customers.outcome_target import Recommended
from kaireon_application.decisioning.changes import (
    DecisionChange,
    EventRow,
    IdempotencyRow,
    InteractionRow,
    RecommendedItems,
    ResponseChange,
    SummaryRow,
    SuppressionRow,
    TraceRow,
)
from kaireon_application.errors import IdempotencyTaken
from kaireon_application.platform.identity import new_ids
from kaireon_storage.postgres.decisions import PostgresDecisions
from kaireon_testkit.platform.tenant import Tenant, create_tenant

if TYPE_CHECKING:
    from kaireon_storage.postgres.database import Database

NOW_MS = 1_795_000_000_000
OFFER, CREATIVE, POLICY = new_ids(1, 3)
# Text that a careless statement would trip over.
TRICKY = 'O\'Brien, "{NULL}" \\ é😀'


@pytest.fixture
def decisions(database: Database) -> PostgresDecisions:
    return PostgresDecisions(database)


def interaction(kind: str, **fields: Any) -> InteractionRow:
    (id_,) = new_ids(NOW_MS, 1)
    return InteractionRow(id=id_, occurred_at_ms=NOW_MS, kind=kind, offer_id=OFFER, creative_id=CREATIVE, **fields)


def summary(**fields: Any) -> SummaryRow:
    given: dict[str, Any] = {"outcome_key": "impression", "direction": "outbound", **fields}
    return SummaryRow(day="2026-11-20", offer_id=OFFER, creative_id=None, channel_id=None, **given)


def decision(tenant: Tenant, customer_id: str = "c1", version: int = 0, key: str | None = None) -> DecisionChange:
    decision_id, event_id = new_ids(NOW_MS, 2)
    shown = interaction("impression", outcome_key="impression", recommendation_id=decision_id, rank=1)
    return DecisionChange(
        tenant_id=str(tenant.tenant_id),
        customer_id=customer_id,
        expected_version=version,
        decision_id=decision_id,
        decided_at_ms=NOW_MS,
        flow_id=OFFER,
        flow_version=1,
        recommended=RecommendedItems(
            offer_ids=[OFFER], creative_ids=[CREATIVE], channel_ids=[None], placement_ids=[None], scores=[0.5]
        ),
        impressions=[shown],
        summaries=[summary(impressions=1, last_contact_ms=NOW_MS)],
        events=[
            EventRow(id=event_id, type="decision.made.v1", payload=b'{"a": "b"}'),
            EventRow(id=shown.id, type="interaction.recorded.v1", payload=b"{}", sequence_offset=1),
        ],
        trace=TraceRow(
            legend_hash=b"\x00\xff",
            snapshot_hash=b"",
            content=bytes(range(256)),
        ),
        idempotency=None if key is None else IdempotencyRow(key=key, body_hash=b"\x01", answer=b'{"a":1}'),
    )


def response(tenant: Tenant, customer_id: str = "c1", key: str = "k1", **fields: Any) -> ResponseChange:
    row = interaction("outcome", outcome_key="click", details=b'{"context": {"a": "\'\\"{}"}}')
    return ResponseChange(
        tenant_id=str(tenant.tenant_id),
        customer_id=customer_id,
        idempotency=IdempotencyRow(key=key, body_hash=b"\x01\x02", answer=b'{"text": "O\'Brien {,}"}'),
        interaction=row,
        summary=summary(outcome_key="click", direction="inbound", positive=1, value=2.5),
        event=EventRow(id=row.id, type="interaction.recorded.v1", payload=b"{}"),
        suppressions=[],
        **fields,
    )


async def rows(database: Database, table: str, columns: str = "*") -> list[dict[str, Any]]:
    statement = sql.SQL("SELECT {} FROM {}").format(sql.SQL(columns), sql.Identifier(table))  # pyright: ignore[reportArgumentType]
    async with database.system_transaction() as connection:
        cursor = await connection.execute(statement)
        return await cursor.fetchall()


async def test_only_who_is_at_the_expected_version_is_written(
    decisions: PostgresDecisions, database: Database, tenant: Tenant
) -> None:
    first = await decisions.commit_decisions([decision(tenant, "a"), decision(tenant, TRICKY)])
    second = await decisions.commit_decisions(
        [decision(tenant, "a"), decision(tenant, TRICKY, 1), decision(tenant, "b", 0)]
    )

    assert (first, second) == ([True, True], [False, True, True])
    customers = {row["customer_id"]: (row["version"], row["sequence"]) for row in await rows(database, "customers")}
    assert customers == {"a": (1, 1), TRICKY: (2, 2), "b": (1, 1)}
    traces = await rows(database, "decision_traces")
    assert sorted(row["customer_id"] for row in traces) == sorted(["a", TRICKY, TRICKY, "b"])
    assert {row["content"] for row in traces} == {bytes(range(256))}
    events = sorted(await rows(database, "outbox_events"), key=lambda row: row["position"])
    mine = [(row["type"], row["payload"].get("sequence")) for row in events if row["key"] == TRICKY]
    numbers = [None, 1, None, 2]
    assert mine == list(zip(["decision.made.v1", "interaction.recorded.v1"] * 2, numbers, strict=True))


async def test_of_simultaneous_commits_over_one_version_one_wins(
    decisions: PostgresDecisions, database: Database, tenant: Tenant
) -> None:
    won = await asyncio.gather(*(decisions.commit_decisions([decision(tenant)]) for _ in range(8)))

    assert sorted(won) == [[False]] * 7 + [[True]]
    assert len(await rows(database, "interactions")) == 1
    assert [row["impressions"] for row in await rows(database, "interaction_summaries")] == [1, 1]


async def test_a_key_that_was_used_stops_the_whole_group_and_the_connection_serves_on(
    decisions: PostgresDecisions, database: Database, tenant: Tenant
) -> None:
    await decisions.commit_decisions([decision(tenant, "a", key="r1")])

    for _ in range(3):
        with pytest.raises(IdempotencyTaken):
            await decisions.commit_decisions([decision(tenant, "b"), decision(tenant, "c", key="r1")])

    assert {row["customer_id"] for row in await rows(database, "customers")} == {"a"}
    assert await decisions.commit_decisions([decision(tenant, "b"), decision(tenant, "c", key="r2")]) == [True, True]
    assert await decisions.answer_under(str(tenant.tenant_id), "r2") == (b"\x01", b'{"a":1}')


async def test_a_response_is_written_once_per_key(
    decisions: PostgresDecisions, database: Database, tenant: Tenant
) -> None:
    group = [response(tenant, "a", "k1"), response(tenant, TRICKY, TRICKY)]

    assert await decisions.commit_responses(group) == [True, True]
    again = [response(tenant, "a", "k1"), response(tenant, "b", "k3")]
    assert await decisions.commit_responses(again) == [False, True]

    assert len(await rows(database, "interactions")) == 3
    stored = await decisions.answer_under(str(tenant.tenant_id), TRICKY)
    assert stored == (b"\x01\x02", b'{"text": "O\'Brien {,}"}')
    assert await decisions.answer_under(str(tenant.tenant_id), "nobody's") is None
    summaries = await rows(database, "interaction_summaries")
    assert {(row["positive"], row["total_value"]) for row in summaries} == {(1, 2.5)}
    assert {row["details"]["context"]["a"] for row in await rows(database, "interactions")} == {"'\"{}"}


async def test_a_suppression_is_prolonged_and_counted(
    decisions: PostgresDecisions, database: Database, tenant: Tenant
) -> None:
    def ban(until_ms: int) -> list[SuppressionRow]:
        row = SuppressionRow(
            policy_id=POLICY,
            scope="global",
            scope_id="all",
            policy_type="cooldown",
            reason=TRICKY,
            expires_at_ms=until_ms,
        )
        return [row]

    for number, until_ms in enumerate((NOW_MS + 10_000, NOW_MS + 20_000, NOW_MS)):
        change = msgspec.structs.replace(response(tenant, key=f"k{number}"), suppressions=ban(until_ms))
        assert await decisions.commit_responses([change]) == [True]

    (row,) = await rows(
        database, "suppressions", "trigger_count, reason, extract(epoch FROM expires_at) * 1000 AS ends"
    )
    assert (row["trigger_count"], row["reason"], int(row["ends"])) == (3, TRICKY, NOW_MS + 20_000)


async def test_what_was_recommended_is_found_by_its_customer_and_rank_only(
    decisions: PostgresDecisions, tenant: Tenant
) -> None:
    change = decision(tenant, TRICKY)
    await decisions.commit_decisions([change])
    decision_id = change.decision_id
    shown = Recommended(offer_id=OFFER, creative_id=CREATIVE, channel_id=None, placement_id=None)
    asked = (
        (TRICKY, decision_id, 1, shown),
        (TRICKY, decision_id, 2, None),
        ("c1", decision_id, 1, None),
        (TRICKY, new_ids(NOW_MS, 1)[0], 1, None),
        (TRICKY, "ffffffff-ffff-4fff-bfff-ffffffffffff", 1, None),
    )

    for customer_id, id_, rank, expected in asked:
        assert await decisions.recommended(str(tenant.tenant_id), customer_id, id_, rank) == expected


@pytest.fixture
async def other(database: Database) -> Tenant:
    return await create_tenant(database, "globex")


async def tenant_tables(database: Database) -> list[str]:
    async with database.system_transaction() as connection:
        cursor = await connection.execute(
            "SELECT table_name FROM information_schema.columns WHERE table_schema = 'public'"
            " AND column_name = 'tenant_id' ORDER BY table_name"
        )
        return [row["table_name"] for row in await cursor.fetchall()]


# Nobody may take a row of these away, not even one of their own.
APPEND_ONLY = {"audit_logs", "audit_heads"}


async def test_a_tenants_transaction_sees_and_writes_nothing_of_another(
    decisions: PostgresDecisions, database: Database, tenant: Tenant, other: Tenant
) -> None:
    for one in (tenant, other):
        await decisions.commit_decisions([decision(one, key="r1")])
        await decisions.commit_responses([response(one)])
    tables = await tenant_tables(database)
    assert {"customers", "interactions", "decision_traces", "outbox_events", "entities", "api_keys"} <= set(tables)

    for table in tables:
        async with database.transaction(tenant.tenant_id) as connection:
            name = sql.Identifier(table)
            cursor = await connection.execute(sql.SQL("SELECT DISTINCT tenant_id FROM {}").format(name))
            seen = {row["tenant_id"] for row in await cursor.fetchall()}
            assert seen <= {tenant.tenant_id}, table
            delete = sql.SQL("DELETE FROM {} WHERE tenant_id = %s").format(name)
            if table in APPEND_ONLY:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    await connection.execute(delete, [tenant.tenant_id])
            else:
                assert (await connection.execute(delete, [other.tenant_id])).rowcount == 0, table
    assert await decisions.answer_under(str(tenant.tenant_id), "k1") is not None
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with database.transaction(tenant.tenant_id) as connection:
            await connection.execute(
                "INSERT INTO customers (tenant_id, customer_id) VALUES (%s, 'planted')", [other.tenant_id]
            )
