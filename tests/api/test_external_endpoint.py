"""Models that are services: what is sent, what becomes of the answer, what a trace keeps and a replay does."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from kaireon_application.compression import zstd
from tests.api.scoring_service import Answer, Received, ScoringService, says, scores, scoring_service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kaireon_api.settings import Settings
    from tests.api.conftest import Eventually, StartWorker
    from tests.api.shop import Shop

MODELS = "/api/v1/algorithm-models"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The same, with this machine among the hosts that may be called."""
    return settings.model_copy(update={"external_endpoint_allowlist": "127.0.0.1"})


@pytest.fixture
async def service() -> AsyncIterator[ScoringService]:
    """A service that scores by priority."""
    async with scoring_service() as running:
        yield running


async def endpoint_model(shop: Shop, service: ScoringService, key: str = "ext", **config: Any) -> dict[str, Any]:
    """Register a model of this service and let it score."""
    model = await shop.create(
        "algorithm-models",
        key=key,
        name=key,
        modelType="external_endpoint",
        status="active",
        config={"endpoint": service.url, **config},
    )
    answer = await shop.api.editor.post(f"{MODELS}/{key}/promote", json={"toStatus": "shadow"})
    assert answer.status_code == 200, answer.text
    return model


async def scored_flow(shop: Shop, *before: dict[str, Any], **config: Any) -> dict[str, Any]:
    """Publish a flow that scores by the model."""
    given = {"method": "propensity", "modelKey": "ext", **config}
    return await shop.flow("scored", *before, {"type": "match_creatives"}, {"type": "score", "config": given})


async def test_a_service_scores_a_decision(shop: Shop, service: ScoringService) -> None:
    model = await endpoint_model(shop, service, auth={"type": "bearer", "token": "s3cret"})
    flow = await scored_flow(shop)
    service.answer = scores(lambda one: {"gold": 0.2, "silver": 0.9, "bronze": 0.4}[one["name"]])

    answer = await shop.recommend("cust-42", attributes={"tier": "Gold"}, decisionFlowKey="scored", limit=2)

    assert [(one["offerName"], one["score"]) for one in answer["decisions"]] == [("silver", 0.9), ("bronze", 0.4)]
    assert "degradedScoring" not in answer
    (received,) = service.received
    assert (received.method, received.path) == ("POST", "/score")
    assert received.headers == {
        "host": f"127.0.0.1:{service.port}",
        "authorization": "Bearer s3cret",
        "x-tenant-id": str(shop.tenant_id),
        "content-type": "application/json",
        "accept-encoding": "identity",
        "content-length": received.headers["content-length"],
    }
    assert set(received.body) == {"customerId", "attributes", "candidates", "requestId", "decisionFlowId"}
    assert received.body["customerId"] == "cust-42"
    assert received.body["attributes"] == {"tier": "Gold"}
    assert received.body["requestId"] == str(UUID(answer["recommendationId"].removeprefix("rec_")))
    assert received.body["decisionFlowId"] == flow["id"]
    offers = {one["offerId"]: one["offerName"] for one in answer["decisions"]}
    sent = {one["id"]: one for one in received.body["candidates"]}
    assert len(sent) == len(received.body["candidates"]) == 3
    for offer, name in offers.items():
        assert sent[offer] == {
            "id": offer,
            "name": name,
            "attributes": {"key": name, "category": None, "priority": {"silver": 60, "bronze": 30}[name]},
        }
    assert model["config"]["auth"]["token"] == "***"


async def test_a_replay_calls_nobody(shop: Shop, service: ScoringService) -> None:
    await endpoint_model(shop, service, auth={"token": "s3cret"})
    await scored_flow(shop)
    answer = await shop.recommend(decisionFlowKey="scored")
    service.answer = scores(lambda _: 0.0)

    replayed = await shop.api.editor.post(f"/api/v1/decision-traces/{answer['recommendationId']}/replay", json={})

    assert replayed.json() == {"identical": True, "differences": []}
    assert service.calls == 1
    kept = await shop.rows("SELECT content FROM snapshots WHERE tenant_id = %(tenant_id)s")
    assert kept
    detail = await shop.get(f"decision-traces/{answer['recommendationId']}")
    assert [one["fallbackReason"] for one in detail["scoringResults"]] == [None] * 6
    assert set(detail["facts"]["externalScores"]["ext"]["scores"].values()) == {0.9, 0.6, 0.3}


