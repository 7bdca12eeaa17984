"""Models that are services: what is sent, what becomes of the answer, what a trace keeps and a replay does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from tests.api.scoring_service import ScoringService, scores, scoring_service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kaireon_api.settings import Settings
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
