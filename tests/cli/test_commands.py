"""The `kaireon` command: what it does, what it prints, how it refuses."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import psycopg
import pytest
from redis import Redis

from kaireon_application.catalog.kind import Caller
from kaireon_application.catalog.read_entity import get_entity
from kaireon_application.customers.schema import NewSchema
from kaireon_application.customers.schema_table import table_of
from kaireon_application.customers.write_schema import create_schema
from kaireon_application.decisioning.facts import attributes_key
from kaireon_application.platform.api_key import hash_api_key
from kaireon_cli.main import main
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.entities import PostgresEntities
from kaireon_storage.postgres.schema_tables import PostgresSchemaRows, PostgresSchemas
from kaireon_testkit.platform.tenant import TEST_PEPPER, Tenant

_NAMED = (
    "DATABASE_URL",
    "DATABASE_DIRECT_URL",
    "REDIS_URL",
    "CELERY_BROKER_URL",
    "API_KEY_PEPPER",
    "KAIREON_API_URL",
    "KAIREON_API_KEY",
    "EVENT_PUBLISHER",
    "INTERACTION_STORE",
)
_COMMANDS = (
    "", "run", "reset", "migrate", "seed", "tenant", "tenant create", "key", "key create", "flow", "flow validate",
    "flow diff", "flow explain", "flow simulate", "outbox", "outbox republish", "outbox schemas", "data", "data load",
    "evaluate", "mcp", "search", "search rebuild", "store", "store ddl", "store copy", "doctor",
)  # fmt: skip
_FLOW = {
    "version": 2,
    "nodes": [
        {"id": "start", "type": "inventory"},
        {"id": "score", "type": "score"},
        {"id": "rank", "type": "rank"},
        {"id": "end", "type": "response"},
    ],
}


@pytest.fixture
def environment(database_url: str, redis_url: str) -> Mapping[str, str]:
    """What names a running installation."""
    return {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "API_KEY_PEPPER": TEST_PEPPER}


class Completed(msgspec.Struct, frozen=True, kw_only=True):
    """How a command ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


