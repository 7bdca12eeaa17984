"""Loading facts: versions, contacts and rows of many customers at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from kaireon_application.decisioning.changes import (
    DecisionChange,
    EventRow,
    IdempotencyRow,
    InteractionRow,
    RecommendedItems,
    ResponseChange,
    SummaryRow,
)
from kaireon_application.decisioning.facts import History, Sources
from kaireon_application.platform.identity import new_ids
from kaireon_core.decisioning.compile import Enrichment, Needs
from kaireon_core.decisioning.history_needs import HistoryNeeds
from kaireon_storage.postgres.decisions import PostgresDecisions
from kaireon_storage.postgres.facts import PostgresFacts

if TYPE_CHECKING:
    from kaireon_storage.postgres.database import Database
    from kaireon_testkit.platform.tenant import Tenant

NOW_MS = 1_795_000_000_000
HOUR_MS = 3_600_000
OFFER, CREATIVE = new_ids(1, 2)
NEEDS = Needs(enrichments=(), contact_window_ms=10 * HOUR_MS, contact_totals=True)


@pytest.fixture
def facts(database: Database) -> PostgresFacts:
    return PostgresFacts(database)


async def contact(database: Database, tenant: Tenant, customer_id: str, version: int, at_ms: int) -> None:
    """Commit one impression."""
    (id_,) = new_ids(at_ms, 1)
    row = InteractionRow(
        id=id_,
        occurred_at_ms=at_ms,
        kind="impression",
        outcome_key="impression",
        offer_id=OFFER,
        creative_id=CREATIVE,
    )
    summary = SummaryRow(
        day="2026-11-20",
        offer_id=OFFER,
        creative_id=CREATIVE,
        channel_id=None,
        impressions=1,
        last_contact_ms=at_ms,
        outcome_key="impression",
        direction="outbound",
    )
    change = DecisionChange(
        tenant_id=str(tenant.tenant_id),
        customer_id=customer_id,
        expected_version=version,
        decision_id=id_,
        decided_at_ms=at_ms,
        flow_id=id_,
        flow_version=1,
        recommended=RecommendedItems(),
        impressions=[row],
        summaries=[summary],
        events=[],
        trace=None,
    )
    assert await PostgresDecisions(database).commit_decisions([change]) == [True]


async def test_each_customer_has_their_own_version_and_contacts(
    facts: PostgresFacts, database: Database, tenant: Tenant
) -> None:
    await contact(database, tenant, "a", 0, NOW_MS - 20 * HOUR_MS)
    await contact(database, tenant, "a", 1, NOW_MS - HOUR_MS)
    await contact(database, tenant, "O'b", 0, NOW_MS)
    since_ms = NOW_MS - 10 * HOUR_MS

    ids = ["O'b", "nobody", "a"]
    other, unknown, mine = await facts.load(str(tenant.tenant_id), ids, NEEDS, Sources(), NOW_MS)

    # The summaries' none is the nil UUID: whatever it is called, no channel of a catalogue has that id.
    assert (unknown.history, unknown.rows) == (History(0, since_ms, [], []), {})
    assert (other.history.version, mine.history.version) == (1, 2)
    assert mine.history.recent == [(OFFER, CREATIVE, None, NOW_MS - HOUR_MS, 1)]
    assert mine.history.totals is not None
    assert [(row[0], row[1], row[3], row[4]) for row in mine.history.totals] == [(OFFER, CREATIVE, NOW_MS - HOUR_MS, 2)]
    assert len(other.history.recent) == 1


async def test_the_window_includes_its_first_instant(facts: PostgresFacts, database: Database, tenant: Tenant) -> None:
    await contact(database, tenant, "a", 0, NOW_MS)

    for now_ms, count in ((NOW_MS + 10 * HOUR_MS, 1), (NOW_MS + 10 * HOUR_MS + 1, 0)):
        (record,) = await facts.load(str(tenant.tenant_id), ["a"], NEEDS, Sources(), now_ms)
        assert len(record.history.recent) == count


async def did(database: Database, tenant: Tenant, outcome: str, classification: str, at_ms: int) -> None:
    """Commit something that customer `a` did."""
    (id_,) = new_ids(at_ms, 1)
    row = InteractionRow(
        id=id_,
        occurred_at_ms=at_ms,
        kind="outcome",
        outcome_key=outcome,
        classification=classification,
        offer_id=OFFER,
    )
    change = ResponseChange(
        tenant_id=str(tenant.tenant_id),
        customer_id="a",
        idempotency=IdempotencyRow(key=id_, body_hash=b"", answer=b"{}"),
        interaction=row,
        summary=SummaryRow(
            day="2026-11-20",
            offer_id=OFFER,
            creative_id=None,
            channel_id=None,
            outcome_key=outcome,
            direction="inbound",
        ),
        event=EventRow(id=id_, type="interaction.recorded.v1", payload=b"{}"),
        suppressions=[],
    )
    assert await PostgresDecisions(database).commit_responses([change]) == [True]


async def test_outcomes_are_loaded_as_far_back_as_they_are_needed(
    facts: PostgresFacts, database: Database, tenant: Tenant
) -> None:
    await contact(database, tenant, "a", 0, NOW_MS)
    for outcome, classification, hours_ago in (("click", "positive", 3), ("dismiss", "negative", 2), ("later", "", 1)):
        await did(database, tenant, outcome, classification, NOW_MS - hours_ago * HOUR_MS)

    for window_ms, expected in (
        (0, []),
        (2 * HOUR_MS, [("dismiss", True), ("later", False)]),
        (3 * HOUR_MS - 1, [("dismiss", True), ("later", False)]),
        (3 * HOUR_MS, [("click", True), ("dismiss", True), ("later", False)]),
    ):
        needs = msgspec.structs.replace(NEEDS, history=HistoryNeeds(outcome_window_ms=window_ms))
        record, other = await facts.load(str(tenant.tenant_id), ["a", "b"], needs, Sources(), NOW_MS)
        assert [row[4:] for row in record.history.outcomes] == expected
        assert record.history.outcomes_since_ms == (NOW_MS - window_ms if window_ms else None)
        assert other.history.outcomes == []
        assert all(row[:3] == (OFFER, None, None) for row in record.history.outcomes)


async def test_a_schema_that_is_gone_enriches_nothing(facts: PostgresFacts, tenant: Tenant) -> None:
    gone = Enrichment(schema_id="gone", lookup_key="customer_id", fields=(), cache_ttl_seconds=60)
    needs = Needs(enrichments=(gone,), contact_window_ms=0, contact_totals=False)

    (record,) = await facts.load(str(tenant.tenant_id), ["a"], needs, Sources(), NOW_MS)

    assert record.rows == {gone.row_key: None}
