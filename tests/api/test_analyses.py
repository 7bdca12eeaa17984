"""POST /ai/analyze/...: suggestions that can be created as they are, refusals with a code, a job when it takes long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from kaireon_application.learning.analysis import LOCAL_ROWS
from tests.core.learning.planted import (
    Answer,
    capped_at_three,
    cooling_for_a_day,
    never_tired,
    offended_for_two_weeks,
    planted_creatives,
    planted_happenings,
    planted_rows,
)
from tests.ml_worker.planted_tenant import plant_creatives, plant_history, plant_schema

if TYPE_CHECKING:
    import httpx

    from kaireon_storage.postgres.database import Database
    from tests.api.conftest import Clients, Eventually, StartWorker
    from tests.api.shop import Shop

PATH = "/api/v1/ai/analyze"


async def ask(api: Clients, kind: str, **body: Any) -> httpx.Response:
    return await api.editor.post(f"{PATH}/{kind}", json=body, timeout=40)


@pytest.fixture
async def worker(api: Clients, start_worker: StartWorker, eventually: Eventually) -> None:
    """A worker that has started: an analysis that nobody has begun within seconds is not waited for."""
    start_worker()
    accepted = (await ask(api, "content", **{"async": True})).json()

    async def is_over() -> bool:
        return (await api.viewer.get(accepted["statusUrl"])).json()["status"] == "failed"

    await eventually(is_over)


async def answered(api: Clients, kind: str, **body: Any) -> dict[str, Any]:
    answer = await ask(api, kind, **body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_clusters_come_with_segments_that_find_them(api: Clients, database: Database, worker: None) -> None:
    schema_id = await plant_schema(database, api.tenant.tenant_id, planted_rows(900)[0])
    answer = await answered(api, "segments", schemaKey="people", maxClusters=5)
    assert (answer["engine"], answer["sampled"], answer["totalRows"]) == ("local", False, 900)
    assert (answer["schemaId"], answer["schemaKey"]) == (str(schema_id), "people")
    assert answer["clusterCount"] == len(answer["clusters"]) == 3
    assert [one["clusters"] for one in answer["silhouettes"]] == [2, 3, 4, 5]
    assert answer["silhouette"] == max(one["silhouette"] for one in answer["silhouettes"])
    assert answer["structure"] in {"strong", "reasonable"}
    assert sum(one["size"] for one in answer["clusters"]) == 900
    for cluster in answer["clusters"]:
        assert cluster["precision"] > 0.9
        assert cluster["recall"] > 0.8
        assert cluster["centroid"]["tier"] in {"gold", "silver", "bronze"}
        created = await api.editor.post("/api/v1/segments", json=cluster["segment"])
        assert created.status_code == 201, created.text
        # What is said of the filters is what Postgres counts.
        assert created.json()["customerCount"] == cluster["matching"]


PLANTED: list[tuple[Answer, int, float, str, dict[str, Any]]] = [
    (capped_at_three, 36, 4, "frequency_cap", {"maxPerDay": 3}),
    (cooling_for_a_day, 110, 1.2, "cooldown", {"cooldownHours": 24}),
    (offended_for_two_weeks, 110, 1.2, "outcome_based", {"afterOutcome": "dismiss", "suppressForDays": 14}),
]


@pytest.mark.parametrize(
    ("fatigue", "customers", "per_day", "rule_type", "config"), PLANTED, ids=[c[3] for c in PLANTED]
)
async def test_a_planted_fatigue_comes_as_a_policy(
    api: Clients,
    database: Database,
    worker: None,
    fatigue: Answer,
    customers: int,
    per_day: float,
    rule_type: str,
    config: dict[str, Any],
) -> None:
    happenings = planted_happenings(fatigue, seed=4, customers=customers, days=30, per_day=per_day)
    assert len(happenings) <= LOCAL_ROWS
    await plant_history(database, api.tenant.tenant_id, happenings, _midnight(40))
    answer = await answered(api, "policies")
    assert answer["verdict"] == "suggested"
    assert answer["contacts"]["count"] == sum(one.is_contact for one in happenings)
    (suggestion,) = answer["suggestions"]
    policy = suggestion["policy"]
    assert (policy["ruleType"], policy["config"]) == (rule_type, config)
    assert 0 < suggestion["positiveShare"] < suggestion["contactShare"] < 1
    created = await api.admin.post("/api/v1/contact-policies", json=policy)
    assert created.status_code == 201, created.text
    # A suggestion blocks nobody before somebody has looked at it.
    assert created.json()["status"] == "draft"


async def test_a_policy_keeps_the_scope_that_was_asked_for(shop: Shop, worker: None) -> None:
    channel = await shop.get("channels/mail")
    happenings = planted_happenings(capped_at_three, seed=4, customers=36, days=30, per_day=4)
    tenant_id = shop.api.tenant.tenant_id
    await plant_history(shop.database, tenant_id, happenings, _midnight(40), channel_id=channel["id"])
    answer = await answered(shop.api, "policies", scope="channel", scopeId="mail", lookbackDays=60)
    policy = answer["suggestions"][0]["policy"]
    assert (policy["scope"], policy["scopeId"]) == ("channel", channel["id"])
    assert (await shop.api.admin.post("/api/v1/contact-policies", json=policy)).status_code == 201


async def test_without_evidence_or_effect_no_policy_is_suggested(
    api: Clients, database: Database, worker: None
) -> None:
    nothing = await answered(api, "policies")
    assert (nothing["verdict"], nothing["suggestions"]) == ("too_little_evidence", [])
    assert "200" in nothing["message"]
    await plant_history(
        database, api.tenant.tenant_id, planted_happenings(never_tired, seed=1, customers=60), _midnight(60)
    )
    even = await answered(api, "policies")
    assert (even["verdict"], even["suggestions"]) == ("no_effect", [])


async def test_planted_words_come_with_their_evidence(api: Clients, database: Database, worker: None) -> None:
    await plant_creatives(database, api.tenant.tenant_id, planted_creatives(80))
    answer = await answered(api, "content", channelId="mail", texts=["A free card"])
    assert [(one["term"], one["direction"]) for one in answer["terms"][:2]] == [("free", "higher"), ("hurry", "lower")]
    (prediction,) = answer["predictions"]
    assert prediction["predictedRate"] > answer["overall"]["rate"]


def _midnight(days_ago: int) -> datetime:
    now = datetime.now(UTC)
    return now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days_ago)


async def test_what_the_rows_show_is_refused_with_its_code(api: Clients, database: Database, worker: None) -> None:
    tenant_id = api.tenant.tenant_id
    rows = planted_rows(40)[0]
    await plant_schema(database, tenant_id, rows[:19], "few")
    await plant_schema(database, tenant_id, [{**row, "age": 5} for row in rows], "flat")
    refusals = {
        "too_few_rows": await ask(api, "segments", schemaKey="few"),
        "constant_features": await ask(api, "segments", schemaKey="flat", fields=["age"]),
        "too_few_creatives": await ask(api, "content"),
    }
    assert {code: (one.status_code, one.json()["error"]["code"]) for code, one in refusals.items()} == {
        code: (422, code) for code in refusals
    }


async def test_what_the_definition_shows_is_refused_at_once(api: Clients, database: Database) -> None:
    keys = [{"name": "customer_id", "isPrimaryKey": True}, {"name": "born", "dataType": "date"}]
    await api.editor.post("/api/v1/schemas", json={"name": "keys", "fields": keys})
    await plant_schema(database, api.tenant.tenant_id, [])
    cases: list[tuple[str, dict[str, Any], int, str]] = [
        ("segments", {"schemaKey": "gone"}, 404, "$.schemaKey"),
        ("segments", {}, 400, "$"),
        ("segments", {"schemaKey": "keys"}, 422, ""),
        ("segments", {"schemaKey": "keys", "fields": ["born"]}, 400, "$.fields[0]"),
        ("segments", {"schemaKey": "people", "fields": ["age", "gone"]}, 400, "$.fields[1]"),
        ("segments", {"schemaKey": "people", "fields": []}, 400, "$.fields"),
        ("segments", {"schemaKey": "people", "maxClusters": 1}, 400, "$.maxClusters"),
        ("segments", {"schemaKey": "people", "maxClusters": 21}, 400, "$.maxClusters"),
        ("segments", {"schemaKey": "people", "sampleSize": 19}, 400, "$.sampleSize"),
        ("segments", {"schemaKey": "people", "sampleSize": 50_001}, 400, "$.sampleSize"),
        ("segments", {"schemaKey": "people", "seed": -1}, 400, "$.seed"),
        ("segments", {"schemaKey": "people", "surplus": 1}, 400, "$"),
        ("policies", {"scope": "segment", "scopeId": "x"}, 400, "$.scope"),
        ("policies", {"scope": "offer"}, 400, "$.scopeId"),
        ("policies", {"scope": "offer", "scopeId": "gone"}, 404, "$.scopeId"),
        ("policies", {"lookbackDays": 0}, 400, "$.lookbackDays"),
        ("content", {"channelId": "gone"}, 404, "$.channelId"),
        ("content", {"texts": ["x"] * 101}, 400, "$.texts"),
        ("content", {"texts": [""]}, 400, "$.texts[0]"),
    ]
    for kind, body, status, path in cases:
        answer = await ask(api, kind, **body)
        error = answer.json()["error"]
        assert answer.status_code == status, (kind, body, answer.text)
        if path:
            assert error["details"][0]["path"].startswith(path), (kind, body, answer.text)
        else:
            assert error["code"] == "no_fields"
    jobs = (await api.viewer.get("/api/v1/jobs")).json()
    assert jobs["data"] == []


async def test_another_tenants_schema_is_unknown(api: Clients, other_shop: Shop, database: Database) -> None:
    schema_id = await plant_schema(database, other_shop.tenant_id, planted_rows(30)[0])
    assert (await ask(other_shop.api, "segments", schemaKey="people", **{"async": True})).status_code == 202
    for reference in ("people", str(schema_id)):
        assert (await ask(api, "segments", schemaKey=reference)).status_code == 404


async def test_an_analysis_may_be_asked_for_and_fetched_later(
    api: Clients, database: Database, start_worker: StartWorker, eventually: Eventually
) -> None:
    await plant_schema(database, api.tenant.tenant_id, planted_rows(60)[0])
    answer = await ask(api, "segments", schemaKey="people", **{"async": True})
    accepted = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == accepted["statusUrl"]
    start_worker()

    async def is_over() -> bool:
        return (await api.viewer.get(accepted["statusUrl"])).json()["status"] == "completed"

    await eventually(is_over)
    job = (await api.viewer.get(accepted["statusUrl"])).json()
    assert (job["queue"], job["type"]) == ("batch-jobs", "analyze")
    assert job["result"] == await answered(api, "segments", schemaKey="people")


async def test_without_a_worker_nobody_waits_for_long(api: Clients, database: Database) -> None:
    await plant_schema(database, api.tenant.tenant_id, planted_rows(60)[0])
    answer = await ask(api, "segments", schemaKey="people")
    assert answer.status_code == 202
    job = (await api.viewer.get(answer.json()["statusUrl"])).json()
    assert job["status"] == "queued"


async def test_a_schema_without_customers_gets_clusters_and_no_segments(api: Clients, worker: None) -> None:
    made = await api.editor.post(
        "/api/v1/schemas",
        json={"name": "visits", "fields": [{"name": "age", "dataType": "integer"}, {"name": "tier"}]},
    )
    assert made.status_code == 201, made.text
    rows = [{"age": row["age"], "tier": row["tier"]} for row in planted_rows(200)[0]]
    stored = await api.editor.post("/api/v1/schemas/visits/data", json={"rows": rows})
    assert stored.json()["inserted"] == 200
    answer = await answered(api, "segments", schemaKey="visits")
    assert [one["segment"] for one in answer["clusters"]] == [None] * answer["clusterCount"]


@pytest.mark.parametrize("kind", ["segments", "policies", "content"])
async def test_viewers_may_not_start_analyses(api: Clients, kind: str) -> None:
    assert (await api.viewer.post(f"{PATH}/{kind}", json={})).status_code == 403
    assert (await api.anonymous.post(f"{PATH}/{kind}", json={})).status_code == 401
