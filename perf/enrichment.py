"""`python -m perf.enrichment`: what a hit of the cache of customers' facts costs, as a share of a miss.

The database is two milliseconds away (`perf.slow_proxy`), as in another zone; Redis is not. One customer at a time is
loaded for a flow that enriches from a table: from Postgres, because nobody asked before, and again from Redis, in
turn. Each side is taken at its median.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import msgspec

from kaireon_api.app import Api, build_app, opened
from kaireon_api.settings import Settings
from kaireon_storage.decision_engine import now_ms
from kaireon_testkit.native.clones import migrated_template
from kaireon_testkit.native.stack import native_stack
from kaireon_testkit.platform.tenant import TEST_PEPPER, create_tenant_at
from perf.respond import Client
from perf.slow_proxy import slow_proxy

_CLONE = Path(__file__).parent.parent
_DELAY_SECONDS = 0.002
_MOST = 0.2
_FLOW = {
    "version": 2,
    "nodes": [
        {"id": "inventory", "type": "inventory"},
        {"id": "enrich", "type": "enrich", "config": {"schemaId": "people", "cacheTtlSeconds": 600}},
        {"id": "response", "type": "response"},
    ],
}


async def measure(database_url: str, redis_url: str, customers: int) -> dict[str, float]:
    """Return both medians in ms, and their ratio."""
    parts = urlsplit(database_url)
    async with slow_proxy(parts.hostname or "", parts.port or 0, _DELAY_SECONDS) as port:
        login = parts.netloc.rpartition("@")[0]
        settings = Settings.model_validate(
            {
                "database_url": urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{port}")),
                "redis_url": redis_url,
                "api_key_pepper": TEST_PEPPER,
                "worker_inprocess": False,
                # The process id that the proxy passes on is the server's own.
                "database_pooler": "none",
            }
        )
        app = build_app(settings)
        async with opened(app.services):
            tenant_id = await _prepare(app, database_url, customers)
            return await _alternate(app, tenant_id, customers)


async def _prepare(app: Api, database_url: str, customers: int) -> str:
    tenant = await create_tenant_at(database_url, "perf")
    client = Client(app=app, key=tenant.api_keys["admin"])
    fields = [{"name": "customer_id", "dataType": "varchar", "isPrimaryKey": True}]
    fields += [{"name": f"f{number}", "dataType": "double"} for number in range(10)]
    await client.send("POST", "/api/v1/schemas", {"name": "people", "key": "people", "fields": fields})
    rows = [
        {"customer_id": f"c{number}", **{f"f{place}": number / (place + 1) for place in range(10)}}
        for number in range(customers)
    ]
    await client.send("POST", "/api/v1/schemas/people/data", {"rows": rows})
    await client.send("POST", "/api/v1/decision-flows", {"key": "flow", "name": "flow", "draftConfig": _FLOW})
    await client.send("POST", "/api/v1/decision-flows/flow/publish", {})
    return str(tenant.tenant_id)


async def _alternate(app: Api, tenant_id: str, customers: int) -> dict[str, float]:
    engine = app.services.engine
    snapshot = await engine.snapshots.current(tenant_id)
    (published,) = snapshot.configuration.flows
    needs = snapshot.live(published).needs

    async def load(number: int) -> float:
        began = time.perf_counter()
        (record,) = await engine.facts.load(tenant_id, [f"c{number}"], needs, snapshot.sources, now_ms())
        took = time.perf_counter() - began
        if not any(record.rows.values()):
            raise RuntimeError(number, record)
        return took

    misses, hits = list[float](), list[float]()
    for number in range(customers):
        misses.append(await load(number))
        await engine.cache.drain()
        hits.append(await load(number))
    miss, hit = (statistics.median(times) * 1000 for times in (misses[20:], hits[20:]))
    return {"missMs": miss, "hitMs": hit, "ratio": hit / miss}


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(prog="python -m perf.enrichment", description=__doc__)
    parser.add_argument("--customers", type=int, default=400, help="how many are loaded twice (at most 1,000)")
    given = parser.parse_args()
    with native_stack(_CLONE) as stack, migrated_template(stack.postgres_url) as database_url:
        found = asyncio.run(measure(database_url, stack.redis_url, given.customers))
    verdict = "kept" if found["ratio"] <= _MOST else "MISSED"
    print(f"a hit costs {found['ratio']:.3f} of a miss (at most {_MOST}: {verdict})")
    print(msgspec.json.encode({name: round(value, 3) for name, value in found.items()}).decode())


if __name__ == "__main__":
    main()
