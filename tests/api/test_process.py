"""`python -m kaireon_api` as its supervisor and its clients see it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO

import httpx
import pytest

from kaireon_testkit.native.ports import free_port
from kaireon_testkit.patience import PATIENCE_SECONDS
from kaireon_testkit.platform.tenant import TEST_PEPPER, Tenant

COMMAND = (sys.executable, "-m", "kaireon_api")


def environment(database_url: str, redis_url: str, **more: str) -> dict[str, str]:
    return {
        **os.environ,
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "API_KEY_PEPPER": TEST_PEPPER,
        "API_PORT": str(free_port()),
        "WORKER_INPROCESS": "0",
        **more,
    }


@contextmanager
def started(variables: dict[str, str], log: IO[bytes]) -> Generator[subprocess.Popen[bytes]]:
    with subprocess.Popen(COMMAND, env=variables, stderr=log) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


async def until_ready(url: str) -> None:
    async with asyncio.timeout(120), httpx.AsyncClient(base_url=url) as client:
        while True:
            try:
                if (await client.get("/api/ready")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)


async def until_gone(pid: int) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            if not is_running(pid):
                return
            await asyncio.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@asynccontextmanager
async def connected(url: str, key: str) -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {key}"}) as client:
        yield client


@pytest.fixture
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IO[bytes]]:
    with (tmp_path_factory.mktemp("api") / "log").open("w+b") as file:
        yield file


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_it_serves_ends_on_a_signal_and_answers_what_it_has_begun(
    database_url: str, redis_url: str, tenant: Tenant, log: IO[bytes], workers: str
) -> None:
    variables = environment(database_url, redis_url, API_WORKERS=workers, LOG_LEVEL="http")
    url = f"http://127.0.0.1:{variables['API_PORT']}"
    key = tenant.api_keys["admin"]
    with started(variables, log) as process:
        await until_ready(url)
        async with connected(url, key) as client:
            answer = await client.get("/api/v1/tenant-settings")
            assert answer.status_code == 200
            assert "server" not in answer.headers

        reader, writer = await asyncio.open_connection("127.0.0.1", int(variables["API_PORT"]))
        head = (
            f"POST /api/v1/api-keys HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\n"
            "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{"
        )
        writer.write(head.encode())
        await writer.drain()
        async with connected(url, key) as client:  # one more round trip: the begun request has been read by now
            assert (await client.get("/api/metrics")).text.count("kaireon_") > 10
        process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.5)  # the end has begun; the request has not
        writer.write(b"}")
        assert (await reader.read()).startswith(b"HTTP/1.1 201 ")
        writer.close()
        await asyncio.to_thread(process.wait, 20)
    log.seek(0)
    text = log.read().decode()
    assert key not in text
    assert "Traceback" not in text, text[-6000:]


async def test_what_is_no_http_is_refused_in_the_form_of_every_error(
    database_url: str, redis_url: str, log: IO[bytes]
) -> None:
    variables = environment(database_url, redis_url)
    with started(variables, log):
        await until_ready(f"http://127.0.0.1:{variables['API_PORT']}")
        reader, writer = await asyncio.open_connection("127.0.0.1", int(variables["API_PORT"]))
        writer.write(b"\x16\x03\x01 nonsense\r\n\r\n")
        answer = await reader.read()
        writer.close()

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"code":"BAD_REQUEST"' in answer


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_it_ends_with_its_killed_supervisor(
    database_url: str, redis_url: str, log: IO[bytes], workers: str
) -> None:
    supervise = (
        "import os, subprocess, sys\n"
        "child = subprocess.Popen(sys.argv[1:], env={**os.environ, 'KAIREON_PARENT_PID': str(os.getpid())})\n"
        "print(child.pid, flush=True)\n"
        "child.wait()\n"
    )
    variables = environment(database_url, redis_url, API_WORKERS=workers)
    with subprocess.Popen(  # noqa: ASYNC220  starting it is quick; what it does is awaited
        (sys.executable, "-c", supervise, *COMMAND), env=variables, stdout=subprocess.PIPE, stderr=log
    ) as supervisor:
        assert supervisor.stdout is not None
        pid = int(supervisor.stdout.readline())
        await until_ready(f"http://127.0.0.1:{variables['API_PORT']}")
        family = [pid, *children_of(pid)]
        assert (len(family) > 2) is (workers == "2")

        supervisor.kill()
        for member in family:
            await until_gone(member)


def children_of(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8")
    return [int(child) for child in children.split()]


def test_a_taken_port_is_one_line_that_names_the_variable(database_url: str, redis_url: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        variables = environment(database_url, redis_url, API_PORT=port)
        ended = subprocess.run(COMMAND, env=variables, capture_output=True, check=False, text=True, timeout=30)

    assert ended.returncode == 2
    assert ended.stderr == f"API_PORT {port} is taken\n"


def test_all_mistakes_in_the_settings_are_told_together(redis_url: str) -> None:
    variables = environment(
        "mysql://secret", redis_url, API_WORKERS="0", API_KEY_PEPPER="short-secret", LOG_LEVEL="loud"
    )
    ended = subprocess.run(COMMAND, env=variables, capture_output=True, check=False, text=True, timeout=30)

    assert ended.returncode == 2
    named = {line.split()[0] for line in ended.stderr.splitlines()}
    assert named == {"DATABASE_URL", "API_WORKERS", "API_KEY_PEPPER", "LOG_LEVEL"}
    assert "secret" not in ended.stderr
