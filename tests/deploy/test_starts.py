"""How each tier starts with settings that cannot be, and with servers that are not there: one line for each mistake."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest

from kaireon_api.settings import Settings as Api
from kaireon_cli.settings import CommandSettings as Command
from kaireon_cron.settings import JobSettings as Cron
from kaireon_mcp.settings import Settings as Mcp
from kaireon_ml_worker.settings import Settings as MlWorker
from kaireon_outbox_publisher.settings import Settings as Publisher
from kaireon_runtime.settings import load
from kaireon_stream.settings import Settings as Stream
from kaireon_testkit.native.ports import free_port
from kaireon_worker.settings import Settings as Worker

if TYPE_CHECKING:
    from pydantic_settings import BaseSettings

NOWHERE = "postgresql://postgres@127.0.0.1:1/nowhere"
SOUND = {"DATABASE_URL": NOWHERE, "API_KEY_PEPPER": "p" * 32}
TIERS: dict[str, type[BaseSettings]] = {
    "api": Api,
    "worker": Worker,
    "publisher": Publisher,
    "stream": Stream,
    "cron": Cron,
    "ml-worker": MlWorker,
    "mcp": Mcp,
    "command": Command,
}
WITH_DATABASE = tuple(set(TIERS) - {"mcp"})
WITH_REDIS = ("api", "worker", "publisher", "stream", "command")
WITH_STORES = ("api", "worker", "publisher")
# A variable, a value that it cannot have (None: not set), whose it is, and the end of the line that says so.
MISTAKES: list[tuple[str, str | None, tuple[str, ...], str]] = [
    ("DATABASE_URL", None, tuple(set(TIERS) - {"command", "mcp"}), "is not set"),
    ("DATABASE_URL", "mysql://secret", WITH_DATABASE, "must start with postgresql://"),
    ("DATABASE_URL", "postgresql://h:secret/x", WITH_DATABASE, "several with commas between them"),
    ("DATABASE_DIRECT_URL", "postgresql://[secret/x", WITH_DATABASE, "several with commas between them"),
    ("DATABASE_REPLICA_URLS", "postgresql://h,h:secret", ("api",), "number 2 must start with postgresql://"),
    (
        "DATABASE_POOLER",
        "secret",
        ("api", "worker", "publisher", "stream", "cron", "ml-worker"),
        "transaction-prepared'",
    ),
    ("REDIS_URL", "http://secret", WITH_REDIS, "rediss+cluster://"),
    ("REDIS_URL", "redis://:secret", WITH_REDIS, "the port must be a number up to 65535"),
    ("REDIS_URL", "redis://h/secret", WITH_REDIS, "the database must be a number"),
    ("REDIS_URL", "redis+sentinel://secret:1", WITH_REDIS, "add ?master_name=<name>"),
    ("CELERY_BROKER_URL", "redis+cluster://secret", WITH_REDIS, "name a standalone or Sentinel server"),
    ("CELERY_BROKER_URL", "amqp://secret", WITH_REDIS, "rediss+cluster://"),
    ("INTERACTION_STORE", "secret", WITH_STORES, "must be one of: pg, dynamodb, scylla, cassandra, keyspaces"),
    ("EVENT_PUBLISHER", "secret", ("publisher",), "redis, kafka, redpanda, msk, kinesis, eventbridge, pulsar"),
    ("STREAM_SOURCE", "secret", ("stream",), "supported are redis, kafka, redpanda, msk, kinesis, pulsar"),
    ("SEARCH_INDEX", "secret", ("api",), "should be 'pg' or 'opensearch'"),
    ("LOG_LEVEL", "secret", tuple(TIERS), "'debug' or 'silly'"),
    ("API_PORT", "70000", ("api",), "less than or equal to 65535"),
    ("API_WORKERS", "secret", ("api",), "unable to parse string as an integer"),
    ("RATE_LIMITS", "secret", ("api",), "must look like recommend=100/60s,*=2000/60s"),
    ("WORKER_CONCURRENCY", "0", ("worker",), "greater than or equal to 1"),
    ("WORKER_POLL_SECONDS", "nan", ("worker",), "less than or equal to 60"),
    ("OUTBOX_BATCH_SIZE", "1.5", ("publisher",), "unable to parse string as an integer"),
    ("OUTBOX_POLL_INTERVAL_MS", "secret", ("publisher",), "unable to parse string as an integer"),
    ("OUTBOX_REAPER_AFTER_MINUTES", "-1", ("api", "cron"), "greater than 0"),
    ("ML_WORKER_PORT", "secret", ("ml-worker",), "unable to parse string as an integer"),
    ("ML_WORKER_URL", "secret", ("api", "worker", "cron"), "must start with http:// or https://"),
    ("KAIREON_API_URL", "ftp://secret", ("command", "mcp"), "'^https?://'"),
    ("MCP_ENABLED", "secret", ("api",), "unable to interpret input"),
    ("MCP_ALLOW_WRITES", "secret", ("api", "mcp"), "unable to interpret input"),
    ("MCP_PORT", "0", ("mcp",), "greater than or equal to 1"),
    ("MCP_RATE_LIMIT", "secret", ("api", "mcp"), "must look like 300/60s"),
    ("MCP_TIMEOUT_SECONDS", "nan", ("api", "mcp"), "finite number"),
    ("MCP_ANSWER_BYTES", "1", ("api", "mcp"), "greater than or equal to 1024"),
    ("MCP_ARGUMENT_BYTES", "2000000", ("api", "mcp"), "less than or equal to 1048576"),
]
CASES = [(name, value, tier, told) for name, value, tiers, told in MISTAKES for tier in sorted(tiers)]


@pytest.mark.parametrize(("name", "value", "tier", "told"), CASES)
def test_a_mistake_is_one_line_that_names_its_variable(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: str | None,
    tier: str,
    told: str,
) -> None:
    for given in {name for settings in TIERS.values() for name in settings.model_fields}:
        monkeypatch.delenv(given.upper(), raising=False)
    for given, sound in SOUND.items():
        monkeypatch.setenv(given, sound)
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)

    with pytest.raises(SystemExit) as ended:
        load(TIERS[tier])

    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2
    assert (line.split()[0], line.endswith(told)) == (name, True), line
    assert "secret" not in line


COMMANDS: dict[str, tuple[list[str], dict[str, str]]] = {
    "api": (["kaireon_api"], {}),
    "worker": (["kaireon_worker"], {}),
    "publisher": (["kaireon_outbox_publisher"], {}),
    "stream": (["kaireon_stream"], {}),
    "cron": (["kaireon_cron", "cleanup"], {}),
    "scheduler": (["kaireon_cron", "scheduler"], {}),
    "ml-worker": (["kaireon_ml_worker"], {}),
}
CLUSTER = {"REDIS_URL": "redis+cluster://127.0.0.1:1"}


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a tier until it ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_a_process_tells_its_mistakes_and_ends_with_2(name: str) -> None:
    arguments, environment = COMMANDS[name]
    ended = run(*arguments, **{"API_KEY_PEPPER": "p" * 32, "LOG_LEVEL": "loud", **environment})
    assert ended.returncode == 2
    assert [line.split()[0] for line in sorted(ended.stderr.splitlines())] == ["DATABASE_URL", "LOG_LEVEL"]


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["kaireon_api"], {"WORKER_INPROCESS": "0", "API_PORT": "1"}),
        (["kaireon_worker"], {}),
        (["kaireon_stream"], {"FLOW_STREAMING_ENABLED": "true", "STREAM_SOURCE": "redis"}),
        (["kaireon_cli", "seed", "completejourney"], {}),
    ],
)
def test_whoever_needs_a_broker_refuses_a_cluster_in_one_line(
    arguments: list[str], environment: dict[str, str], database_url: str
) -> None:
    ended = run(*arguments, **{**SOUND, "DATABASE_URL": database_url, **CLUSTER, **environment})
    assert ended.returncode == 2, ended.stderr
    (line,) = ended.stderr.splitlines()
    assert line.startswith("CELERY_BROKER_URL names a Redis Cluster")


_STREAM = {"FLOW_STREAMING_ENABLED": "true", "STREAM_SOURCE": "redis"}
AWAY = {**SOUND, "REDIS_URL": "redis://127.0.0.1:1/0", "WORKER_INPROCESS": "0"}
# What serves goes on asking; how it ends on SIGTERM (uvicorn hands the signal on).
WAITING: list[tuple[str, str, int]] = [
    ("kaireon_api", "API_PORT", -signal.SIGTERM),
    ("kaireon_outbox_publisher", "OUTBOX_HEALTH_PORT", 0),
    ("kaireon_stream", "STREAM_HEALTH_PORT", 0),
]


@pytest.mark.parametrize(("module", "port_name", "code"), WAITING)
async def test_what_serves_waits_for_its_servers_and_says_that_it_is_not_ready(
    module: str, port_name: str, code: int
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}{'/api' if module == 'kaireon_api' else ''}"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module),
        env={"PATH": os.environ["PATH"], **AWAY, **_STREAM, port_name: str(port)},
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
    )
    async with httpx.AsyncClient() as client, asyncio.timeout(90):
        while True:
            try:
                answer = await client.get(f"{url}/ready")
                break
            except httpx.TransportError:
                await asyncio.sleep(0.1)
        health = await client.get(f"{url}/health")
    process.terminate()
    _, told = await asyncio.wait_for(process.communicate(), 60)
    assert (answer.status_code, health.status_code, process.returncode) == (503, 200, code)
    assert b"Traceback" not in told


@pytest.mark.parametrize(
    "arguments",
    [
        ["kaireon_worker", "drain"],
        ["kaireon_cli", "migrate"],
        ["kaireon_cli", "tenant", "create", "--key", "t", "--name", "t"],
        ["kaireon_cli", "outbox", "republish", "--since", "2026-01-01T00:00:00Z"],
    ],
)
def test_what_ends_by_itself_says_that_postgres_is_away(arguments: list[str]) -> None:
    ended = run(*arguments, **SOUND)
    assert ended.returncode == 1, ended.stderr
    *before, told = ended.stderr.splitlines()
    assert "Postgres cannot be reached" in told
    assert not any("Traceback" in line for line in before)
    assert arguments[0] != "kaireon_cli" or not before


@pytest.mark.parametrize(
    ("module", "port_name", "path"),
    [
        ("kaireon_api", "API_PORT", "/api/health"),
        ("kaireon_ml_worker", "ML_WORKER_PORT", "/health"),
        ("kaireon_mcp", "MCP_PORT", "/health"),
    ],
)
async def test_a_connection_is_not_closed_before_its_client_would(module: str, port_name: str, path: str) -> None:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module),
        env={"PATH": os.environ["PATH"], **AWAY, port_name: str(port)},
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(90):
            reader, writer = await connected(port)
            for pause_seconds in (0, 6):  # uvicorn's own time-out is five seconds
                await asyncio.sleep(pause_seconds)
                writer.write(f"HEAD {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 ")
    finally:
        process.terminate()
        # Nobody waits for a connection that is idle.
        await asyncio.wait_for(process.wait(), 15)
    writer.close()


async def connected(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect as soon as somebody listens."""
    while True:
        try:
            return await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.1)
