"""`python -m perf.respond`: what learning adds to `/respond`, as ratios within one run.

Three tenants answer the same recommendations through one application, on servers started for it: responses that teach
nothing (`deferred`), clicks that raise the evidence, and clicks that teach an online learner of ten features too.
Requests go straight into the application, without sockets, one after the other and sixteen at once; the three take
turns, and each is taken at its best turn.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from kaireon_api.app import Api, build_app, opened
from kaireon_api.settings import Settings
from kaireon_storage.postgres.database import Database
from kaireon_testkit.native.clones import migrated_template
from kaireon_testkit.native.stack import native_stack
from kaireon_testkit.platform.tenant import TEST_PEPPER, create_tenant

_CLONE = Path(__file__).parent.parent
_FEATURES = 10
_AT_ONCE = 16
_MOST = 1.1
_TENANTS = {"nothing": "deferred", "evidence": "click", "online": "click"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Sends requests of one tenant into the application."""

    app: Api
    key: str

    async def send(self, method: str, path: str, body: Any = None, headers: Sequence[tuple[str, str]] = ()) -> Any:
        """Return the answer. Raises `RuntimeError` for any but 200 and 201."""
        sent = list[dict[str, Any]]()
        given = [("authorization", f"Bearer {self.key}"), ("content-type", "application/json"), *headers]
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "path": urlsplit(path).path,
            "raw_path": path.encode(),
            "query_string": urlsplit(path).query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in given],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 1),
            "scheme": "http",
        }
        content = b"" if body is None else msgspec.json.encode(body)

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        if sent[0]["status"] not in (200, 201):
            raise RuntimeError(path, sent)
        return msgspec.json.decode(b"".join(one.get("body", b"") for one in sent[1:]) or b"null")


@dataclass(slots=True, kw_only=True)
class Side:
    """One tenant, its recommendations, and the best that was measured: seconds per response."""

    client: Client
    outcome: str
    decisions: list[dict[str, Any]]
    sent: int = 0
    alone: float = float("inf")
    together: float = float("inf")

    async def respond(self) -> None:
        """Send one response."""
        number = self.sent
        self.sent += 1
        decision = self.decisions[number % len(self.decisions)]
        body = {
            "customerId": decision["customerId"],
            "recommendationId": decision["recommendationId"],
            "rank": 1 + number % 3,
            "outcome": self.outcome,
        }
        await self.client.send("POST", "/api/v1/respond", body, [("idempotency-key", f"k{number}")])

    async def measure(self, count: int) -> None:
        """Send so many one after the other, and as many in parallel."""
        began = time.perf_counter()
        for _ in range(count):
            await self.respond()
        self.alone = min(self.alone, (time.perf_counter() - began) / count)
        began = time.perf_counter()
        await asyncio.gather(*(self._several(count // _AT_ONCE) for _ in range(_AT_ONCE)))
        self.together = min(self.together, (time.perf_counter() - began) / (count // _AT_ONCE * _AT_ONCE))

    async def _several(self, count: int) -> None:
        for _ in range(count):
            await self.respond()


async def measure(database_url: str, redis_url: str, rounds: int, count: int) -> dict[str, float]:
    """Return the ratios."""
    settings = Settings.model_validate(
        {
            "database_url": database_url,
            "redis_url": redis_url,
            "api_key_pepper": TEST_PEPPER,
            "worker_inprocess": False,
        }
    )
    app = build_app(settings)
    async with opened(app.services):
        database = Database(database_url, application_name="perf")
        await database.open()
        sides = {name: await _side(app, database, name, outcome) for name, outcome in _TENANTS.items()}
        await database.close()
        for _ in range(rounds):
            for side in sides.values():
                await side.measure(count)
    for name, side in sides.items():
        print(f"{name}: {side.alone * 1000:.2f} ms alone, {side.together * 1000:.2f} ms each at {_AT_ONCE} at once")
    base, evidence, online = sides.values()
    return {
        "evidence": evidence.alone / base.alone,
        "evidenceTogether": evidence.together / base.together,
        "online": online.alone / base.alone,
        "onlineTogether": online.together / base.together,
    }


async def _side(app: Api, database: Database, name: str, outcome: str) -> Side:
    tenant = await create_tenant(database, name)
    client = Client(app=app, key=tenant.api_keys["admin"])
    for number in range(10):
        await client.send(
            "POST", "/api/v1/offers", {"name": f"o{number}", "key": f"o{number}", "status": "active", "priority": 50}
        )
    if name == "online":
        model = {
            "key": "online",
            "name": "online",
            "modelType": "online_learner",
            "status": "active",
            "predictors": [{"field": f"f{place}"} for place in range(_FEATURES)],
        }
        await client.send("POST", "/api/v1/algorithm-models", model)
    attributes = {f"f{place}": place / _FEATURES for place in range(_FEATURES)}
    decisions = [
        await client.send("POST", "/api/v1/recommend", {"customerId": f"c{number}", "attributes": attributes})
        for number in range(100)
    ]
    return Side(client=client, outcome=outcome, decisions=decisions)


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(prog="python -m perf.respond", description=__doc__)
    parser.add_argument("--rounds", type=int, default=12, help="turns of each tenant")
    parser.add_argument("--count", type=int, default=160, help="responses of a turn, alone and again together")
    given = parser.parse_args()
    with native_stack(_CLONE, is_durable=True) as stack, migrated_template(stack.postgres_url) as database_url:
        ratios = asyncio.run(measure(database_url, stack.redis_url, given.rounds, given.count))
    verdict = "kept" if ratios["online"] <= _MOST else "MISSED"
    print(f"online: {ratios['online']:.3f} (at most {_MOST}: {verdict})")
    print(msgspec.json.encode({name: round(ratio, 3) for name, ratio in ratios.items()}).decode())


if __name__ == "__main__":
    main()
