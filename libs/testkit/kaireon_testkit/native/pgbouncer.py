"""A real PgBouncer in transaction mode, from the PATH or from Debian's package, in front of the session's Postgres."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import psycopg

from kaireon_testkit.native.home import find_home
from kaireon_testkit.native.ports import free_port
from kaireon_testkit.native.spawn import Command
from kaireon_testkit.native.stack import running, session_home

if TYPE_CHECKING:
    from collections.abc import Generator

    from kaireon_testkit.native.home import Home

_PACKAGES = ("pgbouncer", "libevent-2.1-7", "libc-ares2")
_FETCH_SECONDS = 120
_PLACES = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"


class NoPgBouncer(Exception):
    """PgBouncer is neither installed nor to be had from apt."""


class Pooler:
    """A running PgBouncer."""

    def __init__(self, port: int) -> None:
        self._port = port

    def url_of(self, url: str) -> str:
        """Return the way through the pooler to what this URL names directly."""
        parts = urlsplit(url)
        login = parts.netloc.rpartition("@")[0]
        return urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{self._port}"))


@contextmanager
def running_pgbouncer(clone: Path, url: str, *, pool_size: int) -> Generator[Pooler]:
    """Run PgBouncer until the block ends: at most so many sessions of each database, lent for a transaction.

    Raises `NoPgBouncer`, `ServerDidNotStart`.
    """
    program = _program(find_home(clone, clone / "var"))
    with session_home(clone, is_durable=False) as home:
        folder = home.folder / "pgbouncer"
        folder.mkdir(exist_ok=True)
        home.own(folder, 0o700)
        port = free_port()
        command = _configured(home, folder, program, url, port, pool_size)
        pooler = Pooler(port)
        with running(command, lambda: _is_answering(pooler.url_of(url)), log=home.folder / "pgbouncer.log"):
            yield pooler


def _configured(home: Home, folder: Path, program: Path, url: str, port: int, pool_size: int) -> Command:
    server = urlsplit(url)
    users, settings = folder / "users.txt", folder / "pgbouncer.ini"
    users.write_text(f'"{server.username}" "{server.password}"\n')
    settings.write_text(
        f"[databases]\n* = host={server.hostname} port={server.port}\n"
        f"[pgbouncer]\npool_mode = transaction\ndefault_pool_size = {pool_size}\nmax_client_conn = 500\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = scram-sha-256\nauth_file = {users}\nserver_login_retry = 1\n"
    )
    for file in (users, settings):
        home.own(file, 0o600)
    libraries = program.parents[1] / "lib" / "x86_64-linux-gnu"
    return Command(
        argv=(str(program), str(settings)),
        environment={"PATH": "/usr/bin:/bin", "LD_LIBRARY_PATH": str(libraries)},
        directory=str(folder),
        account=home.account,
    )


def _program(home: Home) -> Path:
    installed = shutil.which("pgbouncer", path=_PLACES)
    if installed is not None:
        return Path(installed)
    folder = home.folder / "backends" / "pgbouncer"
    program = folder / "usr" / "sbin" / "pgbouncer"
    if not program.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        _run(["apt-get", "download", *_PACKAGES], folder)
        for package in folder.glob("*.deb"):
            _run(["dpkg", "-x", str(package), str(folder)], folder)
    return program


def _run(argv: list[str], folder: Path) -> None:
    try:
        subprocess.run(argv, check=True, cwd=folder, capture_output=True, text=True, timeout=_FETCH_SECONDS)
    except FileNotFoundError as error:
        raise NoPgBouncer(f"{argv[0]} is not installed") from error
    except subprocess.SubprocessError as error:
        raise NoPgBouncer(f"{' '.join(argv)}: {getattr(error, 'stderr', None) or error}") from error


def _is_answering(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
