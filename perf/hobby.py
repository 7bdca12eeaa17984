"""What the smallest deployment takes: `python -m perf.hobby`.

It starts Postgres and Redis, loads the sample data and trains its model with the tiers of `make run`, and then serves
them as `deploy/tiers/hobby` says, with the packages that the image of the API has: memory of the API and of the worker
beside it, commands of an idle Redis, and bytes of Postgres for each decision, from which a month follows.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psutil
import redis

from kaireon_testkit.native.clones import migrated_template
from kaireon_testkit.native.ports import free_port
from kaireon_testkit.native.stack import native_stack
from kaireon_testkit.platform.tenant import TEST_PEPPER, create_tenant_at
from perf.serving import serving, until
from perf.table_sizes import month_of, sizes_of

_CLONE = Path(__file__).parents[1]
_PRESET = _CLONE / "deploy/tiers/hobby"
_PACK, _MODEL, _FLOW = "completejourney", "completejourney-redemption", "completejourney-nba"
_CUSTOMERS = [f"HH-{number:04}" for number in range(1, 2_001)]
_BUDGETS = {"rssMb": 350.0, "redisCommandsAMinute": 5.0, "monthMb": 400.0}
_OVER = frozenset({"completed", "failed", "cancelled", "dead"})


def preset() -> dict[str, str]:
    """Return the variables of the preset."""
    lines = (_PRESET / "api.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def installed() -> Path:
    """Install what the image of the API holds into `var/hobby`; return its Python."""
    folder = _CLONE / "var/hobby"
    if folder.exists():
        shutil.rmtree(folder)
    environment = os.environ | {"UV_PROJECT_ENVIRONMENT": str(folder), "UV_LINK_MODE": "copy"}
    sync = [Path(sys.executable).with_name("uv"), "sync", "--frozen", "--no-dev", "--no-editable", "--quiet"]
    # As in the Dockerfile: a cache has members of the workspace as they were.
    for which in ("--no-install-workspace", "--no-cache"):
        command = [*sync, "--package", "kaireon-api", "--extra", "stores", "--extra", "mcp", which]
        subprocess.run(command, cwd=_CLONE, env=environment, check=True)
    (site_packages,) = folder.glob("lib/python3.*/site-packages")
    subprocess.run([sys.executable, _CLONE / "deploy/docker/leave_out.py", site_packages], check=True)
    return folder / "bin/python"


def _ask(api: httpx.Client, method: str, path: str, body: Any = None) -> Any:
    answer = api.request(method, f"/api/v1/{path}", json=body)
    if not answer.is_success:
        raise RuntimeError(path, answer.text)
    return answer.json()


def _job(api: httpx.Client, path: str, body: Any = None) -> None:
    status_url = _ask(api, "POST", path, body)["statusUrl"]
    found: dict[str, Any] = {}

    def is_over() -> bool:
        found.update(api.get(status_url).json())
        return found["status"] in _OVER

    until(is_over, f"{path} takes too long")
    if found["status"] != "completed":
        raise RuntimeError(path, found)


def _prepare(environment: dict[str, str], api: httpx.Client) -> None:
    """Load and train the sample data, as the full stack does."""
    port = str(free_port())
    ml = {"ML_WORKER_PORT": port, "ML_WORKER_URL": f"http://127.0.0.1:{port}"}
    with (
        serving(sys.executable, "kaireon_ml_worker", environment | ml, f"{ml['ML_WORKER_URL']}/health"),
        serving(sys.executable, "kaireon_api", environment | ml, f"{api.base_url}/api/ready"),
    ):
        _job(api, f"seed-dataset/{_PACK}")
        _job(api, f"algorithm-models/{_MODEL}/train")


def _decide(api: httpx.Client, count: int, channel: str) -> int:
    """Decide for one customer after the other; return how many offers that gave."""
    offers = 0
    for number in range(count):
        body = {"customerId": _CUSTOMERS[number % len(_CUSTOMERS)], "decisionFlowKey": _FLOW, "channel": channel}
        offers += _ask(api, "POST", "recommend", body | {"limit": 3})["count"]
    return offers


def _respond(api: httpx.Client, count: int) -> None:
    """Have a customer after the other tell that an offer was seen."""
    offers = [offer["id"] for offer in _ask(api, "GET", "offers?limit=20")["data"]]
    for number in range(count):
        body = {"customerId": _CUSTOMERS[number % len(_CUSTOMERS)], "offerId": offers[number % len(offers)]}
        _ask(api, "POST", "respond", body | {"outcome": "impression", "idempotencyKey": f"hobby-{number}"})


def _memory(api: psutil.Process) -> dict[str, float]:
    """Return the resident memory of the API and its child in MB, and both without counting shared pages twice."""
    (child,) = api.children()
    rss = [process.memory_info().rss / 1e6 for process in (api, child)]
    pss = sum(process.memory_full_info().pss for process in (api, child)) / 1e6
    return {"apiMb": rss[0], "workerMb": rss[1], "rssMb": sum(rss), "pssMb": pss}


def _idle_commands(redis_url: str, seconds: float) -> float:
    """Return how many commands a minute Redis gets while nobody calls."""
    with redis.Redis.from_url(redis_url, protocol=2) as client:
        before: Any = client.info("stats")
        time.sleep(seconds)
        after: Any = client.info("stats")
    # One of the two questions is among them.
    return (after["total_commands_processed"] - before["total_commands_processed"] - 1) * 60 / seconds


def _measure(given: argparse.Namespace, environment: dict[str, str], api: httpx.Client) -> dict[str, float]:
    database_url = environment["DATABASE_URL"]
    _prepare(environment, api)
    python = installed() if not given.here else sys.executable
    with serving(python, "kaireon_api", environment, f"{api.base_url}/api/ready") as process:
        _ask(api, "PUT", "tenant-settings", msgspec.json.decode((_PRESET / "tenant-settings.json").read_bytes()))
        found = {f"idle{name[0].upper()}{name[1:]}": value for name, value in _memory(process).items()}
        _decide(api, 50, given.channel)
        before = sizes_of(database_url)
        offers = _decide(api, given.decisions, given.channel)
        after = sizes_of(database_url)
        found |= month_of(before, after, given.decisions)
        _respond(api, given.decisions)
        told = month_of(after, sizes_of(database_url), given.decisions)
        found |= {"bytesPerResponse": told["bytesPerDecision"], "bytesPerResponseForADay": told["bytesForADay"]}
        _job(api, "decide", {"customerIds": _CUSTOMERS, "decisionFlowKey": _FLOW, "channel": given.channel, "limit": 3})
        found |= _memory(process) | {"offersPerDecision": offers / given.decisions}
        time.sleep(5)
        return found | {"redisCommandsAMinute": _idle_commands(environment["REDIS_URL"], given.idle_seconds)}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m perf.hobby", description=__doc__)
    parser.add_argument("--decisions", type=int, default=2_000, help="of which the bytes are taken")
    parser.add_argument("--channel", default="email", help="email: contact when it is told; others: when it is decided")
    parser.add_argument("--idle-seconds", type=float, default=240.0, help="for how long Redis is watched")
    parser.add_argument("--here", action="store_true", help="with the packages of this environment, not the image's")
    return parser.parse_args()


def main() -> None:
    """Measure and print; the last line is JSON."""
    given = _arguments()
    with ExitStack() as opened:
        stack = opened.enter_context(native_stack(_CLONE, is_durable=True))
        database_url = opened.enter_context(migrated_template(stack.postgres_url))
        port = str(free_port())
        environment = {
            **preset(),
            "PATH": "/usr/bin:/bin",
            "DATABASE_URL": database_url,
            "REDIS_URL": stack.redis_url,
            "API_KEY_PEPPER": TEST_PEPPER,
            "API_PORT": port,
        }
        headers = {"X-API-Key": asyncio.run(create_tenant_at(database_url, "hobby")).api_keys["admin"]}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60) as api:
            found = _measure(given, environment, api)
    for name, most in _BUDGETS.items():
        print(f"{name}: {found[name]:.1f} (at most {most:.0f}: {'kept' if found[name] <= most else 'MISSED'})")
    print(msgspec.json.encode({name: round(value, 2) for name, value in found.items()}).decode())


if __name__ == "__main__":
    main()
