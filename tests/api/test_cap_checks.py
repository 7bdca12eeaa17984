"""Whether answers kept to their caps, checked afterwards: what a faulty release would do is found, and nothing else."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kaireon_application.decisioning.check_caps import check_caps
from kaireon_runtime.logs import logger
from kaireon_storage.postgres.cap_checks import PostgresCapChecks
from kaireon_storage.postgres.cap_violations import PostgresCapViolations
from tests.api.test_mandatory import mandatory

if TYPE_CHECKING:
    from kaireon_storage.postgres.database import Database
    from tests.api.shop import Shop

# Answers are checked when they are so old.
SETTLE = timedelta(minutes=5)


async def begin(shop: Shop, *others: Shop) -> None:
    """Check what is answered from now on, by processes that have known for long what is configured."""
    for one in (shop, *others):
        await one.recommend("nobody", channel="mail", limit=1)
        await one.api.app.services.engine.snapshots.look()
    for name in ("entities SET updated_at = updated_at", "flow_versions SET published_at = published_at"):
        await shop.run(f"UPDATE {name} - interval '1 hour' WHERE tenant_id = %(tenant_id)s")
    await found(shop)


async def found(shop: Shop, slice_answers: int = 2_000) -> int:
    """Return how many offers a check in five minutes will find that went beyond a cap."""
    checks = PostgresCapChecks(shop.database, settle=SETTLE, slice_answers=slice_answers)
    now, log = datetime.now(UTC) + SETTLE, logger("kaireon.test")
    count, failures = await check_caps(checks, [shop.tenant_id], now, time.monotonic, log)
    assert failures == ()
    return count


async def age(shop: Shop) -> None:
    """Let everything that was answered be older."""
    await shop.run(
        "UPDATE decision_traces SET decided_at = decided_at - interval '10 minutes' WHERE tenant_id = %(tenant_id)s"
    )


async def counted(database: Database) -> dict[str, int]:
    return {type_: count for type_, count in (await PostgresCapViolations(database).read()).counts.items() if count}


async def forget_contacts(shop: Shop) -> None:
    """Take away what enforces caps, as a release would that does not record impressions."""
    for table in ("interactions", "interaction_summaries"):
        await shop.run(f"DELETE FROM {table} WHERE tenant_id = %(tenant_id)s")  # noqa: S608 - one of two names
    await shop.run("UPDATE customers SET version = version + 1 WHERE tenant_id = %(tenant_id)s")
    await shop.api.app.services.redis.flushdb()


CAPS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("frequency_cap", {"maxPerDay": 1}, {}),
    ("frequency_cap", {"maxPerWeek": 1}, {"scope": "offer", "scopeId": "gold"}),
    ("frequency_cap", {"maxPerMonth": 1}, {"scope": "channel", "scopeId": "web"}),
    ("frequency_cap", {"maxTotal": 1, "lookbackHours": 2}, {"scope": "creative", "scopeId": "gold-web"}),
    ("frequency_cap", {"maxTotal": 1, "perOffer": True}, {}),
    ("frequency_cap", {"maxContacts": 1, "windowDays": 3}, {}),
    ("cross_channel_cap", {"maxPerDay": 1}, {"scope": "channel", "scopeId": "web"}),
    ("customer_total_cap", {"maxPerDay": 1}, {}),
]


@pytest.mark.parametrize(("rule_type", "config", "body"), CAPS)
async def test_what_goes_beyond_a_cap_is_counted_once(
    shop: Shop, rule_type: str, config: dict[str, Any], body: dict[str, Any]
) -> None:
    await shop.policy(rule_type, config, **body)
    await begin(shop)
    first = await shop.recommend(channel="web", limit=1)
    assert await found(shop) == 0
    await forget_contacts(shop)
    beyond = await shop.recommend(channel="web", limit=1)
    assert [item["offerKey"] for item in first["decisions"] + beyond["decisions"]] == ["gold", "gold"]

    assert await found(shop) == 1

    assert await found(shop) == 0
    assert await counted(shop.database) == {rule_type: 1}


async def test_of_an_answer_only_the_offers_beyond_the_cap_are_counted(shop: Shop) -> None:
    await shop.policy("frequency_cap", {"maxPerDay": 4})
    await begin(shop)
    for _ in range(3):
        assert (await shop.recommend(channel="web", limit=3))["count"] == 3
        await forget_contacts(shop)

    assert await found(shop, slice_answers=1) == 5
    assert await counted(shop.database) == {"frequency_cap": 5}


async def test_caps_that_are_kept_are_no_violations_however_many_decide_at_once(shop: Shop, second: Shop) -> None:
    for number, (rule_type, config, body) in enumerate(CAPS):
        await shop.policy(rule_type, {**config, **_more(config)}, name=f"cap {number}", **body)
    await begin(shop, second)
    customers = [f"c{number}" for number in range(4)] * 30

    async def decide(number: int, customer_id: str) -> None:
        shop_ = (shop, second)[number % 2]
        await shop_.recommend(customer_id, channel="web", limit=1 + number % 3)
        if number % 5 == 0:
            await shop_.respond(f"k{number}", customerId=customer_id, creativeId="gold-web", outcome="impression")

    await asyncio.gather(*(decide(*one) for one in enumerate(customers)))

    given = await shop.rows("SELECT 1 FROM interactions WHERE tenant_id = %(tenant_id)s AND kind = 'impression'")
    assert len(given) >= 4, "the caps leave room for some"
    assert await found(shop, slice_answers=7) == 0


def _more(config: dict[str, Any]) -> dict[str, Any]:
    return {key: 3 for key in config if key.startswith("max")}


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    caps=st.lists(st.tuples(st.integers(0, len(CAPS) - 1), st.integers(1, 4)), min_size=1, max_size=4),
    override=st.sampled_from([None, "gold", "silver"]),
    asked=st.lists(st.tuples(st.integers(0, 1), st.integers(1, 3), st.booleans()), min_size=1, max_size=12),
)
async def test_no_sequence_of_answers_that_keeps_to_its_caps_is_a_violation(
    shop: Shop, caps: list[tuple[int, int]], override: str | None, asked: list[tuple[int, int, bool]]
) -> None:
    await shop.run("DELETE FROM entities WHERE tenant_id = %(tenant_id)s AND kind = 'contact_policy'")
    for number, (place, most) in enumerate(caps):
        rule_type, config, body = CAPS[place]
        raised = {key: most if key.startswith("max") else value for key, value in config.items()}
        await shop.policy(rule_type, raised, name=f"cap {number}", **body)
    if override is not None:
        await shop.policy("allow_override", {}, scope="offer", scopeId=override)
    await begin(shop)
    customers = [uuid4().hex, uuid4().hex]
    for customer, limit, is_at_once in asked:
        limits = [limit, 1] if is_at_once else [limit]
        await asyncio.gather(*(shop.recommend(customers[customer], channel="web", limit=one) for one in limits))
    assert await found(shop) == 0


async def test_what_a_later_policy_does_not_allow_is_no_violation(shop: Shop) -> None:
    loose = await shop.policy("frequency_cap", {"maxPerDay": 3})
    await begin(shop)
    for _ in range(3):
        await shop.recommend(channel="web", limit=1)
    path = f"/api/v1/contact-policies/{loose['id']}"
    tightened = await shop.api.admin.put(path, json={"config": {"maxPerDay": 1}})
    assert tightened.status_code == 200, tightened.text
    await shop.policy("customer_total_cap", {"maxTotal": 1})

    assert await found(shop) == 0
    await begin(shop)
    assert (await shop.recommend(channel="web", limit=1))["count"] == 0
    assert await found(shop) == 0

    await forget_contacts(shop)
    assert (await shop.recommend(channel="web", limit=1))["count"] == 1
    assert await found(shop) == 2, "one offer, beyond both"


async def test_only_what_answers_gave_counts(shop: Shop) -> None:
    await shop.policy("frequency_cap", {"maxPerDay": 1})
    await begin(shop)
    for number in range(3):
        told = await shop.respond(f"k{number}", creativeId="gold-web", outcome="impression")
        assert told.status_code == 201
    for _ in range(3):
        assert (await shop.recommend("c2", channel="mail", limit=1))["count"] == 1, "e-mails are shown once told"

    assert await found(shop) == 0


async def test_what_a_cap_does_not_bind_is_no_violation(shop: Shop) -> None:
    await shop.policy("frequency_cap", {"maxTotal": 1, "lookbackHours": 9})
    await shop.policy("allow_override", {}, scope="offer", scopeId="gold")
    await shop.recommend("nobody")
    await shop.flow("free", {"type": "match_creatives"}, {"type": "score"}, {"type": "rank"})
    await begin(shop)
    capped: dict[str, Any] = {"decisionFlowKey": "base-nba-flow", "channel": "web", "limit": 1}
    free = {**capped, "decisionFlowKey": "free"}
    given = [await shop.recommend(**capped) for _ in range(3)]
    [gold] = given[0]["decisions"]
    assert gold["offerKey"] == "gold"
    assert [one["count"] for one in given] == [1, 1, 1]
    assert [(await shop.recommend("c2", **free))["count"] for _ in range(3)] == [1, 1, 1]
    assert await found(shop) == 0

    # It counts nevertheless, once it is sure that it was committed before.
    for is_sure in (False, True):
        await forget_contacts(shop)
        if is_sure:
            await age(shop)
        [silver] = (await shop.recommend("c2", **capped, excludeOffers=[gold["offerId"]]))["decisions"]
        assert silver["offerKey"] == "silver"
        assert await found(shop) == is_sure


async def test_of_mandatory_offers_only_what_holds_for_them_is_counted(shop: Shop) -> None:
    await mandatory(shop, "notice")
    await shop.policy("customer_total_cap", {"maxPerDay": 1})
    await begin(shop)
    for _ in range(3):
        assert (await shop.recommend(channel="web", limit=1))["count"] == 1
    assert await found(shop) == 0

    await shop.policy("customer_total_cap", {"maxPerDay": 2, "bypassable": False}, name="for all")
    await begin(shop)
    assert (await shop.recommend(channel="web", limit=1))["count"] == 0
    await forget_contacts(shop)
    assert (await shop.recommend(channel="web", limit=1))["count"] == 1
    assert await found(shop) == 1
