"""A streaming replica of the session's Postgres."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import msgspec
import psycopg

from kaireon_testkit.native.ports import free_port
from kaireon_testkit.native.postgres import PostgresServer
from kaireon_testkit.native.stack import ServerDidNotStart, running, session_home

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

_BACKUP_SECONDS = 60


class Replica(msgspec.Struct, frozen=True, kw_only=True):
    """A replica that answers reads; `port` is its own, everything else is the primary's."""

    port: int
    url: str

    def url_of(self, url: str) -> str:
        """Return where a database of the primary is read on the replica."""
        parts = urlsplit(url)
        login = parts.netloc.rpartition("@")[0]
        return urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{self.port}"))

    def pause(self) -> None:
        """Stop replaying: the replica falls behind."""
        self._run("SELECT pg_wal_replay_pause()")

    def resume(self) -> None:
        """Replay again."""
        self._run("SELECT pg_wal_replay_resume()")

    def _run(self, statement: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement.encode())


@contextmanager
def running_replica(clone: Path, primary_url: str) -> Generator[Replica]:
    """Copy the server and follow it until the block ends. The owner of `primary_url` may replicate.

    Raises `ServerDidNotStart`, `UnusableHome`.
    """
    with session_home(clone, is_durable=False) as session:
        folder = session.folder / "replica"
        folder.mkdir()
        session.own(folder, 0o700)
        home = msgspec.structs.replace(session, folder=folder)
        port, password = free_port(), urlsplit(primary_url).password or ""
        server = PostgresServer(home=home, port=port, password=password, is_durable=False)
        server.folder.mkdir()
        home.own(server.folder, 0o700)
        _copy(server, primary_url)
        replica = Replica(port=port, url=server.url_of("postgres"))
        try:
            with running(server.command(), server.is_answering, log=session.folder / "replica.log"):
                yield replica
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _copy(server: PostgresServer, primary_url: str) -> None:
    account = server.home.account
    completed = subprocess.run(
        [
            str(server.home.postgres_bin / "pg_basebackup"), "-D", str(server.folder / "data"), "-d", primary_url,
            "-X", "stream", "--checkpoint=fast", "--write-recovery-conf", "--no-sync",
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=_BACKUP_SECONDS,
        cwd=server.folder,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        user=None if account is None else account.uid,
        group=None if account is None else account.gid,
        extra_groups=None if account is None else [],
    )  # fmt: skip
    if completed.returncode != 0:
        raise ServerDidNotStart(f"pg_basebackup: {completed.stderr.strip()}")