SCORES_PATH = "$.config.responseMapping.scoresPath"
BAD_CONFIGS: list[tuple[dict[str, Any], str]] = [
    ({}, "$.config.endpoint"),
    ({"endpoint": "ftp://ml.example.com"}, "$.config.endpoint"),
    ({"endpoint": "https://user:pass@ml.example.com/"}, "$.config.endpoint"),
    ({"endpoint": "http://10.0.0.1/score"}, "$.config.endpoint"),
    ({"endpoint": "http://2130706434/score"}, "$.config.endpoint"),
    ({"endpoint": "http://[::ffff:10.0.0.1]/score"}, "$.config.endpoint"),
    ({"endpoint": "http://169.254.169.254/latest"}, "$.config.endpoint"),
    ({"endpoint": "https://ml.example.com", "timeoutMs": 0}, "$.config.timeoutMs"),
    ({"endpoint": "https://ml.example.com", "timeoutMs": 30_001}, "$.config.timeoutMs"),
    ({"endpoint": "https://ml.example.com", "retries": 6}, "$.config.retries"),
    ({"endpoint": "https://ml.example.com", "retries": 0}, "$.config.retries"),
    ({"endpoint": "https://ml.example.com", "headers": {}}, "$.config.headers"),
    ({"endpoint": "https://ml.example.com", "auth": {"type": "basic", "token": "x"}}, "$.config.auth.type"),
    ({"endpoint": "https://ml.example.com", "auth": {"type": "bearer"}}, "$.config.auth.token"),
    ({"endpoint": "https://ml.example.com", "auth": {"token": "a\r\nX-Evil: 1"}}, "$.config.auth.token"),
    ({"endpoint": "https://ml.example.com", "auth": {"token": "***"}}, "$.config.auth.token"),
    ({"endpoint": "https://ml.example.com", "auth": {"token": "secret://vault/x"}}, "$.config.auth.token"),
    ({"endpoint": "https://ml.example.com", "auth": {"token": "secret://file/../x"}}, "$.config.auth.token"),
    ({"endpoint": "https://ml.example.com", "responseMapping": {"scoresPath": "scores"}}, SCORES_PATH),
    ({"endpoint": "https://ml.example.com", "responseMapping": {"scoresPath": "$[?@.a]"}}, SCORES_PATH),
    ({"endpoint": "https://ml.example.com", "responseMapping": {"fallback": 1}}, "$.config.responseMapping.fallback"),
]


@pytest.mark.parametrize(("config", "path"), BAD_CONFIGS, ids=[str(one[0]) for one in BAD_CONFIGS])
async def test_a_config_that_cannot_be_is_refused_with_its_path(shop: Shop, config: dict[str, Any], path: str) -> None:
    body = {"name": "ext", "modelType": "external_endpoint", "config": config}
    answer = await shop.api.editor.post(MODELS, json=body)
    assert answer.status_code == 400, answer.text
    assert path in [one["path"] for one in answer.json()["error"]["details"]]


async def test_nobody_reads_a_token_and_writing_its_mask_keeps_it(shop: Shop, service: ScoringService) -> None:
    await endpoint_model(shop, service, auth={"token": "s3cret-token"})
    config = (await shop.get("algorithm-models/ext"))["config"]
    assert config["auth"] == {"token": "***"}
    answer = await shop.api.editor.put(f"{MODELS}/ext", json={"config": {**config, "timeoutMs": 2000}})
    assert answer.status_code == 200, answer.text
    await scored_flow(shop)
    decided = await shop.recommend(decisionFlowKey="scored")
    assert service.received[0].headers["authorization"] == "Bearer s3cret-token"
    shown = [
        answer.text,
        str(await shop.get("algorithm-models")),
        str(await shop.get(f"decision-traces/{decided['recommendationId']}")),
        (await shop.api.admin.get("/api/v1/audit-logs")).text,
    ]
    assert all("s3cret-token" not in text for text in shown)
    for row in await shop.rows("SELECT content FROM snapshots WHERE tenant_id = %(tenant_id)s"):
        assert b"s3cret-token" not in zstd.decompress(row["content"])


