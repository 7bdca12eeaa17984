"""Each response teaches once: sixteen writers, two processes, repeats, and a process that is killed among them.

`RESPONSES=10000 pytest tests/api/test_learning_once.py` does it with ten thousand.
"""

from __future__ import annotations

import asyncio
import os
from typing import IO, TYPE_CHECKING, Any

import httpx

from kaireon_testkit.patience import PATIENCE_SECONDS
from tests.api.shop import created, flow_config, stock
from tests.api.test_process import connected, environment, log, started, until_ready

if TYPE_CHECKING:
    from kaireon_testkit.platform.tenant import Tenant

__all__ = ["log"]
RESPONSES = int(os.environ.get("RESPONSES", "640"))
WRITERS = 16
CUSTOMERS = 20
MODELS = "/api/v1/algorithm-models"
PREDICTORS = [{"field": "plan"}]


async def test_every_response_teaches_once_whatever_becomes_of_a_process(
    database_url: str, redis_url: str, tenant: Tenant, log: IO[bytes]
) -> None:
    first, second = (environment(database_url, redis_url) for _ in range(2))
    urls = [f"http://127.0.0.1:{one['API_PORT']}" for one in (first, second)]
    key = tenant.api_keys["admin"]
    with started(first, log) as doomed, started(second, log):
        await asyncio.gather(*map(until_ready, urls))
        async with connected(urls[0], key) as one, connected(urls[1], key) as two:
            await stock(one)
            ids = await prepared(one)
            decisions = [await decided(one, f"c{number}") for number in range(CUSTOMERS)]
            await until_known(two)
            sent = asyncio.Queue[int]()
            for number in range(RESPONSES):
                sent.put_nowait(number)
            await asyncio.gather(*(write((one, two), sent, decisions, doomed.kill) for _ in range(WRITERS)))

            # Every second response is a click, the others a dismissal; the last ones were sent a second time too.
            half = RESPONSES / 2
            states = {name: (await two.get(f"{MODELS}/{name}")).json()["modelState"] for name in ids}
            assert doomed.wait() < 0

    thompson, epsilon = states["thompson"]["arms"], states["epsilon"]["arms"]
    assert sum(arm["alpha"] - 1 for arm in thompson.values()) == half
    assert sum(arm["beta"] - 1 for arm in thompson.values()) == half
    assert sum(arm["pulls"] for arm in epsilon.values()) == RESPONSES
    assert sum(arm["totalReward"] for arm in epsilon.values()) == 0
    assert states["bayes"]["priors"] == {"positive": half, "negative": half}
    assert states["bayes"]["likelihoods"]["plan"] == {"positive": {"pro": half}, "negative": {"pro": half}}
    # Its one feature is always 1, so that its weight has taken the very steps of the bias.
    assert states["online"]["weights"]["plan=pro"] == states["online"]["bias"] != 0


async def prepared(client: httpx.AsyncClient) -> list[str]:
    """Create a model of each type that learns, and a flow; return the models' keys."""
    types = {
        "thompson": "thompson_bandit",
        "epsilon": "epsilon_greedy",
        "online": "online_learner",
        "bayes": "bayesian",
    }
    for key, type_ in types.items():
        model = {"key": key, "name": key, "modelType": type_, "status": "active", "predictors": PREDICTORS}
        await created(client, "algorithm-models", **model, learnMode="continuous")
        assert (await client.post(f"{MODELS}/{key}/promote", json={"toStatus": "shadow"})).status_code == 200
    score = {"type": "score", "config": {"method": "propensity", "modelKey": "thompson"}}
    await created(
        client, "decision-flows", key="f", name="f", draftConfig=flow_config({"type": "match_creatives"}, score)
    )
    assert (await client.post("/api/v1/decision-flows/f/publish", json={})).status_code == 200
    return list(types)


async def until_known(client: httpx.AsyncClient) -> None:
    """Wait until a process has heard of the flow, and so of its models."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (
            await client.post("/api/v1/recommend", json={"customerId": "x", "decisionFlowKey": "f"})
        ).status_code != 200:
            await asyncio.sleep(0.05)


async def decided(client: httpx.AsyncClient, customer_id: str) -> dict[str, Any]:
    body = {"customerId": customer_id, "decisionFlowKey": "f", "channel": "email", "attributes": {"plan": "pro"}}
    answer = await client.post("/api/v1/recommend", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def write(
    clients: tuple[httpx.AsyncClient, httpx.AsyncClient],
    sent: asyncio.Queue[int],
    decisions: list[dict[str, Any]],
    kill: Any,
) -> None:
    """Send responses until none is left; half way through, kill the first process."""
    while not sent.empty():
        number = sent.get_nowait()
        if number == RESPONSES // 2:
            kill()
        order = clients if number % 2 else clients[::-1]
        statuses = [status for client in order if (status := await respond(client, decisions, number)) is not None]
        # Whoever got no answer from the killed process tries again at the other: recorded by then, or not.
        assert statuses
        assert set(statuses) <= {200, 201}


async def respond(client: httpx.AsyncClient, decisions: list[dict[str, Any]], number: int) -> int | None:
    """Send a response, again and again while it is busy; None where nobody answers."""
    decision = decisions[number % CUSTOMERS]
    body = {
        "customerId": decision["customerId"],
        "recommendationId": decision["recommendationId"],
        "rank": 1 + number % 3,
        "outcome": "click" if number % 2 else "dismiss",
    }
    try:
        answer = await client.post("/api/v1/respond", json=body, headers={"Idempotency-Key": f"k{number}"}, timeout=60)
    except httpx.TransportError:
        return None
    return answer.status_code
