"""Engagement health is what its page says, for every customer, chunk by chunk."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from kaireon_application.customers.engagement_health import EngagementStatus, read_engagement, recompute_engagement
from kaireon_storage.postgres.engagement_health import PostgresEngagementHealth

if TYPE_CHECKING:
    from kaireon_storage.postgres.database import Database
    from kaireon_testkit.platform.tenant import Tenant

NOW = datetime(2026, 3, 18, 3, 15, tzinfo=UTC)
# By customer: (days ago, kind, outcome, classification) of each interaction.
HISTORIES: dict[str, list[tuple[float, str, str, str]]] = {
    "keen": [(1, "outcome", "click", "positive")] * 20,
    "cooling": [(25, "outcome", "click", "positive"), (40, "outcome", "dismiss", "negative")],
    "gone": [(91, "outcome", "click", "positive")],
    "shown": [(1, "impression", "impression", "neutral"), (2, "outcome", "impression", "neutral")],
    "never": [],
    "unclear": [(60, "outcome", "view", "neutral")],
    "ahead": [(-0.001, "outcome", "click", "positive")],
}


def expected(history: list[tuple[float, str, str, str]]) -> tuple[float, float, float]:
    """Return recency, frequency and positivity by the formulas of the page."""
    responses = [one for one in history if one[1] == "outcome" and one[2] != "impression" and 0 <= one[0] < 90]
    if not responses:
        return 0, 0, 0
    count = sum(days < 30 for days, *_ in responses)
    positive, negative = (sum(one[3] == name for one in responses) for name in ("positive", "negative"))
    return (
        0.5 ** (min(one[0] for one in responses) / 30),
        count / (5 + count),
        (positive + 1) / (positive + negative + 2),
    )


async def _stock(database: Database, tenant: Tenant) -> None:
    async with database.transaction(tenant.tenant_id) as connection:
        for customer, history in HISTORIES.items():
            await connection.execute(
                "INSERT INTO customers (tenant_id, customer_id) VALUES (%s, %s)", (tenant.tenant_id, customer)
            )
            for days, kind, outcome, classification in history:
                await connection.execute(
                    "INSERT INTO interactions (tenant_id, id, occurred_at, customer_id, kind, outcome_key,"
                    " classification) VALUES (%s, %s, %s, %s, %s, %s, %s)",
                    (
                        tenant.tenant_id,
                        uuid4(),
                        NOW - timedelta(days=days),
                        customer,
                        kind,
                        outcome,
                        classification,
                    ),
                )


@pytest.mark.parametrize("chunk", [1, 2, len(HISTORIES), 1000])
async def test_every_customer_s_health_is_that_of_the_formulas(database: Database, tenant: Tenant, chunk: int) -> None:
    await _stock(database, tenant)
    store = PostgresEngagementHealth(database, chunk)
    for _ in range(2):
        assert await recompute_engagement(store, NOW) == (len(HISTORIES), ())
    for customer, history in HISTORIES.items():
        found = await read_engagement(store, tenant.tenant_id, customer)
        recency, frequency, positivity = expected(history)
        assert (found.recency, found.frequency, found.positivity) == pytest.approx((recency, frequency, positivity))
        assert found.score == pytest.approx(100 * (0.4 * recency + 0.3 * frequency + 0.3 * positivity))
        assert found.computed_at == NOW


async def test_the_number_has_a_name(database: Database, tenant: Tenant) -> None:
    await _stock(database, tenant)
    store = PostgresEngagementHealth(database)
    await store.recompute(tenant.tenant_id, NOW)
    named = {
        one: (await read_engagement(store, tenant.tenant_id, one)).status for one in ("keen", "cooling", "gone", "x")
    }
    assert named == {
        "keen": EngagementStatus.HEALTHY,
        "cooling": EngagementStatus.COOLING,
        "gone": EngagementStatus.DORMANT,
        "x": EngagementStatus.UNKNOWN,
    }