async def test_a_stand_in_is_the_fallback_score_times_the_fit(shop: Shop, service: ScoringService) -> None:
    await endpoint_model(shop, service, responseMapping={"fallbackScore": 0.25})
    await shop.create(
        "qualification-rules",
        name="fits",
        ruleType="offer_attribute",
        scope="global",
        stage="fit",
        config={"attribute": "key", "operator": "eq", "value": "gold", "fitMultiplier": 0.5},
    )
    await scored_flow(shop, {"type": "qualify", "config": {"mode": "all"}})
    service.answer = scores(lambda one: None if one["name"] == "silver" else -2.5)
    answer = await shop.recommend(decisionFlowKey="scored")
    assert {one["offerName"]: one["score"] for one in answer["decisions"]} == {
        "gold": -2.5,
        "silver": 0.125,
        "bronze": -1.25,
    }
    assert answer["degradedScoring"] is True
    detail = await shop.get(f"decision-traces/{answer['recommendationId']}")
    reasons = {one["offerName"]: one["fallbackReason"] for one in detail["scoringResults"]}
    assert reasons == {"gold": None, "silver": "malformed", "bronze": None}
    metrics = (await shop.api.anonymous.get("/api/metrics")).text
    assert 'kaireon_scoring_candidates_total{modelKey="ext"} 6.0' in metrics
    assert 'kaireon_scoring_fallback_total{modelKey="ext",reason="malformed"} 2.0' in metrics


async def test_a_service_that_hangs_is_waited_for_by_the_first_calls_only(shop: Shop, service: ScoringService) -> None:
    await endpoint_model(shop, service, timeoutMs=300)
    await scored_flow(shop)

    async def hang(_: Received, __: asyncio.StreamWriter) -> None:
        await asyncio.sleep(3600)

    service.answer = hang
    reasons = list[str]()
    for place in range(12):
        answer = await shop.recommend(f"c{place}", decisionFlowKey="scored")
        assert answer["degradedScoring"] is True
        assert {one["score"] for one in answer["decisions"]} == {0.5}
        detail = await shop.get(f"decision-traces/{answer['recommendationId']}")
        reasons.append(detail["scoringResults"][0]["fallbackReason"])
    assert reasons == ["timeout"] * 5 + ["breaker_open"] * 7
    assert service.calls == 5


async def test_a_list_is_one_call_for_each_customer(shop: Shop, service: ScoringService) -> None:
    await endpoint_model(shop, service)
    await scored_flow(shop)
    ids = [f"c{place}" for place in range(40)]
    body = {"customerIds": ids, "decisionFlowKey": "scored"}
    answer = await shop.api.viewer.post("/api/v1/decide", json=body)
    assert answer.status_code == 200, answer.text
    assert [one["customerId"] for one in answer.json()["results"]] == ids
    asked = {one.body["customerId"]: one.body["requestId"] for one in service.received}
    assert asked == {
        one["customerId"]: one["recommendationId"].removeprefix("rec_") for one in answer.json()["results"]
    }
    assert service.calls == 40


async def test_models_of_channels_are_asked_at_the_same_time(shop: Shop, service: ScoringService) -> None:
    await endpoint_model(shop, service)
    async with scoring_service() as other:
        await endpoint_model(shop, other, "mail-model")

        def waits_for(one: ScoringService, score: float) -> Answer:
            async def answer(received: Received, writer: asyncio.StreamWriter) -> None:
                while not one.calls:
                    await asyncio.sleep(0.01)
                await scores(lambda _: score)(received, writer)

            return answer

        service.answer, other.answer = waits_for(other, 0.3), waits_for(service, 0.8)
        await scored_flow(shop, overrides=[{"channelId": "mail", "modelKey": "mail-model"}])
        answer = await shop.recommend(decisionFlowKey="scored")
    assert {one["score"] for one in answer["decisions"]} == {0.8}
    assert "degradedScoring" not in answer
    assert (service.calls, other.calls) == (1, 1)


