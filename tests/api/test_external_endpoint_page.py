"""The product's page on models that are services, request by request."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from tests.api.scoring_service import Received, ScoringService, says, scores, scoring_service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kaireon_api.settings import Settings
    from tests.api.scoring_service import Answer
    from tests.api.shop import Shop

MODELS = "/api/v1/algorithm-models"
# The page's config, word for word but for the host.
CONFIG: dict[str, Any] = {
    "endpoint": "https://your-ml-service.example.com/score",
    "auth": {"type": "bearer", "token": "<secret-ref-or-literal>"},
    "timeoutMs": 3000,
    "responseMapping": {
        "scoresPath": "$.scores",
        "offerIdField": "offerId",
        "scoreField": "score",
        "fallbackScore": 0.5,
    },
}
# What the page's service says of its two offers.
SAID = {"Travel Card": 0.42, "Cashback Card": 0.71}
CUSTOMER = {"tier": "Gold", "credit_score": 760}
OFF = {"field": "offer.key", "operator": "starts_with", "value": "off-"}
THE_CARDS: dict[str, Any] = {"type": "filter", "config": {"conditions": [OFF]}}
# Halves what is not the Cashback Card.
FIT: dict[str, Any] = {
    "ruleType": "offer_attribute",
    "scope": "global",
    "stage": "fit",
    "config": {"attribute": "key", "operator": "eq", "value": "off-cashback", "fitMultiplier": 0.5},
}


@pytest.fixture
def settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The same, with this machine among the hosts that may be called, and with a secret."""
    monkeypatch.setenv("KAIREON_SECRET_ML", "from-env")
    return settings.model_copy(update={"external_endpoint_allowlist": "127.0.0.1"})


@pytest.fixture
async def service() -> AsyncIterator[ScoringService]:
    """The page's service."""
    async with scoring_service() as running:
        running.answer = scores(lambda one: SAID[one["name"]])
        yield running


async def deploy(
    shop: Shop, service: ScoringService, *before: dict[str, Any], score: Any = None, **config: Any
) -> None:
    """Stock the page's two cards and publish a flow that the service scores."""
    for key, name in (("off-travel", "Travel Card"), ("off-cashback", "Cashback Card")):
        await shop.create("offers", key=key, name=name, status="active", priority=50)
        await shop.create(
            "creatives", key=key, name=key, offerId=key, channelId="web", status="active", content={"headline": name}
        )
    body = {"modelType": "external_endpoint", "config": {**CONFIG, "endpoint": service.url, **config}}
    await shop.create("algorithm-models", key="ext", name="ext", status="active", **body)
    promoted = await shop.api.editor.post(f"{MODELS}/ext/promote", json={"toStatus": "challenger"})
    assert promoted.status_code == 200, promoted.text
    given: dict[str, Any] = {"method": "propensity", "modelKey": "ext"} | (score or {})
    await shop.flow("cards", THE_CARDS, {"type": "match_creatives"}, *before, {"type": "score", "config": given})


async def decided(shop: Shop) -> dict[str, Any]:
    return await shop.recommend("cust-42", attributes=CUSTOMER, decisionFlowKey="cards")


def scored(decision: dict[str, Any]) -> dict[str, float]:
    return {one["offerName"]: one["score"] for one in decision["decisions"]}


async def reasons(shop: Shop, decision: dict[str, Any]) -> dict[str, str | None]:
    trace = await shop.get(f"decision-traces/{decision['recommendationId']}")
    return {one["offerName"]: one["fallbackReason"] for one in trace["scoringResults"]}


async def test_the_fixture_config(shop: Shop) -> None:
    body = {"key": "ext", "name": "ext", "modelType": "external_endpoint", "config": CONFIG}
    made = await shop.api.editor.post(MODELS, json=body)
    assert made.status_code == 201, made.text
    shown = {**CONFIG, "auth": {"type": "bearer", "token": "***"}}
    assert made.json()["config"] == (await shop.get("algorithm-models/ext"))["config"] == shown
    refused = await shop.api.editor.post(f"{MODELS}/ext/train")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "training_not_supported")


async def test_how_the_engine_calls_you(shop: Shop, service: ScoringService) -> None:
    await deploy(shop, service)
    decision = await decided(shop)

    (received,) = service.received
    assert (received.method, received.headers["authorization"]) == ("POST", "Bearer <secret-ref-or-literal>")
    assert received.headers["x-tenant-id"] == str(shop.tenant_id)
    assert received.headers["content-type"] == "application/json"
    ids = {one["offerName"]: one["offerId"] for one in decision["decisions"]}
    candidates = {one["id"]: (one["name"], set(one)) for one in received.body.pop("candidates")}
    assert candidates == {ids[name]: (name, {"id", "name", "attributes"}) for name in SAID}
    assert received.body == {
        "customerId": "cust-42",
        "attributes": CUSTOMER,
        "requestId": str(UUID(decision["recommendationId"].removeprefix("rec_"))),
        "decisionFlowId": (await shop.get("decision-flows/cards"))["id"],
    }
    assert list(scored(decision).items()) == [("Cashback Card", 0.71), ("Travel Card", 0.42)]
    assert "degradedScoring" not in decision


