"""A real PgBouncer in transaction mode, from the PATH or from Debian's package, in front of the session's Postgres."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import psycopg

from kaireon_testkit.native.debian import find_program
from kaireon_testkit.native.home import find_home
from kaireon_testkit.native.ports import free_port
from kaireon_testkit.native.spawn import Command
from kaireon_testkit.native.stack import running, session_home

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from kaireon_testkit.native.home import Home

_PACKAGES = ("pgbouncer", "libevent-2.1-7", "libc-ares2")


class Pooler:
    """A running PgBouncer."""

    def __init__(self, port: int) -> None:
        self._port = port

    def url_of(self, url: str) -> str:
        """Return the way through the pooler to what this URL names directly."""
        parts = urlsplit(url)
        login = parts.netloc.rpartition("@")[0]
        return urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{self._port}"))


def find_pgbouncer(clone: Path) -> Path:
    """Return the program, fetched where it is not installed. Raises `NoProgram`."""
    return find_program(find_home(clone, clone / "var"), "usr/sbin/pgbouncer", _PACKAGES)


@contextmanager
def running_pgbouncer(clone: Path, url: str, *, pool_size: int) -> Generator[Pooler]:
    """Run PgBouncer until the block ends: at most so many sessions of each database, lent for a transaction.

    Raises `NoProgram`, `ServerDidNotStart`.
    """
    program = find_pgbouncer(clone)
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


def _is_answering(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
