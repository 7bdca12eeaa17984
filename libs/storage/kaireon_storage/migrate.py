"""Bring a database to this release's schema: plain SQL files, applied by yoyo, each together with its mark."""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

import psycopg
from yoyo import read_migrations  # pyright: ignore[reportUnknownVariableType] - yoyo has no types
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import DatabaseURI

from kaireon_application.errors import KaireonError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Generator

# Any constant will do: it names "migrating Kaireon" among the advisory locks of one database.
_LOCK_KEY = 0x6B616972
_LOCK_TIMEOUT = "120s"
_CONNECT_TIMEOUT_SECONDS = 5
_CONTRACT = ".contract"


class Phase(StrEnum):
    """Which half of a release's migrations."""

    EXPAND = "expand"
    """What the previous release can work with: before any process of this release starts."""
    CONTRACT = "contract"
    """Files named `NNNN.topic.contract.sql`, which take away what only it uses: when none of it runs any more."""


class MigrationFailed(KaireonError):
    """A migration was refused by Postgres; nothing of it was kept."""

    code = "MIGRATION_FAILED"


class _QuietCursor(psycopg.Cursor[Any]):
    """Says that it returned no rows: yoyo would print those of a migration's SELECT to stdout."""

    @property
    def description(self) -> None:
        """None, as after a statement without rows."""
        return


class _Backend(PostgresqlPsycopgBackend):
    """Yoyo's Postgres backend, with some of its habits changed: each says why."""

    # Its own statement fails when the table is there, and Postgres logs that.
    create_lock_table_sql = PostgresqlPsycopgBackend.create_lock_table_sql.replace("TABLE", "TABLE IF NOT EXISTS", 1)

    def __init__(self, url: str) -> None:
        self._url = url
        super().__init__(DatabaseURI("postgresql+psycopg", None, None, None, None, None, {}), "_yoyo_migration")

    def connect(self, dburi: object) -> psycopg.Connection[Any]:
        # libpq parses the URL: it knows forms that yoyo does not (several hosts, sockets, service files).
        del dburi
        return psycopg.connect(
            self._url,
            autocommit=True,
            connect_timeout=_CONNECT_TIMEOUT_SECONDS,
            cursor_factory=_QuietCursor,
            # A pooler may lend another session for the next statement.
            prepare_threshold=None,
        )

    def init_database(self) -> None:
        """Leave out its probe for transactional DDL, which Postgres has: it runs a statement that must fail."""
        self.create_lock_table()

    def apply_one(self, migration: Any, force: bool = False, mark: bool = True) -> None:  # noqa: FBT001, FBT002 - yoyo's
        """Apply a migration and mark it in one transaction.

        yoyo marks it in another: a process killed in between would leave a schema that no later start can migrate.
        """
        migration.load()
        if not migration.use_transactions:
            super().apply_one(migration, force, mark)
            return
        with self.transaction():
            migration.process_steps(self, "apply", force=force)
            self.log_migration(migration, "apply")
            self.mark_one(migration, log=False)

    def get_log_data(self, migration: Any = None, operation: str = "apply") -> dict[str, Any]:
        """Say who migrated without asking for the name of this uid: a container's often has none, and yoyo raises."""
        return {
            "id": str(uuid4()),
            "migration_id": migration.id,
            "migration_hash": migration.hash,
            "username": str(os.getuid()),
            "hostname": socket.gethostname(),
            "created_at_utc": datetime.now(UTC).replace(tzinfo=None),
            "operation": operation,
        }


@contextmanager
def _told_when_away() -> Generator[None]:
    try:
        yield
    except psycopg.OperationalError as error:
        raise Unavailable(f"Postgres cannot be reached: {error}".strip()) from error


@contextmanager
def _only_migrator(url: str) -> Generator[None]:
    # Transaction-scoped, so that it also holds through PgBouncer in transaction mode.
    with psycopg.connect(url, connect_timeout=_CONNECT_TIMEOUT_SECONDS) as connection, connection.transaction():
        connection.execute("SELECT set_config('lock_timeout', %s, true)", (_LOCK_TIMEOUT,))
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK_KEY,))
        yield


def migrate(url: str, phase: Phase | None = None) -> tuple[str, ...]:
    """Apply every migration that is missing, in order, and return their names (none: already up to date).

    A phase applies its half only; the contracting one refuses to go first. Without one the contracting half comes last.
    Safe to run from several processes at once and after a kill at any moment. It blocks: call it from a thread when
    an event loop is running. Raises `Unavailable` when Postgres cannot be reached, `MigrationFailed` otherwise.
    """
    try:
        with _told_when_away(), _only_migrator(url), as_file(files("kaireon_storage") / "migrations") as folder:
            return _apply(url, str(folder), phase)
    except psycopg.Error as error:
        raise MigrationFailed(f"Postgres refused the migration: {error}".strip()) from error


def pending(url: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the migrations that are missing, and those that are applied and that this release does not know.

    It changes nothing, and blocks. Raises `Unavailable` when Postgres cannot be reached.
    """
    with as_file(files("kaireon_storage") / "migrations") as folder:
        known = [migration.id for migration in cast("list[Any]", list(read_migrations(str(folder))))]
    with (
        _told_when_away(),
        psycopg.connect(url, connect_timeout=_CONNECT_TIMEOUT_SECONDS, prepare_threshold=None) as connection,
    ):
        is_new = connection.execute("SELECT to_regclass('_yoyo_migration') IS NULL").fetchone() == (True,)
        rows = [] if is_new else connection.execute("SELECT migration_id FROM _yoyo_migration").fetchall()
    applied = {name for (name,) in rows}
    return tuple(name for name in known if name not in applied), tuple(sorted(applied.difference(known)))


def _apply(url: str, folder: str, phase: Phase | None) -> tuple[str, ...]:
    with _Backend(url) as backend:
        backend.init_database()
        # The advisory lock is held: a row in yoyo's own lock table can only be that of a process that was killed.
        backend.break_lock()
        missing = cast("list[Any]", list(backend.to_apply(read_migrations(folder))))
        expanding = [migration for migration in missing if not migration.id.endswith(_CONTRACT)]
        contracting = [migration for migration in missing if migration.id.endswith(_CONTRACT)]
        if phase is Phase.CONTRACT and expanding:
            raise MigrationFailed(f"{expanding[0].id} is not applied: run the phase {Phase.EXPAND} first")
        chosen = {Phase.EXPAND: expanding, Phase.CONTRACT: contracting, None: expanding + contracting}[phase]
        # One by one: yoyo's own loop skips a file that it cannot read and goes on.
        for migration in chosen:
            backend.apply_one(migration)
        return tuple(migration.id for migration in chosen)
