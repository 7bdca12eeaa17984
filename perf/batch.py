"""`python -m perf.batch`: a batch run over a segment against `/recommend` at sixteen connections, in one run.

An API process and a worker process are started for it, on servers whose commits wait for the disk. Both decide among
100 candidates and write what a decision writes. The run is taken end to end: from the call that queues it to its end,
the members of the segment read and every result stored included. The two take turns; each is taken at its best one.
With `--helpers N` a third takes its turn too: the same run while N more workers are idle, and help with it.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from subprocess import PIPE
from typing import Any

import httpx
import msgspec

from kaireon_testkit.native.clones import migrated_template
from kaireon_testkit.native.ports import free_port
from kaireon_testkit.native.stack import native_stack
from kaireon_testkit.platform.tenant import TEST_PEPPER, Tenant, create_tenant_at
from perf.load import Outcome, Plan
from perf.serving import process, serving

_CLONE = Path(__file__).parent.parent
_OFFERS = 100
_CONNECTIONS = 16
_LEAST = 1.5
_RUN_SECONDS = 600
_ROWS_AT_ONCE = 1_000


@contextmanager
def _helpers(environment: dict[str, str], count: int) -> Generator[None]:
    """Start more workers; go on once they are ready."""
    with ExitStack() as stack:
        command = [sys.executable, "-m", "kaireon_worker"]
        given = environment | {"LOG_LEVEL": "info"}
        started = [stack.enter_context(subprocess.Popen(command, env=given, stderr=PIPE)) for _ in range(count)]
        try:
            for process in started:
                if process.stderr is None or not any(b"ready" in line for line in process.stderr):
                    message = "a worker did not start"
                    raise RuntimeError(message)
            yield
        finally:
            for process in started:
                process.terminate()
                # What it still says must not hold it up.
                process.communicate()


def _environment(database_url: str, redis_url: str, port: int) -> dict[str, str]:
    return {
        "PATH": "/usr/bin:/bin",
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "API_KEY_PEPPER": TEST_PEPPER,
        "API_PORT": str(port),
        "API_HOST": "127.0.0.1",
        "WORKER_INPROCESS": "0",
        "LOG_LEVEL": "warn",
    }


@contextmanager
def _tiers(environment: dict[str, str]) -> Generator[str]:
    """Start an API and a worker; yield the API's address once it is ready."""
    url = f"http://127.0.0.1:{environment['API_PORT']}"
    with (
        process(sys.executable, "kaireon_worker", environment),
        serving(sys.executable, "kaireon_api", environment, f"{url}/api/ready"),
    ):
        yield url


def _send(api: httpx.Client, path: str, body: Any) -> Any:
    answer = api.post(f"/api/v1/{path}", json=body)
    answer.raise_for_status()
    return answer.json()


def _stock(api: httpx.Client, customers: int) -> None:
    """Create a hundred offers with a creative each, rules and policies, and a segment."""
    channel = {"key": "mail", "name": "mail", "channelType": "email", "status": "active", "impressionMode": "explicit"}
    _send(api, "channels", channel)
    offers = [
        {"key": f"o{number}", "name": f"o{number}", "status": "active", "priority": number % 100}
        for number in range(_OFFERS)
    ]
    _send(api, "offers/bulk", {"offers": offers})
    creatives = [
        {"key": f"k{number}", "name": f"k{number}", "status": "active", "offerId": f"o{number}", "channelId": "mail"}
        for number in range(_OFFERS)
    ]
    _send(api, "creatives/bulk", {"creatives": creatives})
    fields = [
        {"name": "customer_id", "dataType": "varchar", "isPrimaryKey": True},
        {"name": "age", "dataType": "integer"},
    ]
    _send(api, "schemas", {"name": "people", "key": "people", "fields": fields})
    for first in range(0, customers, _ROWS_AT_ONCE):
        rows = [
            {"customer_id": f"s{number:06}", "age": 20 + number % 60}
            for number in range(first, min(first + _ROWS_AT_ONCE, customers))
        ]
        _send(api, "schemas/people/data", {"rows": rows})
    _send(api, "segments", {"key": "all", "name": "all", "baseSchemaId": "people", "status": "active"})