async def test_the_score_is_multiplied_by_the_fit(shop: Shop, service: ScoringService) -> None:
    await shop.create("qualification-rules", name="fits", **FIT)
    await deploy(shop, service, {"type": "qualify", "config": {"mode": "all"}})
    assert scored(await decided(shop)) == {"Cashback Card": 0.71, "Travel Card": 0.42 * 0.5}


async def test_scores_are_neither_transformed_nor_clamped(shop: Shop, service: ScoringService) -> None:
    await deploy(shop, service)
    service.answer = scores(lambda one: {"Travel Card": 17.5, "Cashback Card": -3}[one["name"]])
    assert list(scored(await decided(shop)).items()) == [("Travel Card", 17.5), ("Cashback Card", -3)]


async def test_with_prie_the_score_is_one_factor_of_the_geometric_mean(shop: Shop, service: ScoringService) -> None:
    weights = {"propensityWeight": 0.5, "relevanceWeight": 0, "impactWeight": 0, "emphasisWeight": 0.5}
    await deploy(shop, service, score={"method": "formula", "formula": weights})
    expected = {name: pytest.approx((said * 0.5) ** 0.5) for name, said in SAID.items()}
    assert scored(await decided(shop)) == expected


async def test_a_service_with_another_shape_is_mapped(shop: Shop, service: ScoringService) -> None:
    mapping = {"scoresPath": "$.data.predictions", "offerIdField": "id", "scoreField": "p"}
    await deploy(shop, service, responseMapping=mapping)
    service.answer = _predicts
    assert scored(await decided(shop)) == SAID


async def _predicts(received: Received, writer: asyncio.StreamWriter) -> None:
    entries = [{"id": one["id"], "p": SAID[one["name"]]} for one in received.body["candidates"]]
    await says(json.dumps({"data": {"predictions": entries}}))(received, writer)


async def _hangs(_: Received, __: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


# The service errors out, times out, returns malformed data, renames its fields: every offer ties.
FAILURES: dict[str, tuple[Answer, str]] = {
    "error": (says("{}", "500 Internal Server Error"), "http_status"),
    "time-out": (_hangs, "timeout"),
    "malformed": (says("no scores today"), "not_json"),
    "renamed path": (says('{"results": []}'), "mapping"),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("fallback", [None, 0.25])
async def test_the_fallback_of_every_candidate(
    shop: Shop, service: ScoringService, failure: str, fallback: float | None
) -> None:
    mapping = {} if fallback is None else {"fallbackScore": fallback}
    await deploy(shop, service, timeoutMs=200, responseMapping=mapping)
    service.answer, reason = FAILURES[failure]
    decision = await decided(shop)
    assert scored(decision) == dict.fromkeys(SAID, fallback or 0.5)
    assert decision["degradedScoring"] is True
    assert await reasons(shop, decision) == dict.fromkeys(SAID, reason)
    metrics = (await shop.api.anonymous.get("/api/metrics")).text
    assert 'kaireon_scoring_candidates_total{modelKey="ext"} 2.0' in metrics
    assert f'kaireon_scoring_fallback_total{{modelKey="ext",reason="{reason}"}} 2.0' in metrics


async def test_the_fallback_of_one_candidate(shop: Shop, service: ScoringService) -> None:
    await deploy(shop, service)
    service.answer = scores(lambda one: SAID[one["name"]] if one["name"] == "Travel Card" else "unknown")
    decision = await decided(shop)
    assert scored(decision) == {"Cashback Card": 0.5, "Travel Card": 0.42}
    assert await reasons(shop, decision) == {"Cashback Card": "malformed", "Travel Card": None}


@pytest.mark.parametrize(("retries", "calls"), [(None, 1), (2, 2)])
async def test_one_attempt_unless_retries_say_more(
    shop: Shop, service: ScoringService, retries: int | None, calls: int
) -> None:
    await deploy(shop, service, **({} if retries is None else {"retries": retries}))
    service.answer = says("{}", "503 Service Unavailable")
    assert scored(await decided(shop)) == dict.fromkeys(SAID, 0.5)
    assert service.calls == calls


async def test_the_token_is_loaded_from_the_secrets(shop: Shop, service: ScoringService) -> None:
    await deploy(shop, service, auth={"type": "bearer", "token": "secret://env/ML"})
    assert scored(await decided(shop)) == SAID
    assert service.received[0].headers["authorization"] == "Bearer from-env"


async def test_without_the_secret_nobody_is_called(shop: Shop, service: ScoringService) -> None:
    await deploy(shop, service, auth={"type": "bearer", "token": "secret://env/OTHER"})
    assert await reasons(shop, await decided(shop)) == dict.fromkeys(SAID, "secret")
    assert service.calls == 0
