"""`docs/howto/deploy-kubernetes.md`: its SQL makes the database, and a backup by its commands comes back."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psycopg
import pytest
from psycopg import sql

from kaireon_testkit.native.home import find_home
from kaireon_testkit.native.ports import free_port
from kaireon_testkit.native.postgres import prepare_postgres
from kaireon_testkit.native.stack import running, session_home

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/howto/deploy-kubernetes.md").read_text()
# A login that nobody has yet: the server's own administrator has the page's name.
OWNER, PASSWORD = "shop", "a-password"


@contextmanager
def made_by_the_page(name: str) -> Generator[str]:
    """Start a Postgres, and yield the owner's URL of the database that the page's SQL makes on it."""
    (script,) = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
    script = re.sub(r"\bkaireon\b", OWNER, script).replace("'...'", f"'{PASSWORD}'")
    with session_home(ROOT, is_durable=False) as home:
        folder = home.folder / name
        folder.mkdir(mode=0o711)
        server = prepare_postgres(msgspec.structs.replace(home, folder=folder), free_port(), is_durable=False)
        with running(server.command(), server.is_answering, log=folder / "postgres.log"):
            with psycopg.connect(server.url_of("postgres"), autocommit=True) as superuser:
                # As providers give it away: who may make roles and databases, and is no superuser.
                superuser.execute("CREATE ROLE administrator LOGIN CREATEROLE CREATEDB PASSWORD 'a-password'")
            administrator_url = server.url_of("postgres", "administrator", PASSWORD)
            with psycopg.connect(administrator_url, autocommit=True) as administrator:
                for statement in script.split(";"):
                    administrator.execute(statement.encode())
            yield server.url_of(OWNER, OWNER, PASSWORD)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def urls() -> Iterator[dict[str, str]]:
    """The variables of the page's commands: two servers, of which nobody has seen either."""
    with made_by_the_page("lost") as lost, made_by_the_page("restored") as restored:
        yield {"DATABASE_URL": lost, "RESTORED_URL": restored}


def rows(url: str) -> dict[str, int]:
    """Return how many rows each table of a database has."""
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "SELECT relnamespace::regnamespace::text, relname FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace::regnamespace::text !~ '^(pg_|information_schema)'"
        ).fetchall()
        count = sql.SQL("SELECT count(*) FROM {}")
        return {
            f"{schema}.{name}": connection.execute(count.format(sql.Identifier(schema, name))).fetchall()[0][0]
            for schema, name in tables
        }


def owners(url: str) -> list[tuple[str, str, str]]:
    """Return (schema, name, owner and rights) of everything that a database has."""
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT relnamespace::regnamespace::text, relname, concat(relowner::regrole, relacl) FROM pg_class"
            " WHERE relnamespace::regnamespace::text !~ '^(pg_|information_schema)' ORDER BY 1, 2"
        ).fetchall()


def run(script: str, folder: Path, urls: dict[str, str]) -> list[str]:
    """Return the lines that commands print which all end well."""
    programs = f"{find_home(ROOT, ROOT / 'var').postgres_bin}:{Path(sys.executable).parent}"
    done = subprocess.run(
        ["/bin/bash", "-euc", script],
        cwd=folder,
        env={"PATH": f"{programs}:{os.environ['PATH']}", "API_KEY_PEPPER": "p" * 48, **urls},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_backup_comes_back_on_another_server(urls: dict[str, str], tmp_path: Path) -> None:
    run("kaireon migrate; kaireon tenant create --key shop --name Shop --json > tenant.json", tmp_path, urls)
    with psycopg.connect(urls["DATABASE_URL"]) as connection:
        # As the tables of a tenant's own schemas are: in a schema of their own, of that role.
        connection.execute("SET LOCAL ROLE kaireon_system")
        connection.execute("CREATE SCHEMA ds_shop CREATE TABLE people (id text PRIMARY KEY)")
        connection.execute("INSERT INTO ds_shop.people VALUES ('c1'), ('c2')")
        connection.execute("GRANT USAGE ON SCHEMA ds_shop TO kaireon_app")

    told = run("\n".join(re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)), tmp_path, urls)

    assert told[-1] == "up to date"
    found = rows(urls["RESTORED_URL"])
    assert found == rows(urls["DATABASE_URL"])
    assert (found["public.tenants"], found["ds_shop.people"]) == (1, 2)
    assert owners(urls["RESTORED_URL"]) == owners(urls["DATABASE_URL"])
    # Who goes on with it: a command, and a tier under row-level security.
    run("kaireon key create --tenant shop --role viewer --json", tmp_path, {"DATABASE_URL": urls["RESTORED_URL"]})
    tenant_id = json.loads((tmp_path / "tenant.json").read_text())["tenantId"]
    with psycopg.connect(urls["RESTORED_URL"]) as connection:
        connection.execute("SELECT set_config('role', 'kaireon_app', true)")
        connection.execute("SELECT set_config('kaireon.tenant_id', %s, true)", (tenant_id,))
        assert connection.execute("SELECT count(*) FROM api_keys").fetchall() == [(2,)]
