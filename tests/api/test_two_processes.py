"""Caps hold between processes: two servers decide at once, on one database, for one customer and for many."""

from __future__ import annotations

import asyncio
from typing import IO, TYPE_CHECKING, Any

from kaireon_testkit.patience import PATIENCE_SECONDS
from tests.api.shop import created, flow_config, stock
from tests.api.test_process import connected, environment, log, started, until_ready

if TYPE_CHECKING:
    import httpx

    from kaireon_testkit.platform.tenant import Tenant

__all__ = ["log"]
AT_ONCE = 40


async def test_two_processes_fill_caps_exactly(
    database_url: str, redis_url: str, tenant: Tenant, log: IO[bytes]
) -> None:
    first, second = (environment(database_url, redis_url) for _ in range(2))
    urls = [f"http://127.0.0.1:{one['API_PORT']}" for one in (first, second)]
    key = tenant.api_keys["admin"]
    with started(first, log), started(second, log):
        await asyncio.gather(*map(until_ready, urls))
        async with connected(urls[0], key) as one, connected(urls[1], key) as two:
            await stock(one)
            policy = {"ruleType": "frequency_cap", "scope": "offer", "scopeId": "gold", "config": {"maxPerDay": 3}}
            await created(one, "contact-policies", name="three", **policy)
            cap = {"scope": "offer", "scopeId": "silver", "maxVolume": 7, "period": "daily"}
            cap = await created(one, "frequency-caps", name="seven", **cap)
            nodes = ({"type": "match_creatives"}, {"type": "contact_policy"})
            await created(one, "decision-flows", key="capped", name="capped", draftConfig=flow_config(*nodes))
            assert (await one.post("/api/v1/decision-flows/capped/publish", json={})).status_code == 200
            await until_published(two)

            same = await asyncio.gather(*(top((one, two)[place % 2], "c1") for place in range(AT_ONCE)))
            others = await asyncio.gather(
                *(top((one, two)[place % 2], f"d{place}", excludeOffers=["gold"]) for place in range(AT_ONCE))
            )
            counted = (await two.get(f"/api/v1/frequency-caps/{cap['id']}")).json()["currentCount"]

    # The silver offers that c1 was shown behind its three gold ones have used the system-wide cap up with the others'.
    shown = [*same, *others]
    assert same.count("gold") == 3
    assert (shown.count("silver"), counted) == (7, 7)


async def until_published(client: httpx.AsyncClient) -> None:
    """Wait until a process has heard of the flow."""
    body = {"customerId": "nobody", "decisionFlowKey": "capped", "channel": "email", "limit": 1}
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await client.post("/api/v1/recommend", json=body)).status_code != 200:
            await asyncio.sleep(0.05)


async def top(client: httpx.AsyncClient, customer_id: str, **more: Any) -> str:
    """Return the one offer that a customer is shown."""
    body = {"customerId": customer_id, "decisionFlowKey": "capped", "channel": "web", "limit": 1, **more}
    answer = await client.post("/api/v1/recommend", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()["decisions"][0]["offerKey"]
