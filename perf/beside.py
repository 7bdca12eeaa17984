"""What a batch run by a worker beside the API costs requests: `python -m perf.beside`.

It starts its own servers, and one API process that is measured from within: the lag of its event loop is how late a
timer of 5 ms comes. A process of its own sends /recommend at a fixed rate, first alone, then while runs are decided.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec

from kaireon_api.app import Api, build_app
from kaireon_api.server import Server, server_config
from kaireon_api.settings import Settings
from kaireon_api.worker_beside import worker_beside
from kaireon_testkit.native.clones import migrated_template
from kaireon_testkit.native.ports import free_port
from kaireon_testkit.native.stack import native_stack
from kaireon_testkit.platform.tenant import TEST_PEPPER, create_tenant_at

_ROOT = Path(__file__).parents[1]
_TIMER_SECONDS = 0.005
_ACCEPTED = 202
_OFFERS = 100
_RATE = 50.0


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One stretch of time, in milliseconds."""

    p50: float
    p99: float
    lag_p99: float


class _Lag:
    """Measures how late timers of the API's event loop come."""

    def __init__(self, app: Api) -> None:
        self._app = app
        self.seen: list[float] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        task = asyncio.create_task(self._measure())
        await self._app(scope, receive, send)
        task.cancel()

    async def _measure(self) -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(_TIMER_SECONDS)
            self.seen.append((time.perf_counter() - began - _TIMER_SECONDS) * 1000)


def _p(values: Sequence[float], hundredth: int) -> float:
    return round(statistics.quantiles(values, n=100)[hundredth - 1], 2)


async def _send(url: str, key: str, seconds: float) -> list[float]:
    """Send requests when they are due, whether or not earlier ones were answered; return latencies from then."""
    taken: list[float] = []
    async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30) as client:

        async def one(number: int, due: float) -> None:
            await asyncio.sleep(due - time.perf_counter())
            body = {"customerId": f"c{number % 500}", "channel": "web", "limit": 5}
            (await client.post("/api/v1/recommend", json=body)).raise_for_status()
            taken.append((time.perf_counter() - due) * 1000)

        start = time.perf_counter() + 0.1
        await asyncio.gather(*(one(number, start + number / _RATE) for number in range(int(seconds * _RATE))))
    return taken


async def _stock(client: httpx.AsyncClient) -> None:
    async def create(path: str, **body: Any) -> dict[str, Any]:
        answer = await client.post(f"/api/v1/{path}", json=body)
        answer.raise_for_status()
        return answer.json()

    channel = await create("channels", key="web", name="web", channelType="web")
    for number in range(_OFFERS):
        offer = await create("offers", key=f"o{number}", name=f"o{number}", status="active", priority=number)
        names = {"key": f"c{number}", "name": f"c{number}", "status": "active"}
        await create("creatives", **names, offerId=offer["id"], channelId=channel["id"])


async def _measure(url: str, key: str, lag: _Lag, seconds: float) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60) as client:
        async with asyncio.timeout(60):
            while not await _is_ready(client):  # noqa: ASYNC110 - it is another's state
                await asyncio.sleep(0.1)
        await _stock(client)
        await asyncio.sleep(2)
        await _sample(url, key, lag, 5)
        alone = await _sample(url, key, lag, seconds)
        ids = [f"b{number}" for number in range(50_000)]
        answer = await client.post("/api/v1/decide", json={"customerIds": ids, "channel": "web", "limit": 5})
        assert answer.status_code == _ACCEPTED, answer.text
        await asyncio.sleep(2)
        beside = await _sample(url, key, lag, seconds)
        run = (await client.get(answer.json()["statusUrl"])).json()
    return {
        "alone": msgspec.to_builtins(alone),
        "beside": msgspec.to_builtins(beside),
        "p99Ratio": round(beside.p99 / alone.p99, 2),
        "run": {name: run["progress"][name] for name in ("processed", "ratePerSecond")} | {"status": run["status"]},
    }


async def _is_ready(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/api/ready")).is_success
    except httpx.TransportError:
        return False


async def _sample(url: str, key: str, lag: _Lag, seconds: float) -> Sample:
    lag.seen.clear()
    command = [sys.executable, "-m", "perf.beside", "--send", url, key, str(seconds)]
    sender = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    output, _ = await sender.communicate()
    taken = msgspec.json.decode(output, type=list[float])
    return Sample(p50=_p(taken, 50), p99=_p(taken, 99), lag_p99=_p(lag.seen, 99))


def _serve(seconds: float) -> dict[str, Any]:
    with native_stack(_ROOT, is_durable=True) as stack, migrated_template(stack.postgres_url) as database_url:
        key = asyncio.run(create_tenant_at(database_url)).api_keys["admin"]
        given = {
            "DATABASE_URL": database_url,
            "REDIS_URL": stack.redis_url,
            "API_KEY_PEPPER": TEST_PEPPER,
            "API_PORT": str(free_port()),
            "CRON_SECRET": secrets.token_hex(),
            "LOG_LEVEL": "error",
        }
        os.environ.update(given)
        with worker_beside() as (_, poke_socket):
            settings = Settings.model_validate({"worker_poke_socket": poke_socket})
            lag = _Lag(build_app(settings))
            server = Server(server_config(lag, host="127.0.0.1", port=settings.api_port))
            return asyncio.run(_beside(server, settings, key, lag, seconds))


async def _beside(server: Server, settings: Settings, key: str, lag: _Lag, seconds: float) -> dict[str, Any]:
    serving = asyncio.create_task(server.serve())
    try:
        return await _measure(f"http://127.0.0.1:{settings.api_port}", key, lag, seconds)
    finally:
        server.should_exit = True
        await serving


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--send", nargs=3, metavar=("URL", "KEY", "SECONDS"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    answer: Any
    if given.send:
        url, key, seconds = given.send
        answer = asyncio.run(_send(url, key, float(seconds)))
    else:
        answer = _serve(given.seconds)
    sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")


if __name__ == "__main__":
    main()
