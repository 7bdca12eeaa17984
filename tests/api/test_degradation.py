"""Decisions while Redis, Postgres or a model fails: they go on, or say when to come back, and nothing is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import httpx
import pytest

from kaireon_api.app import build_app, opened
from kaireon_testkit.patience import PATIENCE_SECONDS
from tests.api.conftest import Clients, client_of
from tests.api.gate import Gate
from tests.api.shop import Shop, flow_config

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kaireon_api.settings import Settings


@asynccontextmanager
async def gated_shop(shop: Shop, settings: Settings, setting: str) -> AsyncGenerator[tuple[Shop, Gate]]:
    """Open a second instance of the application that reaches one of its servers through a gate."""
    parts = urlsplit(str(getattr(settings, setting)))
    gate = Gate(parts.hostname or "127.0.0.1", parts.port or 0)
    await gate.open()
    netloc = f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{gate.port}"
    app = build_app(settings.model_copy(update={setting: urlunsplit(parts._replace(netloc=netloc))}))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(gate.shut)
        await stack.enter_async_context(opened(app.services))
        keys = shop.api.tenant.api_keys
        clients = [
            await stack.enter_async_context(client_of(app, keys[role])) for role in ("admin", "editor", "viewer")
        ]
        anonymous = await stack.enter_async_context(client_of(app))
        admin, editor, viewer = clients
        api = Clients(app=app, tenant=shop.api.tenant, admin=admin, editor=editor, viewer=viewer, anonymous=anonymous)
        yield Shop(api=api, database=shop.database), gate


@pytest.fixture
async def without_redis(shop: Shop, settings: Settings) -> AsyncIterator[tuple[Shop, Gate]]:
    async with gated_shop(shop, settings, "redis_url") as opened_shop:
        yield opened_shop


@pytest.fixture
async def without_postgres(shop: Shop, settings: Settings) -> AsyncIterator[tuple[Shop, Gate]]:
    async with gated_shop(shop, settings, "database_url") as opened_shop:
        yield opened_shop


async def metric(shop: Shop, name: str) -> float:
    """Return the sum of a counter over its labels."""
    text = (await shop.api.anonymous.get("/api/metrics")).text
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


@pytest.mark.parametrize("failure", ["shut", "silent"])
async def test_decisions_go_on_without_redis(without_redis: tuple[Shop, Gate], failure: str) -> None:
    shop, gate = without_redis
    await shop.policy("frequency_cap", {"maxPerDay": 3})
    assert (await shop.recommend(channel="web", limit=1))["count"] == 1

    if failure == "shut":
        await gate.shut()
    else:
        gate.silence()
    errors = await metric(shop, "kaireon_cache_errors_total")
    assert (await shop.recommend(channel="web", limit=1))["count"] == 1
    assert (await shop.respond("k1", creativeId="gold-web")).status_code == 201
    assert (await shop.recommend(channel="web", limit=5))["count"] == 1, "the cap is kept by Postgres"
    assert (await shop.recommend(channel="web", limit=5))["count"] == 0
    assert await metric(shop, "kaireon_cache_errors_total") > errors
    assert (await shop.api.anonymous.get("/api/ready")).status_code == 200

    if failure == "shut":
        await gate.open()
    else:
        gate.speak()
    hits = await metric(shop, "kaireon_cache_hits_total")
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await metric(shop, "kaireon_cache_hits_total") == hits:
            await shop.recommend(channel="web")
            await asyncio.sleep(0.02)


async def decide(shop: Shop, number: int) -> httpx.Response:
    return await shop.api.viewer.post("/api/v1/recommend", json={"customerId": f"c{number % 3}", "channel": "web"})


async def answer_it(shop: Shop, number: int) -> httpx.Response:
    return await shop.respond(f"k{number}", customerId=f"c{number % 3}", creativeId="gold-web")


async def decide_once(shop: Shop, number: int) -> httpx.Response:
    body = {"customerId": f"c{number % 3}", "channel": "web"}
    return await shop.api.viewer.post("/api/v1/recommend", json=body, headers={"Idempotency-Key": f"r{number}"})


@pytest.mark.slow
@pytest.mark.parametrize("failure", ["shut", "silent"])
async def test_without_postgres_every_call_is_refused_in_time(
    without_postgres: tuple[Shop, Gate], failure: str
) -> None:
    shop, gate = without_postgres
    asks: list[Callable[[Shop, int], Awaitable[httpx.Response]]] = [decide, answer_it, decide_once]
    for number, ask in enumerate(asks * 3):
        assert (await ask(shop, number)).status_code in {200, 201}
    before = await shop.counts()

    if failure == "shut":
        await gate.shut()
    else:
        gate.silence()
    async with asyncio.timeout(PATIENCE_SECONDS):
        refused = await asyncio.gather(*(timed(ask(shop, 100 + number)) for number, ask in enumerate(asks * 10)))

    for answer, seconds in refused:
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "UNAVAILABLE"), answer.text
        assert answer.headers["retry-after"]
        assert seconds < 5, "the contract's bound"
    if failure == "shut":
        assert await shop.counts() == before
        await gate.open()
    else:
        gate.speak()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await decide(shop, 7)).status_code != 200:
            await asyncio.sleep(0.05)
    # Whether a silent server had stored something or not: the same key counts it once.
    for number in range(100, 103):
        assert (await answer_it(shop, number)).status_code in {200, 201}
    before = await shop.counts()
    for number in range(100, 103):
        assert (await answer_it(shop, number)).status_code == 200
    assert await shop.counts() == before


async def timed(answer: Awaitable[httpx.Response]) -> tuple[httpx.Response, float]:
    started_at = time.monotonic()
    return await answer, time.monotonic() - started_at


async def test_an_event_that_cannot_be_stored_stores_nothing(shop: Shop) -> None:
    await shop.recommend()
    async with shop.database.system_transaction() as connection:
        await connection.execute("SELECT set_config('role', 'none', true)")
        await connection.execute("ALTER TABLE outbox_events ADD CONSTRAINT nothing_fits CHECK (false) NOT VALID")
    before = await shop.counts()

    answers = [await decide(shop, 1), await answer_it(shop, 1), await decide_once(shop, 1)]

    assert [(answer.status_code, answer.json()["error"]["code"]) for answer in answers] == [(503, "UNAVAILABLE")] * 3
    assert all(answer.headers["retry-after"] for answer in answers)
    assert await shop.counts() == before
    async with shop.database.system_transaction() as connection:
        await connection.execute("SELECT set_config('role', 'none', true)")
        await connection.execute("ALTER TABLE outbox_events DROP CONSTRAINT nothing_fits")
    assert [(await ask(shop, 1)).status_code for ask in (decide, answer_it, decide_once)] == [200, 201, 200]


async def test_a_model_that_cannot_score_degrades_the_decision(shop: Shop) -> None:
    model = {"key": "boosted", "name": "Boosted", "modelType": "gradient_boosted", "status": "active"}
    await shop.create("algorithm-models", **model)
    for status in ("shadow", "challenger"):
        await shop.run(
            "UPDATE entities SET body = jsonb_set(body, '{registryStatus}', to_jsonb(%(status)s::text))"
            " WHERE tenant_id = %(tenant_id)s AND key = 'boosted'",
            status=status,
        )
    await shop.flow("by-model", {"type": "match_creatives"}, {"type": "score", "config": SCORE})

    answer = await shop.recommend(channel="email")

    assert answer["degradedScoring"] is True
    assert {(item["offerKey"], item["score"], item["propensity"]) for item in answer["decisions"]} == {
        (name, 0.5, 0.5) for name in ("gold", "silver", "bronze")
    }
    trace = await shop.get(f"decision-traces/{answer['recommendationId']}")
    assert trace["degradedScoring"] is True
    assert {one["fallbackReason"] for one in trace["scoringResults"]} == {"not_ready"}


SCORE = {"method": "propensity", "modelKey": "boosted"}


async def test_a_draft_model_keeps_a_flow_from_being_published(shop: Shop) -> None:
    await shop.create("algorithm-models", key="boosted", name="Boosted", modelType="gradient_boosted")
    config = flow_config({"type": "score", "config": SCORE})
    await shop.create("decision-flows", key="by-model", name="By model", draftConfig=config)

    answer = await shop.api.editor.post("/api/v1/decision-flows/by-model/publish", json={})

    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["details"][0]["path"] == "$.draftConfig.nodes[1].config.modelKey"