async def test_a_shadow_that_is_a_service_never_delays_the_answer(shop: Shop, service: ScoringService) -> None:
    await endpoint_model(shop, service)
    async with scoring_service() as fast, scoring_service() as slow, scoring_service() as broken:
        await endpoint_model(shop, fast, "fast")
        await endpoint_model(shop, slow, "slow")
        await endpoint_model(shop, broken, "broken")
        fast.answer = scores(lambda _: 0.7)
        broken.answer = says("no")
        slow_may_answer, answers = asyncio.Event(), scores(lambda _: 0.5)

        async def waits(received: Received, writer: asyncio.StreamWriter) -> None:
            await slow_may_answer.wait()
            await answers(received, writer)

        async def after_the_others(received: Received, writer: asyncio.StreamWriter) -> None:
            while not (fast.calls and broken.calls and slow.calls):
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            await scores(lambda one: one["attributes"]["priority"] / 100)(received, writer)

        slow.answer, service.answer = waits, after_the_others
        await scored_flow(shop, shadowModelKeys=["fast", "slow", "broken"])
        answer = await shop.recommend(decisionFlowKey="scored")
        slow_may_answer.set()

    assert [one["score"] for one in answer["decisions"]] == [0.9, 0.6, 0.3]
    assert "degradedScoring" not in answer
    detail = await shop.get(f"decision-traces/{answer['recommendationId']}")
    for one in detail["scoringResults"]:
        told = {key: (found["score"], found.get("reason")) for key, found in one["shadowScores"].items()}
        assert told == {"fast": (0.7, None), "slow": (None, "late"), "broken": (None, "not_json")}
    replayed = await shop.api.editor.post(f"/api/v1/decision-traces/{answer['recommendationId']}/replay", json={})
    assert replayed.json()["identical"] is True


async def test_beside_a_model_in_process_a_service_in_the_shadow_is_late(shop: Shop, service: ScoringService) -> None:
    await endpoint_model(shop, service)
    await shop.flow(
        "scored",
        {"type": "match_creatives"},
        {"type": "score", "config": {"method": "propensity", "shadowModelKeys": ["ext"]}},
    )
    answer = await shop.recommend(decisionFlowKey="scored")
    detail = await shop.get(f"decision-traces/{answer['recommendationId']}")
    assert {one["shadowScores"]["ext"]["reason"] for one in detail["scoringResults"]} == {"late"}


async def test_outside_of_decisions_each_score_is_a_call(shop: Shop, service: ScoringService) -> None:
    await endpoint_model(shop, service)
    service.answer = scores(lambda one: 0.25 if one["id"] == "row" else one["attributes"]["priority"] / 100)
    url = f"{MODELS}/ext"
    one = await shop.api.viewer.post(f"{url}/score", json={"attributes": {"tier": "Gold"}})
    assert (one.status_code, one.json()["score"]) == (200, 0.25), one.text
    assert service.received[0].body["attributes"] == {"tier": "Gold"}
    rows = await shop.api.viewer.post(f"{url}/score", json={"rows": [{"n": 1}, {"n": 2}]})
    assert rows.json()["scores"] == [0.25, 0.25]
    many = await shop.api.viewer.post(f"{url}/score", json={"rows": [{"n": 1}] * 101})
    assert (many.status_code, many.json()["error"]["details"][0]["path"]) == (400, "$.rows")
    offers = await shop.api.viewer.post(f"{url}/score-offer-set", json={"customerId": "c1", "attributes": {}})
    assert [found["score"] for found in offers.json()["scores"]] == [0.3, 0.9, 0.6]
    assert (service.received[-1].body["customerId"], service.received[-1].body["attributes"]) == ("c1", {})
    service.answer = says("no")
    failed = await shop.api.viewer.post(f"{url}/score", json={"attributes": {}})
    assert (failed.json()["score"], failed.json()["fallbackReason"]) == (0.5, "not_json")


