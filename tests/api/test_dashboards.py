"""Dashboards: what was decided and answered over some days, counted."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kaireon_api.app import build_app, opened
from kaireon_application.decisioning.dashboards import DashboardType
from kaireon_testkit.native.replica import running_replica
from kaireon_testkit.patience import PATIENCE_SECONDS
from tests.api.conftest import client_of

if TYPE_CHECKING:
    from kaireon_api.settings import Settings
    from kaireon_testkit.native.stack import Stack
    from tests.api.shop import Shop

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "dashboards.md"
FIELDS = {
    type_: set(re.findall(r"`(\w+)`", fields))
    for type_, fields in re.findall(r"^\| `(\w+)` \| [^|]* \| ([^|]*) \|$", PAGE.read_text(), re.MULTILINE)
}

OBJECTS = {"summary", "decision_health"}


async def look(shop: Shop, type_: str, days: int = 7) -> Any:
    return (await shop.get("dashboard-data", type=type_, days=days))["data"]


@pytest.fixture
async def busy(shop: Shop) -> Shop:
    """Four customers were shown three offers on the web; the first two took the first offer, one turned it down."""
    for number in range(4):
        decision = await shop.recommend(f"c{number}", channel="web")
        about = {"customerId": f"c{number}", "recommendationId": decision["recommendationId"], "rank": 1}
        if number < 2:
            await shop.respond(f"click{number}", **about)
            await shop.respond(f"convert{number}", **about, outcome="convert", conversionValue=10.0)
        elif number == 2:
            await shop.respond("dismiss", **about, outcome="dismiss")
    await shop.recommend("nobody", channel="web", excludeOffers=["gold", "silver", "bronze"])
    return shop


async def test_everything_in_numbers(busy: Shop) -> None:
    found = await look(busy, "summary")
    assert found == {
        "decisions": 5,
        "emptyDecisions": 1,
        "recommendations": 12,
        "impressions": 12,
        "positive": 4,
        "negative": 1,
        "conversions": 2,
        "revenue": 20.0,
        "customers": 4,
        "acceptanceRate": 4 / 12,
    }


async def test_every_type_has_the_fields_of_its_page(busy: Shop) -> None:
    yesterday = (datetime.now(UTC) - timedelta(days=1, hours=1)).isoformat()
    for number in range(30):
        await busy.respond(f"now{number}", customerId="a", creativeId="gold-web", outcome="impression")
        await busy.respond(
            f"then{number}", customerId="a", creativeId="gold-web", outcome="impression", timestamp=yesterday
        )
        await busy.respond(f"yes{number}", customerId="a", creativeId="gold-web", timestamp=yesterday)
    await busy.run(
        "INSERT INTO model_versions (tenant_id, model_id, version, model_type, state, metrics)"
        """ VALUES (%(tenant_id)s, gen_random_uuid(), 1, 'scorecard', '{}', '{"auc": 0.7}')"""
    )
    assert FIELDS.keys() == {type_.value for type_ in DashboardType}
    for type_, fields in FIELDS.items():
        found = await look(busy, type_)
        row: Any = found[0] if type_ not in OBJECTS else found
        assert row.keys() == fields, type_


async def test_days_are_the_tenants_and_none_is_left_out(busy: Shop) -> None:
    await busy.api.admin.put("/api/v1/tenant-settings", json={"timezone": "Pacific/Kiritimati"})
    today = (datetime.now(UTC) + timedelta(hours=14)).date()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (days := await look(busy, "daily_trend", 3))[-1]["day"] != today.isoformat():
            await asyncio.sleep(0.02)
    assert [day["day"] for day in days] == [(today - timedelta(days=back)).isoformat() for back in (2, 1, 0)]
    assert [day["decisions"] for day in days] == [0, 0, 5]
    assert (days[-1]["impressions"], days[-1]["positive"], days[-1]["conversions"]) == (12, 4, 2)
    assert [day["revenue"] for day in await look(busy, "revenue_trend", 3)] == [0, 0, 20.0]
    assert [day["acceptanceRate"] for day in await look(busy, "acceptance_rate", 2)] == [None, 4 / 12]


async def test_offers_channels_and_reasons_are_counted(busy: Shop) -> None:
    offers = await look(busy, "offer_performance")
    assert [(offer["offerKey"], offer["positive"], offer["impressions"]) for offer in offers] == [
        ("gold", 4, 4),
        *((row["offerKey"], 0, 4) for row in offers[1:]),
    ]
    (group,) = await look(busy, "offer_performance_grouped")
    assert (group["categoryKey"], group["offers"], group["impressions"]) == (None, 3, 12)
    (channel,) = await look(busy, "channel_effectiveness")
    assert (channel["channelKey"], channel["revenue"]) == ("web", 20.0)
    chosen = await look(busy, "selection_frequency")
    assert {row["offerKey"]: row["averageRank"] for row in chosen} == {"gold": 1, "silver": 2, "bronze": 3}
    assert sum(row["share"] for row in chosen) == pytest.approx(1)
    scores = await look(busy, "score_distribution")
    assert (len(scores), sum(row["count"] for row in scores)) == (20, 12)
    reasons = await look(busy, "why_not_ranked")
    # Of six candidates each decision drops the three for mail, and one all three offers.
    told = [(row["stage"], row["reason"], row["count"]) for row in reasons]
    assert told == [("match_creatives", "channel", 12), ("inventory", "excluded", 6)]
    assert sum(row["share"] for row in reasons) == pytest.approx(18 / 30)
    assert await look(busy, "anomaly_candidates") == []


async def test_an_offer_that_is_suddenly_refused_is_an_anomaly(shop: Shop) -> None:
    yesterday = (datetime.now(UTC) - timedelta(days=1, hours=1)).isoformat()
    for number in range(40):
        for key, moment in (("now", {}), ("then", {"timestamp": yesterday})):
            about = {"customerId": "c", "creativeId": "gold-web", **moment}
            await shop.respond(f"{key}{number}", **about, outcome="impression")
            if key == "then" and number % 2:
                await shop.respond(f"yes{number}", **about)
    (found,) = await look(shop, "anomaly_candidates")
    assert (found["offerKey"], found["acceptanceRate"], found["usualRate"]) == ("gold", 0.0, 0.5)
    # Twenty of forty against none of forty: pooled 0.25, standard error 0.0968.
    assert found["zScore"] == pytest.approx(-5.164, abs=1e-3)


async def test_how_decisions_went(busy: Shop) -> None:
    found = (await busy.get("dashboards/decision-health/summary", days=1))["data"]
    assert (found["decisions"], found["emptyDecisions"], found["emptyRate"]) == (5, 1, 0.2)
    assert (found["sampledDecisions"], found["degradedDecisions"], found["averageCandidates"]) == (5, 0, 6)
    assert 0 < found["latencyMs"]["p50"] <= found["latencyMs"]["p99"]
    assert found == (await busy.get("dashboard-data", type="decision_health", days=1))["data"]


@pytest.mark.parametrize(
    "query", ["", "?type=nothing", "?type=summary&days=0", "?type=summary&days=91", "?type=summary&days=x"]
)
async def test_what_is_no_dashboard_is_told(shop: Shop, query: str) -> None:
    answer = await shop.api.viewer.get(f"/api/v1/dashboard-data{query}")
    assert answer.status_code == 400
    assert "query" in answer.json()["error"]["details"][0]["path"]


async def test_nothing_decided_is_no_error(shop: Shop, other_shop: Shop) -> None:
    await shop.recommend(channel="web")
    for type_ in DashboardType:
        found = await look(other_shop, type_.value)
        counted = found["decisions"] if type_ in OBJECTS else [row for row in found if "day" not in row]
        assert not counted, type_


@pytest.mark.parametrize(
    ("group_by", "keys"),
    [
        ("action", ["gold", "bronze", "silver"]),
        ("treatment", ["gold-web", "bronze-web", "silver-web"]),
        ("channel", ["web"]),
        ("customer", ["c0", "c1", "c2", "c3"]),
    ],
)
async def test_interactions_are_grouped(busy: Shop, group_by: str, keys: list[str]) -> None:
    found = await busy.get("interaction-summary", groupBy=group_by)
    assert {row["key"] for row in found["data"]} == set(keys)
    assert found["pagination"] == {"total": len(keys), "limit": 100, "hasMore": False, "nextCursor": None}
    assert sum(row["total"] for row in found["data"]) == 12 + 5
    first = found["data"][0]
    assert first["ctr"] == round(100 * first["click"] / first["impression"], 4)
    assert first["positive"] == first["click"] + first["convert"] + first["accept"]


async def test_groups_are_paged(busy: Shop) -> None:
    first = await busy.get("interaction-summary", groupBy="customer", limit=3)
    rest = await busy.get("interaction-summary", groupBy="customer", limit=3, cursor=first["pagination"]["nextCursor"])
    by_offset = await busy.get("interaction-summary", groupBy="customer", limit=3, offset=3)
    assert rest["data"] == by_offset["data"]
    assert {row["id"] for row in first["data"] + rest["data"]} == {"c0", "c1", "c2", "c3"}
    assert rest["pagination"]["nextCursor"] is None


async def test_a_replica_answers_a_dashboard(busy: Shop, settings: Settings, stack: Stack, clone: Path) -> None:
    with running_replica(clone, stack.postgres_url) as replica:
        urls = replica.url_of(settings.database_url)
        built = build_app(settings.model_copy(update={"database_replica_urls": urls}))
        async with opened(built.services), client_of(built, busy.api.tenant.api_keys["viewer"]) as viewer:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while 'reads_total{server="replica"}' not in built.services.metrics.render().decode():
                    answer = await viewer.get("/api/v1/dashboard-data", params={"type": "summary"})
                    assert answer.json()["data"]["decisions"] == 5
