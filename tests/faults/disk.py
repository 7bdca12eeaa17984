"""Disks that fill up: `RLIMIT_FSIZE` of processes that run, set and lifted from outside."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Generator
from contextlib import contextmanager, suppress

import msgspec
import psutil
import psycopg

from kaireon_testkit.native.clones import migrated_template
from kaireon_testkit.native.ports import free_port
from kaireon_testkit.native.postgres import prepare_postgres
from kaireon_testkit.native.stack import running, session_home
from tests.conftest import CLONE


def limit_files(pid: int, size: int | str = "unlimited") -> None:
    """Let a process and its children write no file beyond so many bytes."""
    process = psutil.Process(pid)
    for one in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            # As the account whose process it is: not even root may do it for another's everywhere.
            who, group = one.uids().real, one.gids().real
            is_own = who == os.getuid()
            subprocess.run(
                ["prlimit", f"--fsize={size}:", "--pid", str(one.pid)],  # noqa: S607 - wherever util-linux is
                check=one.is_running(),
                capture_output=True,
                user=None if is_own else who,
                group=None if is_own else group,
                extra_groups=None if is_own else [],
            )


class FullDisk(msgspec.Struct, frozen=True, kw_only=True):
    """A Postgres of its own, whose files may be forbidden to grow."""

    pid: int
    template_url: str

    @contextmanager
    def full(self, database_url: str, table: str) -> Generator[None]:
        """Let a table of this database, which is larger than a segment of the log, grow no more."""
        with psycopg.connect(database_url, autocommit=True) as connection:
            found = connection.execute("SELECT pg_relation_size(%s), pg_size_bytes('16MB')", (table,)).fetchone()
        assert found is not None
        size_bytes, segment_bytes = found
        assert size_bytes > segment_bytes, "the log itself must go on"
        limit_files(self.pid, size_bytes)
        try:
            yield
        finally:
            limit_files(self.pid)


@contextmanager
def postgres_of_its_own() -> Generator[FullDisk]:
    """Start a server with the schema in a template."""
    with session_home(CLONE, is_durable=False) as session:
        folder = session.folder / "full"
        folder.mkdir(mode=0o711)
        server = prepare_postgres(msgspec.structs.replace(session, folder=folder), free_port(), is_durable=False)
        with running(server.command(), server.is_answering, log=folder / "postgres.log") as pid:
            server.create_database()
            with migrated_template(server.url) as template_url:
                yield FullDisk(pid=pid, template_url=template_url)