async def test_a_simulation_calls_for_few(shop: Shop, service: ScoringService) -> None:
    await endpoint_model(shop, service)
    await scored_flow(shop)
    for customers, status in ((3, 200), (101, 400)):
        body = {"decisionFlowKey": "scored", "customers": [{"customerId": f"c{place}"} for place in range(customers)]}
        answer = await shop.api.editor.post("/api/v1/simulate", json=body)
        assert answer.status_code == status, answer.text
    assert service.calls == 3


async def test_explanations_call_as_a_decision_would(shop: Shop, service: ScoringService) -> None:
    await endpoint_model(shop, service)
    await scored_flow(shop)
    found = await shop.get("customers/c1/why-not/gold", decisionFlowKey="scored")
    assert (found["verdict"], found["score"], found["rank"]) == ("eligible", 0.9, 1)
    assert service.calls == 1


async def test_a_lost_race_asks_nothing_again_and_keeps_its_id(shop: Shop, service: ScoringService) -> None:
    await endpoint_model(shop, service)
    await scored_flow(shop)
    await shop.flow("plain", {"type": "match_creatives"})
    answers = service.answer

    async def while_another_decides(received: Received, writer: asyncio.StreamWriter) -> None:
        await shop.recommend("c1", decisionFlowKey="plain")
        await answers(received, writer)

    service.answer = while_another_decides
    answer = await shop.recommend("c1", decisionFlowKey="scored")

    assert [one["score"] for one in answer["decisions"]] == [0.9, 0.6, 0.3]
    assert [one.body["requestId"] for one in service.received] == [answer["recommendationId"].removeprefix("rec_")]
    metrics = (await shop.api.anonymous.get("/api/metrics")).text
    assert "kaireon_decision_conflicts_total 1.0" in metrics
    found = await shop.respond("k1", recommendationId=answer["recommendationId"], rank=1)
    assert found.status_code == 201, found.text


async def test_an_open_breaker_holds_in_every_process(
    shop: Shop, second: Shop, service: ScoringService, eventually: Eventually
) -> None:
    await endpoint_model(shop, service)
    await scored_flow(shop)

    async def knows_the_flow() -> bool:
        body = {"customerId": "c0", "decisionFlowKey": "scored"}
        return (await second.api.viewer.post("/api/v1/recommend", json=body)).status_code == 200

    await eventually(knows_the_flow)
    service.received.clear()
    service.answer = says("{}", "500 Internal Server Error")
    for place in range(6):
        await (second if place % 2 else shop).recommend(f"c{place}", decisionFlowKey="scored")
    assert service.calls == 5
    answer = await second.recommend("c9", decisionFlowKey="scored")
    detail = await shop.get(f"decision-traces/{answer['recommendationId']}")
    assert {one["fallbackReason"] for one in detail["scoringResults"]} == {"breaker_open"}
    assert service.calls == 5


async def test_a_batch_run_calls_for_each_customer(
    shop: Shop,
    service: ScoringService,
    start_worker: StartWorker,
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EXTERNAL_ENDPOINT_ALLOWLIST", f"127.0.0.1:{service.port}")
    monkeypatch.setenv("KAIREON_SECRET_TOKEN", "from-env")
    start_worker()
    await endpoint_model(shop, service, auth={"token": "secret://env/TOKEN"})
    await scored_flow(shop)
    ids = [f"c{place}" for place in range(70)]
    body = {"customerIds": ids, "decisionFlowKey": "scored", "async": True}
    accepted = (await shop.api.viewer.post("/api/v1/decide", json=body)).json()

    async def is_over() -> bool:
        return (await shop.get(f"runs/{accepted['runId']}"))["status"] == "completed"

    await eventually(is_over)
    answer = await shop.api.viewer.get(f"/api/v1/runs/{accepted['runId']}/results")
    results = [json.loads(line) for line in answer.text.splitlines()]
    assert [[item["score"] for item in one["decisions"]] for one in results] == [[0.9, 0.6, 0.3]] * 70
    asked = {one.body["customerId"]: one.body["requestId"] for one in service.received}
    assert asked == {one["customerId"]: one["recommendationId"].removeprefix("rec_") for one in results}
    assert {one.headers["authorization"] for one in service.received} == {"Bearer from-env"}
