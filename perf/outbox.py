"""`python -m perf.outbox`: how fast the publisher drains the outbox, and how soon a lone event arrives.

On servers started for it, whose commits wait for the disk. Draining is a ratio to a bare loop that selects the same
rows and pipelines XADD, without claims, checks or marks; they take turns and each is taken at its best. Kafka is the
best that can be had here; the last line but one names it.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, LiteralString
from uuid import uuid4

import msgspec
import psycopg
from psycopg import sql
from redis import Redis

from kaireon_application.platform.event_schemas import INTERACTION_RECORDED
from kaireon_testkit.native.clones import cloned_database, migrated_template
from kaireon_testkit.native.kafka import best_kafka
from kaireon_testkit.native.stack import native_stack
from perf.bench import BASELINES
from perf.fingerprint import fingerprint

_CLONE = Path(__file__).parent.parent
_STREAM = "kaireon:events"
_PAGE = 1000
_PAYLOAD_BYTES = 500
_CUSTOMERS = 20_000
_LEAST = {"redis": 0.3, "kafka": 0.2}
_MOST_P99_MS = 100.0

_INSERT = """
INSERT INTO outbox_events (id, tenant_id, type, key, payload)
SELECT gen_random_uuid(), %(tenant_id)s, %(type)s, 'customer-' || number %% %(customers)s, %(payload)s
FROM generate_series(1, %(rows)s) AS number
"""
_SELECT = "SELECT id, type, tenant_id, key, created_at, payload::text FROM outbox_events ORDER BY position"


class Drained(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Events per second of the bare loop and of the publisher on each bus, each at its best."""

    bare: float
    redis: float
    kafka: float
    kafka_broker: str

    def ratios(self) -> dict[str, float]:
        """Return the publisher's rates over the bare loop's."""
        return {"redis": self.redis / self.bare, "kafka": self.kafka / self.bare}


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(prog="python -m perf.outbox", description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--samples", type=int, default=300, help="lone events, one after the other")
    parser.add_argument("--batch", type=int, help="OUTBOX_BATCH_SIZE, where not the default")
    parser.add_argument("--store", action="store_true", help="keep the run in perf/baselines")
    arguments = parser.parse_args()
    batch = {} if arguments.batch is None else {"OUTBOX_BATCH_SIZE": str(arguments.batch)}
    with native_stack(_CLONE, is_durable=True) as stack, migrated_template(stack.postgres_url) as template:
        drained = _drain(template, stack.redis_url, arguments.rows, arguments.rounds, batch)
        latencies = _lone(template, stack.redis_url, arguments.samples, batch)
    figures = {
        **{name: round(ratio, 3) for name, ratio in drained.ratios().items()},
        "p50Ms": round(latencies[len(latencies) // 2], 1),
        "p99Ms": round(latencies[int(len(latencies) * 0.99)], 1),
    }
    print(f"events per second: bare {drained.bare:,.0f}, redis {drained.redis:,.0f}, kafka {drained.kafka:,.0f}")
    is_kept = all(drained.ratios()[bus] >= least for bus, least in _LEAST.items()) and figures["p99Ms"] <= _MOST_P99_MS
    verdict = "kept" if is_kept else "MISSED"
    print(f"budgets (redis 0.3, kafka 0.2, p99 100 ms): {verdict}; kafka: {drained.kafka_broker}")
    if arguments.store:
        print(f"stored {_store({'rows': arguments.rows, **figures, 'rates': drained})}")
    print(msgspec.json.encode(figures).decode())


def _drain(template: str, redis_url: str, rows: int, rounds: int, batch: dict[str, str]) -> Drained:
    best = {"bare": 0.0, "redis": 0.0, "kafka": 0.0}
    with tempfile.TemporaryDirectory() as folder:
        broker = best_kafka(Path(folder))
        try:
            for _ in range(rounds):
                topic = {
                    "EVENT_PUBLISHER": "kafka",
                    "KAFKA_BROKERS": broker.bootstrap,
                    "KAFKA_TOPIC": f"perf-{uuid4()}",
                }
                sides: dict[str, Callable[[str], float]] = {
                    "bare": lambda url: _bare_loop(url, redis_url),
                    "redis": lambda url: _publisher(url, {"REDIS_URL": redis_url, **batch}),
                    "kafka": lambda url, topic=topic: _publisher(url, {"REDIS_URL": redis_url, **topic, **batch}),
                }
                for name, measured in sides.items():
                    with Redis.from_url(redis_url) as client, cloned_database(template) as url:
                        client.flushdb()
                        _fill(url, rows)
                        rate = rows / measured(url)
                        print(f"{name}: {rate:,.0f} events/s", flush=True)
                        best[name] = max(best[name], rate)
            return Drained(**best, kafka_broker=broker.name)
        finally:
            broker.stop()


def _fill(url: str, rows: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        values = {"type": INTERACTION_RECORDED, "customers": _CUSTOMERS, "rows": rows}
        connection.execute(_INSERT, {**values, **_event()})
        connection.execute("VACUUM ANALYZE outbox_events")


def _event() -> dict[str, Any]:
    """Return a tenant and a valid payload of that many bytes as Postgres writes it."""
    tenant_id = uuid4()
    payload: dict[str, Any] = {
        "tenantId": str(tenant_id),
        "customerId": "customer-1",
        "offerId": str(uuid4()),
        "creativeId": str(uuid4()),
        "channelId": str(uuid4()),
        "interactionType": "outcome",
        "outcomeTypeKey": "click",
        "timestamp": datetime.now(UTC).isoformat(),
        "interactionId": str(uuid4()),
        "classification": "positive",
        "direction": "inbound",
        "sequence": 1,
    }
    # Postgres writes a blank after every comma and colon.
    written = len(msgspec.json.encode({**payload, "campaignId": ""})) + 2 * len(payload) + 1
    payload["campaignId"] = "x" * (_PAYLOAD_BYTES - written)
    return {"tenant_id": tenant_id, "payload": msgspec.json.encode(payload).decode()}


def _bare_loop(url: str, redis_url: str) -> float:
    with psycopg.connect(url) as connection, Redis.from_url(redis_url) as client:
        began = time.perf_counter()
        with connection.cursor("bare") as cursor:
            cursor.itersize = _PAGE
            cursor.execute(_SELECT)
            while page := cursor.fetchmany(_PAGE):
                pipeline = client.pipeline(transaction=False)
                for id_, type_, tenant_id, key, created_at, payload in page:
                    fields: dict[Any, Any] = {
                        "id": str(id_),
                        "type": type_,
                        "tenantId": str(tenant_id),
                        "key": key,
                        "timestamp": created_at.isoformat(),
                        "payload": payload,
                    }
                    pipeline.xadd(_STREAM, fields)
                pipeline.execute()
        return time.perf_counter() - began


def _publisher(url: str, environment: dict[str, str]) -> float:
    """Return the seconds from its first mark to its last."""
    with _running(url, environment), psycopg.connect(url, autocommit=True) as connection:
        # What it had marked before the first look is a claim of 200,000 rows.
        _wait_until(connection, "EXISTS (SELECT FROM outbox_events WHERE status = 'sent')")
        began = time.perf_counter()
        _wait_until(connection, "NOT EXISTS (SELECT FROM outbox_events WHERE status = 'pending')")
        return time.perf_counter() - began


def _wait_until(connection: psycopg.Connection[Any], condition: LiteralString) -> None:
    row = None
    while row != (True,):
        time.sleep(0.02)
        row = connection.execute(sql.SQL("SELECT {}").format(sql.SQL(condition))).fetchone()


@contextmanager
def _running(url: str, environment: dict[str, str]) -> Generator[None]:
    process = subprocess.Popen(
        [sys.executable, "-m", "kaireon_outbox_publisher"],
        env={**os.environ, "DATABASE_URL": url, "LOG_LEVEL": "error", **environment},
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _lone(template: str, redis_url: str, samples: int, batch: dict[str, str]) -> list[float]:
    """Return milliseconds from a commit, announced as the API announces it, to the consumer's read, in order."""
    chance = random.Random(1)
    latencies: list[float] = []
    with cloned_database(template) as url, Redis.from_url(redis_url) as client:
        client.flushdb()
        told = {"REDIS_URL": redis_url, "DATABASE_DIRECT_URL": url, **batch}
        with _running(url, told), psycopg.connect(url, autocommit=True) as connection:
            last = "0-0"
            for number in range(samples + 1):
                connection.execute(
                    _INSERT, {"type": INTERACTION_RECORDED, "customers": _CUSTOMERS, "rows": 1, **_event()}
                )
                committed = time.perf_counter()
                connection.execute("NOTIFY kaireon_outbox")
                answer: Any = client.xread({_STREAM: last}, count=1, block=60_000)
                last = answer[0][1][-1][0]
                if number:  # the first one waits for the publisher to start
                    latencies.append((time.perf_counter() - committed) * 1000)
                time.sleep(chance.uniform(0.01, 0.2))
    return sorted(latencies)


def _store(figures: dict[str, Any]) -> Path:
    document = {"measuredAt": datetime.now(UTC).isoformat(timespec="seconds"), "machine": fingerprint(), **figures}
    BASELINES.mkdir(exist_ok=True)
    path = BASELINES / f"{datetime.now(UTC):%Y-%m-%d}-outbox.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
    return path


if __name__ == "__main__":
    main()