def kaireon(*arguments: str, environment: Mapping[str, str] | None = None) -> Completed:
    """Run the command with nothing in its environment that names an installation but what is given.

    In this process, which saves a second for every case, and in a thread, where it may have a loop of its own.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_run, list(arguments), environment or {}).result()


def _run(arguments: list[str], environment: Mapping[str, str]) -> Completed:
    output, errors = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(output), redirect_stderr(errors):
        for name in _NAMED:
            patch.delenv(name, raising=False)
        for name, value in environment.items():
            patch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            main(arguments)
    code = ended.value.code
    return Completed(
        returncode=code if isinstance(code, int) else 0, stdout=output.getvalue(), stderr=errors.getvalue()
    )


def assert_refused(completed: Completed, *words: str) -> None:
    """One line on stderr that has the words, nothing on stdout, exit code 1."""
    assert (completed.returncode, completed.stdout) == (1, "")
    assert completed.stderr.count("\n") == 1, completed.stderr
    assert all(word in completed.stderr for word in words), completed.stderr


@pytest.mark.parametrize("command", _COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    completed = kaireon(*command.split(), "--help")
    assert (completed.returncode, completed.stderr) == (0, "")
    assert "Usage" in completed.stdout


def test_every_command_is_documented(clone: Path) -> None:
    text = (clone / "docs" / "reference" / "command.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| `kaireon ([a-z ]+?)(?: \[[^`]*\])?` \|", text, re.MULTILINE)
    groups = {command.split()[0] for command in _COMMANDS if " " in command}
    assert sorted(documented) == sorted(set(_COMMANDS) - groups - {""})


def test_the_command_is_a_program() -> None:
    program = Path(sys.executable).with_name("kaireon")
    completed = subprocess.run([program, "flow", "validate", "/none"], check=False, capture_output=True, text=True)
    said = Completed(returncode=completed.returncode, stdout=completed.stdout, stderr=completed.stderr)
    assert_refused(said, "/none")


def test_a_tenant_is_created_with_the_only_copy_of_its_admin_key(
    environment: Mapping[str, str], database_url: str
) -> None:
    completed = kaireon("tenant", "create", "--key", "acme", "--name", "Acme", "--json", environment=environment)
    assert (completed.returncode, completed.stderr) == (0, "")
    created = json.loads(completed.stdout)
    assert {name: created[name] for name in ("key", "name")} == {"key": "acme", "name": "Acme"}
    assert set(created) == {"tenantId", "key", "name", "apiKey"}
    with psycopg.connect(database_url) as connection:
        query = "SELECT tenant_id::text, role FROM api_keys WHERE key_hash = %s"
        row = connection.execute(query, (hash_api_key(TEST_PEPPER, created["apiKey"]),)).fetchone()
    assert row == (created["tenantId"], "admin")


def test_a_key_that_is_taken_is_one_line(environment: Mapping[str, str], tenant: Tenant) -> None:
    completed = kaireon("tenant", "create", "--key", tenant.key, "--name", "Again", "--json", environment=environment)
    assert_refused(completed, tenant.key)


@pytest.mark.parametrize("reference", ["key", "tenant_id"])
def test_a_key_is_created_for_a_role(environment: Mapping[str, str], tenant: Tenant, reference: str) -> None:
    named = str(getattr(tenant, reference))
    completed = kaireon("key", "create", "--tenant", named, "--role", "editor", "--json", environment=environment)
    assert completed.returncode == 0, completed.stderr
    created = json.loads(completed.stdout)
    assert set(created) == {"id", "role", "apiKey"}
    assert created["role"] == "editor"
    assert created["apiKey"].startswith("krn_")


def test_a_key_of_nobody_is_one_line(environment: Mapping[str, str]) -> None:
    completed = kaireon("key", "create", "--tenant", "nobody", "--role", "viewer", "--json", environment=environment)
    assert_refused(completed, "nobody")


def test_a_pack_is_seeded_through_the_workers_queue(
    environment: Mapping[str, str], tenant: Tenant, database_url: str
) -> None:
    completed = kaireon("seed", "completejourney", "--tenant", tenant.key, "--json", environment=environment)
    assert completed.returncode == 0, completed.stderr
    accepted = json.loads(completed.stdout)
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT queue, status FROM jobs WHERE id = %s", (accepted["jobId"],)).fetchone()
    assert row == ("seed-jobs", "queued")
    assert_refused(kaireon("seed", "completejourney", "--tenant", tenant.key, environment=environment))
    assert_refused(kaireon("seed", "no-such-pack", "--tenant", tenant.key, environment=environment), "no-such-pack")


def test_migrating_says_what_it_did(environment: Mapping[str, str]) -> None:
    assert kaireon("migrate", environment=environment).stdout == "up to date\n"


@pytest.mark.parametrize("phase", ["expand", "contract"])
def test_migrating_takes_a_phase(phase: str, environment: Mapping[str, str]) -> None:
    assert kaireon("migrate", "--phase", phase, environment=environment).stdout == "up to date\n"


def test_a_database_that_is_gone_is_one_line() -> None:
    completed = kaireon("migrate", environment={"DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none"})
    assert_refused(completed, "Postgres cannot be reached")


def test_bad_settings_are_all_named_and_exit_with_two() -> None:
    environment = {"API_KEY_PEPPER": "short", "LOG_LEVEL": "loud", "DATABASE_URL": "postgresql://nobody@127.0.0.1:9/x"}
    completed = kaireon("migrate", environment=environment)
    assert completed.returncode == 2
    assert {line.split()[0] for line in completed.stderr.splitlines()} == {"API_KEY_PEPPER", "LOG_LEVEL"}


@pytest.mark.parametrize(
    ("name", "content"),
    [("flow.json", json.dumps(_FLOW)), ("flow.yaml", "version: 2\nnodes:\n- {id: a, type: inventory}\n")],
)
def test_a_good_flow_is_valid(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    completed = kaireon("flow", "validate", str(tmp_path / name))
    assert (completed.returncode, completed.stderr) == (0, "")


def test_a_bad_flow_is_refused_with_every_problem_and_its_path(tmp_path: Path) -> None:
    bad = {"version": 2, "nodes": [{"id": "a", "type": "inventori"}, {"id": "b", "type": "rank", "config": {"x": 1}}]}
    (tmp_path / "flow.json").write_text(json.dumps(bad))
    completed = kaireon("flow", "validate", str(tmp_path / "flow.json"), "--json")
    assert completed.returncode == 1
    paths = [problem["path"] for problem in json.loads(completed.stdout)["problems"]]
    assert paths == ["$.nodes[0].type", "$.nodes[1].config.x"]


@pytest.mark.parametrize("content", [None, "{", "[" * 5000])
def test_a_file_that_is_no_flow_is_one_line(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "flow.json"
    if content is not None:
        file.write_text(content)
    assert_refused(kaireon("flow", "validate", str(file)), str(file))


def test_two_flows_are_compared_in_either_notation(tmp_path: Path) -> None:
    before, after, bad = tmp_path / "before.json", tmp_path / "after.yaml", tmp_path / "bad.json"
    before.write_text(json.dumps({"nodes": [{"id": "a", "type": "inventory"}, {"id": "r", "type": "rank"}]}))
    after.write_text(
        "nodes:\n- {id: a, type: inventory, phase: 1}\n- {id: r, type: rank, config: {maxCandidates: 3}}\n"
    )
    bad.write_text('{"nodes": [{"id": "a", "type": "magic"}]}')

    told = kaireon("flow", "diff", str(before), str(after))
    same = kaireon("flow", "diff", str(before), str(before), "--json")

    assert (told.returncode, told.stdout) == (1, "~ $.nodes[r].config.maxCandidates: null -> 3\n")
    assert (same.returncode, json.loads(same.stdout)) == (0, {"changes": []})
    assert_refused(kaireon("flow", "diff", str(before), str(bad)), "$.nodes[0].type")


async def test_sent_events_are_republished(environment: Mapping[str, str], tenant: Tenant, database: Database) -> None:
    insert = """
        INSERT INTO outbox_events (id, tenant_id, type, key, payload, status, sent_at)
        VALUES (gen_random_uuid(), %s, 'decision.made.v1', 'c', '{}', 'sent', now())
    """
    async with database.transaction(tenant.tenant_id) as connection:
        await connection.execute(insert, (tenant.tenant_id,))
    completed = kaireon("outbox", "republish", "--since", "2020-01-01T00:00:00Z", "--json", environment=environment)
    assert (completed.returncode, completed.stdout) == (0, '{"count":1}\n')
    assert_refused(kaireon("outbox", "republish", "--since", "yesterday", environment=environment), "--since")


@pytest.fixture
async def schema(database: Database, tenant: Tenant) -> str:
    """A schema with a table."""
    form = {
        "name": "people",
        "fields": [
            {"name": "customer_id", "dataType": "varchar", "isPrimaryKey": True},
            {"name": "age", "dataType": "integer"},
            {"name": "extra", "dataType": "json"},
        ],
    }
    caller = Caller(tenant_id=tenant.tenant_id, is_admin=True, at=datetime.now(UTC))
    await create_schema(PostgresSchemas(database), caller, msgspec.convert(form, NewSchema))
    return "people"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.csv", 'customer_id,age,extra\r\nC1,41,"{""a"": [1]}"\r\nC2,,\r\n'),
        ("rows.ndjson", '{"customer_id": "C1", "age": 41, "extra": {"a": [1]}}\n\n{"customer_id": "C2"}\n'),
    ],
)
async def test_rows_are_loaded_once_and_forgotten_by_the_cache(
    environment: Mapping[str, str], tenant: Tenant, database: Database, schema: str, tmp_path: Path, name: str,
    content: str,
) -> None:  # fmt: skip
    (tmp_path / name).write_text(content)
    cached = attributes_key(str(tenant.tenant_id), "C2")
    load = ("data", "load", "--schema", schema, "--tenant", tenant.key, "--json", str(tmp_path / name))
    with Redis.from_url(environment["REDIS_URL"]) as redis:
        redis.set(cached, "old")
        first = kaireon(*load, environment=environment)
        assert (first.returncode, first.stdout) == (0, '{"inserted":2}\n'), first.stderr
        assert not redis.exists(cached)
    assert kaireon(*load, environment=environment).stdout == '{"inserted":0}\n'
    entity = await get_entity(PostgresEntities(database), tenant.tenant_id, "schema", schema)
    page = await PostgresSchemaRows(database).page(tenant.tenant_id, table_of(entity.body), limit=10, offset=0)
    assert page.rows == [
        {"customer_id": "C1", "age": 41, "extra": {"a": [1]}},
        {"customer_id": "C2", "age": None, "extra": None},
    ]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("rows.csv", "customer_id,weight\nC1,3\n", "weight"),
        ("rows.csv", "age\n3\n", "customer_id"),
        ("rows.csv", "customer_id,age\nC1\n", "line 2"),
        ("rows.csv", "customer_id,age\nC1,old\n", "old"),
        ("rows.csv", "", "first line"),
        ("rows.csv", "customer_id\nC\x00\n", "rows.csv"),
        ("rows.ndjson", '{"customer_id": "C1"}\n{"customer_id": 3}\n', "line 2"),
        ("rows.ndjson", "[1]\n", "line 1"),
        ("rows.ndjson", '{"customer_id": "C\\u0000"}\n', "null character"),
        ("rows.ndjson", '{"customer_id": "C", "extra": ["\\u0000"]}\n', "does not fit"),
        ("rows.csv.gz", "no gzip", "rows.csv.gz"),
    ],
)
def test_rows_that_do_not_fit_are_one_line_and_nothing_is_loaded(
    environment: Mapping[str, str], tenant: Tenant, schema: str, tmp_path: Path, name: str, content: str, said: str
) -> None:
    (tmp_path / name).write_text(content)
    completed = kaireon(
        "data", "load", "--schema", schema, "--tenant", tenant.key, str(tmp_path / name), environment=environment
    )
    assert_refused(completed, said)
