"""The schema: isolated by tenant, understood by every query, safe to migrate to."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

import kaireon_storage
from kaireon_application.errors import Unavailable
from kaireon_storage.migrate import MigrationFailed, Phase, _apply, migrate
from kaireon_testkit.native.clones import url_of_database

if TYPE_CHECKING:
    from kaireon_testkit.native.stack import Stack

_PACKAGE = Path(kaireon_storage.__file__).parent
_MIGRATIONS = sorted((_PACKAGE / "migrations").glob("*.sql"))
_QUERY_FILES = sorted(_PACKAGE.rglob("postgres/sql/**/*.sql"))
_DROP_PRODUCT = """
    DROP EXTENSION IF EXISTS pg_trgm CASCADE;
    DO $$
    DECLARE item record;
    BEGIN
        FOR item IN SELECT oid::regclass AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace
            AND relkind IN ('r', 'p') AND NOT relispartition AND relname NOT LIKE '%yoyo%'
        LOOP EXECUTE format('DROP TABLE %s CASCADE', item.name); END LOOP;
        FOR item IN SELECT oid::regprocedure AS name FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        LOOP EXECUTE format('DROP ROUTINE %s CASCADE', item.name); END LOOP;
    END
    $$
"""


@pytest.fixture
def empty_database_url(stack: Stack) -> str:
    """A database without a schema; dropped with the session's server."""
    with psycopg.connect(stack.postgres_url, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS empty WITH (FORCE)")
        connection.execute("CREATE DATABASE empty")
    return url_of_database(stack.postgres_url, "empty")


def test_every_tenant_table_is_protected_by_row_level_security(database_url: str) -> None:
    unprotected = """
        SELECT relation.relname FROM pg_class AS relation
        JOIN pg_attribute AS field ON field.attrelid = relation.oid AND field.attname = 'tenant_id'
        WHERE relation.relkind IN ('r', 'p') AND NOT relation.relispartition
        AND relation.relnamespace = 'public'::regnamespace
        AND NOT (relation.relrowsecurity AND 2 = (
            SELECT count(*) FROM pg_policy AS policy WHERE policy.polrelid = relation.oid
            AND policy.polname IN ('tenant_isolation', 'system_access')))
    """
    with psycopg.connect(database_url) as connection:
        assert connection.execute(unprotected).fetchall() == []


def test_a_partition_is_not_readable_around_its_parent(database_url: str) -> None:
    readable = """
        SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'
        AND (has_table_privilege('kaireon_app', oid, 'SELECT') OR has_table_privilege('kaireon_system', oid, 'SELECT'))
        AND NOT relrowsecurity
    """
    with psycopg.connect(database_url) as connection:
        assert connection.execute(readable).fetchall() == []


def test_no_role_of_the_tiers_passes_row_level_security(database_url: str) -> None:
    roles = """
        SELECT rolname FROM pg_roles
        WHERE rolname IN ('kaireon_app', 'kaireon_system') AND NOT (rolbypassrls OR rolsuper)
    """
    with psycopg.connect(database_url) as connection:
        assert len(connection.execute(roles).fetchall()) == 2


def test_migrating_again_changes_nothing(database_url: str) -> None:
    assert migrate(database_url) == ()


async def test_two_migrators_at_once_apply_each_migration_once(empty_database_url: str) -> None:
    applied = await asyncio.gather(*(asyncio.to_thread(migrate, empty_database_url) for _ in range(2)))
    assert sorted(name for names in applied for name in names) == [path.stem for path in _MIGRATIONS]


def test_a_lock_left_by_a_killed_migrator_does_not_block(empty_database_url: str) -> None:
    migrate(empty_database_url)
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO yoyo_lock (locked, ctime, pid) VALUES (1, now(), 1)")
    assert migrate(empty_database_url) == ()


def test_a_migration_whose_mark_is_refused_leaves_nothing_behind(empty_database_url: str) -> None:
    # As if killed in between: the schema without its mark could never be migrated again.
    migrate(empty_database_url)
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute(_DROP_PRODUCT)
        connection.execute("DELETE FROM _yoyo_migration")
        connection.execute("ALTER TABLE _yoyo_migration ADD CONSTRAINT refuse CHECK (migration_id <> '0002.decisions')")
        with pytest.raises(MigrationFailed):
            migrate(empty_database_url)
        found = connection.execute("SELECT to_regclass('tenants') IS NULL, to_regclass('customers') IS NULL").fetchone()
        assert found == (False, True)
        connection.execute("ALTER TABLE _yoyo_migration DROP CONSTRAINT refuse")
    assert migrate(empty_database_url) == tuple(path.stem for path in _MIGRATIONS[1:])


_PHASES = {
    "0001.wide": "CREATE TABLE wide (old text, new text);",
    "0002.wide.contract": "ALTER TABLE wide DROP COLUMN old;",
    "0003.later": "CREATE TABLE later (id int);",
}


@pytest.fixture
def phased(tmp_path: Path) -> str:
    for name, statement in _PHASES.items():
        (tmp_path / f"{name}.sql").write_text(statement)
    return str(tmp_path)


def test_each_phase_applies_its_half(empty_database_url: str, phased: str) -> None:
    assert _apply(empty_database_url, phased, Phase.EXPAND) == ("0001.wide", "0003.later")
    assert _apply(empty_database_url, phased, Phase.EXPAND) == ()
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("SELECT old, new FROM wide")
    assert _apply(empty_database_url, phased, Phase.CONTRACT) == ("0002.wide.contract",)
    assert _apply(empty_database_url, phased, None) == ()


def test_contracting_comes_last_and_never_first(empty_database_url: str, phased: str) -> None:
    with pytest.raises(MigrationFailed, match=r"0001\.wide is not applied: run the phase expand first"):
        _apply(empty_database_url, phased, Phase.CONTRACT)
    assert _apply(empty_database_url, phased, None) == ("0001.wide", "0003.later", "0002.wide.contract")


def test_a_database_that_is_gone_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        migrate("postgresql://nobody@127.0.0.1:9/none")


@pytest.mark.parametrize("path", _QUERY_FILES, ids=lambda path: path.stem)
def test_every_query_is_understood_by_the_migrated_schema(path: Path, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        for name, statement in _queries(path.read_text()):
            try:
                connection.execute(f"PREPARE checked AS {statement}".encode())
            except psycopg.Error as error:
                pytest.fail(f"{path.name}: {name}: {error}")
            connection.execute("DEALLOCATE checked")


def test_queries_exist_to_be_checked() -> None:
    assert _QUERY_FILES


def test_squawk_finds_nothing_in_the_migrations(clone: Path) -> None:
    program = shutil.which("squawk", path=clone / ".venv" / "bin") or shutil.which("squawk")
    assert program is not None, "squawk-cli is a development dependency; run `make setup`"
    completed = subprocess.run(
        [program, "--config", "libs/storage/squawk.toml", *map(str, _MIGRATIONS)],
        check=False,
        capture_output=True,
        text=True,
        cwd=clone,
    )
    assert completed.returncode == 0, completed.stdout


def _queries(text: str) -> list[tuple[str, str]]:
    """Return (name, statement with $1, $2, ...) for each `-- name:` block of an aiosql file."""
    blocks = re.split(r"^-- name:\s*", text, flags=re.MULTILINE)[1:]
    return [(block.split("\n", 1)[0].strip(), _numbered(block.split("\n", 1)[1])) for block in blocks]


def _numbered(statement: str) -> str:
    names: dict[str, int] = {}
    without_comments = re.sub(r"--[^\n]*", "", statement).strip().rstrip(";")
    # A parameter is :name, neither ::cast nor inside '...'.
    pattern = r"'(?:[^']|'')*'|::|:([a-z_][a-z0-9_]*)"

    def number(match: re.Match[str]) -> str:
        name = match.group(1)
        return match.group(0) if name is None else f"${names.setdefault(name, len(names) + 1)}"

    numbered = re.sub(pattern, number, without_comments)
    # CALL cannot be prepared; that its procedure exists and its arguments mean something can be checked.
    return re.sub(r"^CALL (\w+)\((.*)\)$", r"SELECT '\1'::regproc, \2", numbered, flags=re.DOTALL)
