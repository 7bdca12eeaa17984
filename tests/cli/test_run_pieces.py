"""The pieces of the supervisor that decide something."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path
from subprocess import PIPE
from uuid import UUID

import pytest

from kaireon_application.governance.actor import SYSTEM
from kaireon_cli.bootstrap import is_locked_index, locked_index, uv_environment
from kaireon_cli.run.demo_tenant import ensure_demo_tenant
from kaireon_cli.run.log_pipe import LogPipe
from kaireon_cli.run.restart_policy import STABLE_SECONDS, deaths_in_a_row, restart_delay
from kaireon_cli.run.tiers import Wiring, api_address, tier_environment
from kaireon_cli.run_file import RunFile, RunningService, read_run_file, write_run_file
from kaireon_cli.settings import RunSettings
from kaireon_storage.postgres.api_keys import PostgresApiKeys
from kaireon_storage.postgres.database import Database
from kaireon_testkit.native.ports import free_port, is_free
from kaireon_testkit.platform.tenant import TEST_PEPPER

_WIRING = Wiring(
    database_url="postgresql://tier@h/db",
    database_direct_url=None,
    redis_url="redis://h",
    api_key_pepper="p",
    cron_secret="c",
    webhook_signing_secret="w",
    supervisor_pid=7,
)


def test_restarts_come_at_once_then_later_and_later_up_to_ten_seconds() -> None:
    deaths, delays = 0, list[float]()
    for _ in range(8):
        deaths = deaths_in_a_row(deaths, lived_seconds=0.1)
        delays.append(restart_delay(deaths))
    assert delays == [0, 1, 2, 4, 8, 10, 10, 10]
    assert restart_delay(10**6) == 10
    assert restart_delay(deaths_in_a_row(deaths, STABLE_SECONDS)) == 0


def test_the_callers_environment_reaches_the_tiers_above_defaults_below_wiring() -> None:
    caller = {"WORKER_INPROCESS": "1", "HOME": "/h", "DATABASE_URL": "postgresql://owner@h/db", "LOG_LEVEL": ""}
    environment = tier_environment(caller, RunSettings(api_port=4000), _WIRING)
    assert environment["WORKER_INPROCESS"] == "1"
    assert environment["HOME"] == "/h"
    assert environment["DATABASE_URL"] == _WIRING.database_url
    assert environment["API_PORT"] == "4000"
    assert environment["KAIREON_PARENT_PID"] == "7"
    assert environment["ML_WORKER_URL"].endswith(":8000")
    assert "DATABASE_DIRECT_URL" not in environment
    assert tier_environment({}, RunSettings(), _WIRING)["WORKER_INPROCESS"] == "0"


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:3000"),
        ("0.0.0.0", "http://127.0.0.1:3000"),  # noqa: S104 - data
        ("::1", "http://[::1]:3000"),
    ],
)
def test_the_address_of_the_api_can_be_reached_from_here(host: str, address: str) -> None:
    assert api_address(RunSettings(api_host=host)) == address


def test_pips_settings_are_passed_on_unless_uv_has_been_told() -> None:
    settings = {"index-url": "https://m/simple", "find-links": "/a\n/b", "cert": "/c.pem", "trusted-host": "h1 h2"}
    assert uv_environment(settings, {"SSL_CERT_FILE": "/mine.pem"}) == {
        "UV_DEFAULT_INDEX": "https://m/simple",
        "UV_FIND_LINKS": "/a,/b",
        "UV_INSECURE_HOST": "h1 h2",
    }


def test_another_index_than_the_locked_one_is_noticed() -> None:
    lock = '[[package]]\nname = "a"\nsource = { registry = "https://locked/simple" }\n'
    assert locked_index(lock) == "https://locked/simple"
    assert is_locked_index({}, lock)
    assert is_locked_index({"index-url": "https://locked/simple/"}, lock)
    assert not is_locked_index({"index-url": "https://m/simple"}, lock)
    assert not is_locked_index({"no-index": "true"}, lock)


def test_the_file_is_replaced_whole_and_stays_private(tmp_path: Path) -> None:
    path = tmp_path / "kaireon.json"
    path.write_text("{")
    assert read_run_file(path) is None
    content = RunFile(
        pid=1,
        started_at="2026-01-31T08:00:00.000Z",
        api_url="http://127.0.0.1:3000",
        ml_worker_url="http://127.0.0.1:8000",
        tenant_id=UUID(int=1),
        api_keys={"admin": "krn_a"},
        database_url="postgresql://",
        redis_url="redis://",
        event_stream="kaireon:events",
        services={"api": RunningService(pid=2, restarts=0, url="http://127.0.0.1:3000")},
    )
    write_run_file(path, content)
    assert read_run_file(path) == content
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["kaireon.json"]


async def test_output_becomes_lines_whatever_its_bytes() -> None:
    pipe, lines = LogPipe(), list[str]()
    script = r"printf 'one\ntwo\r\n\377\nlast'; head -c 3000000 /dev/zero | tr '\0' x"
    process = await asyncio.create_subprocess_exec("/bin/sh", "-c", script, stdout=pipe.write_end)
    pipe.close_write_end()
    await pipe.forward(lines.append)
    await process.wait()
    assert lines[:3] == ["one", "two", "�"]
    assert lines[3].startswith("lastxxx")
    assert sum(len(line) for line in lines[3:]) == len("last") + 3_000_000


def test_a_free_port_can_be_had_and_a_taken_one_is_seen() -> None:
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        assert not is_free(taken.getsockname()[1])


def test_a_port_is_given_to_one_caller_only_of_all_processes() -> None:
    # 600 draws of 12,000 ports, without a reservation, meet each other with a chance of 1 - 3e-7.
    script = f"from {free_port.__module__} import free_port as f; print(*[f() for _ in range(300)]); input()"
    begin = partial(subprocess.Popen, [sys.executable, "-c", script], stdin=PIPE, stdout=PIPE, text=True)
    with begin() as one, begin() as other:
        drawn = [process.stdout.readline().split() for process in (one, other) if process.stdout]
        for process in (one, other):
            process.communicate("\n")
    assert [len(ports) for ports in drawn] == [300, 300]
    assert len({port for ports in drawn for port in ports}) == 600


def modes_in(folder: Path) -> set[int]:
    return {path.stat().st_mode & 0o777 for path in folder.iterdir()}


async def test_the_demo_tenants_keys_are_kept_and_replaced_when_they_do_not_hold(
    database_url: str, database: Database, tmp_path: Path
) -> None:
    first = await ensure_demo_tenant(database_url, TEST_PEPPER, tmp_path)
    assert list(first.api_keys) == ["admin", "editor", "viewer"]
    assert await ensure_demo_tenant(database_url, TEST_PEPPER, tmp_path) == first
    keys = PostgresApiKeys(database)
    viewer = next(key for key in (await keys.page(first.tenant_id, limit=10, after=None)).keys if key.role == "viewer")
    await keys.revoke(first.tenant_id, viewer.id, None, SYSTEM)
    second = await ensure_demo_tenant(database_url, TEST_PEPPER, tmp_path)
    assert second.api_keys["admin"] == first.api_keys["admin"]
    assert second.api_keys["viewer"] != first.api_keys["viewer"]
    assert modes_in(tmp_path) == {0o600}
    other_pepper = await ensure_demo_tenant(database_url, TEST_PEPPER[::-1], tmp_path)
    assert not set(other_pepper.api_keys.values()) & set(second.api_keys.values())
