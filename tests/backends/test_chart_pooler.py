"""The chart's PgBouncer, for real: its script and settings as rendered, before a server that wants the password."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from kaireon_testkit.native.debian import NoProgram
from kaireon_testkit.native.pgbouncer import find_pgbouncer
from kaireon_testkit.native.ports import free_port
from tests.helm.rendering import find, render

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.backends
PASSWORD = 'a "quoted" $pass`word\\'
START_SECONDS = 20
# PgBouncer refuses to run as root.
NOBODY = 65534
# Debian's is older than the image of the chart.
KNOWS_PREPARED = (1, 21)


@pytest.fixture
def program(clone: Path) -> Path:
    try:
        return find_pgbouncer(clone)
    except NoProgram as error:
        pytest.skip(str(error))


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that whoever runs the pooler can reach and write."""
    with tempfile.TemporaryDirectory() as name:
        if os.geteuid() == 0:
            os.chown(name, NOBODY, NOBODY)
        yield Path(name)


@pytest.fixture
def login(database_url: str) -> Iterator[str]:
    """A login of the fresh database that must prove its password; its name, which is dropped afterwards."""
    name = f"chart_{secrets.token_hex(4)}"
    with psycopg.connect(database_url, autocommit=True) as connection:
        literal = PASSWORD.replace("'", "''")
        connection.execute(
            f"CREATE ROLE {name} LOGIN IN ROLE kaireon_app, kaireon_system PASSWORD '{literal}'".encode()
        )
        yield name
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def test_a_tier_works_through_the_pooler_of_the_chart(
    program: Path, database_url: str, login: str, folder: Path
) -> None:
    server, port = urlsplit(database_url), free_port()
    database = server.path.lstrip("/")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"postgresql://{login}:wrong@{server.hostname}:{server.port}/{database}")
    libraries = program.parents[1] / "lib" / "x86_64-linux-gnu"
    files = rendered(server.hostname or "", server.port or 0)
    # The mount points of the pod, and a port of this machine.
    places = {"/run/pgbouncer": str(folder), "/etc/pgbouncer-config": str(folder), "= 6432": f"= {port}"}
    if version_of(program, libraries) < KNOWS_PREPARED:
        files["pgbouncer.ini"] = re.sub(r"(?m)^max_prepared_statements = .*\n", "", files["pgbouncer.ini"])
    for name, text in files.items():
        moved = text
        for there, here in places.items():
            moved = moved.replace(there, here)
        (folder / name).write_text(moved)
    pooler = subprocess.Popen(
        ["/bin/sh", folder / "start.sh"],
        env={
            "PATH": f"{program.parent}:/usr/bin:/bin",
            "LD_LIBRARY_PATH": str(libraries),
            "PGUSER": login,
            "PGPASSWORD": PASSWORD,
        },
        user=NOBODY if os.geteuid() == 0 else None,
    )
    try:
        with connected(f"postgresql://{login}@127.0.0.1:{port}/{database}?sslmode=disable") as connection:
            assert connection.execute("SELECT current_user").fetchone() == (login,)
        assert (folder / "userlist.txt").stat().st_mode & 0o777 == 0o600
    finally:
        pooler.terminate()
        pooler.wait(timeout=START_SECONDS)


def version_of(program: Path, libraries: Path) -> tuple[int, ...]:
    """Return PgBouncer's version."""
    asked = [program, "--version"]
    told = subprocess.run(asked, env={"LD_LIBRARY_PATH": str(libraries)}, capture_output=True, text=True, check=True)
    found = re.search(r"(\d+)\.(\d+)", told.stdout)
    assert found is not None
    return tuple(map(int, found.groups()))


def rendered(host: str, port: int) -> dict[str, str]:
    """Return the files of the pooler for a server without TLS."""
    sets = (f"postgres.external.host={host}", f"postgres.external.port={port}", "postgres.external.sslmode=disable")
    return dict(find(render("large", *sets), "ConfigMap", "pgbouncer")["data"])


def connected(url: str) -> psycopg.Connection[tuple[object, ...]]:
    """Return a connection as soon as there is one."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return psycopg.connect(url, connect_timeout=2)
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