def _recommend(url: str, key: str, seconds: float, first: int) -> float:
    """Return the customers per second of `/recommend`, each decided for once."""
    bodies = [
        msgspec.json.encode({"customerId": f"r{first}-{number}", "channel": "email", "limit": 5})
        for number in range(20_000)
    ]
    plan = Plan(
        url=f"{url}/api/v1/recommend",
        headers={"Authorization": f"Bearer {key}"},
        bodies=bodies,
        connections=_CONNECTIONS,
        seconds=seconds,
        empty_mark=b'"count":0,',
    )
    done = subprocess.run(
        [sys.executable, "-m", "perf.load"], input=msgspec.json.encode(plan), capture_output=True, check=True
    )
    outcome = msgspec.json.decode(done.stdout, type=Outcome)
    if outcome.errors or outcome.empty:
        raise RuntimeError(outcome.complaint, outcome.empty)
    return len(outcome.latencies_us) / outcome.seconds


def _run(api: httpx.Client) -> float:
    """Return the customers per second of a run over the segment, from the call to the end."""
    began = time.perf_counter()
    status_url = _send(api, "decide", {"segmentId": "all", "channel": "email", "limit": 5})["statusUrl"]
    while True:
        run = api.get(status_url).json()
        if run["status"] not in {"queued", "running"}:
            break
        if time.perf_counter() - began > _RUN_SECONDS:
            raise TimeoutError(run)
        time.sleep(0.02)
    took = time.perf_counter() - began
    summary = run["summary"]
    if run["status"] != "completed" or summary["customersFailed"] or not summary["totalRecommendations"]:
        raise RuntimeError(run)
    return float(summary["customersProcessed"]) / took


def _alternate(url: str, tenant: Tenant, given: argparse.Namespace, environment: dict[str, str]) -> dict[str, float]:
    headers = {"X-API-Key": tenant.api_keys["admin"]}
    best = dict[str, float]()
    with httpx.Client(base_url=url, headers=headers, timeout=60) as api:
        _stock(api, given.customers)
        _recommend(url, tenant.api_keys["viewer"], 1.0, -1)
        for number in range(given.rounds):
            turn = {"recommend": _recommend(url, tenant.api_keys["viewer"], given.seconds, number), "batch": _run(api)}
            if given.helpers:
                with _helpers(environment, given.helpers):
                    turn["helped"] = _run(api)
            print(f"round {number + 1}: " + ", ".join(f"{name} {rate:.0f}" for name, rate in turn.items()))
            best |= {name: max(rate, best.get(name, 0.0)) for name, rate in turn.items()}
    return {f"{name}PerSecond": rate for name, rate in best.items()} | {
        "ratio": best["batch"] / best["recommend"],
        **({"helpedRatio": best["helped"] / best["batch"]} if given.helpers else {}),
    }


def main() -> None:
    """Measure and print; the last line is JSON."""
    parser = argparse.ArgumentParser(prog="python -m perf.batch", description=__doc__)
    parser.add_argument("--customers", type=int, default=5_000, help="members of the segment")
    parser.add_argument("--rounds", type=int, default=4, help="turns of each side")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a turn of /recommend")
    parser.add_argument("--helpers", type=int, default=0, help="workers that help in the third turn")
    given = parser.parse_args()
    with native_stack(_CLONE, is_durable=True) as stack, migrated_template(stack.postgres_url) as database_url:
        tenant = asyncio.run(create_tenant_at(database_url, "perf"))
        environment = _environment(database_url, stack.redis_url, free_port())
        with _tiers(environment) as url:
            found = _alternate(url, tenant, given, environment)
    verdict = "kept" if found["ratio"] >= _LEAST else "MISSED"
    print(f"batch: {found['ratio']:.2f} times /recommend (at least {_LEAST}: {verdict})")
    print(msgspec.json.encode({name: round(value, 2) for name, value in found.items()}).decode())


if __name__ == "__main__":
    main()
