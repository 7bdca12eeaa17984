"""`kaireon doctor`: each failure is caused on real servers, and is named with what to do."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import boto3
import psycopg
import pytest
from psycopg import sql
from redis import Redis

from kaireon_cli.doctor.check import CannotRun, Check, Finding, Mask, State, examine, ok
from kaireon_cli.doctor.clock import skew
from kaireon_cli.doctor.diagnose import diagnose
from kaireon_cli.doctor.settings import DoctorSettings
from kaireon_testkit.platform.tenant import Tenant
from tests.api.test_process import environment as api_environment
from tests.api.test_process import started, until_ready
from tests.cli.test_commands import kaireon
from tests.storage.interactions.conftest import moto_url

__all__ = ["moto_url"]

EVERYTHING = [
    "postgres",
    "pooler",
    "migrations",
    "clock.postgres",
    "queues",
    "workers",
    "dead-jobs",
    "outbox",
    "dead-events",
    "redis",
    "clock.redis",
    "broker",
    "event-bus",
    "interaction-store",
    "api",
]
JOB = "INSERT INTO jobs (tenant_id, id, queue, type, payload, status, run_after, leased_until, error) VALUES"
EVENT = "INSERT INTO outbox_events (id, tenant_id, type, key, payload, created_at, attempts, last_error) VALUES"
AWS_LOGIN = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
NEVER = "http://127.0.0.1:1"


@pytest.fixture
def given(database_url: str, redis_url: str) -> dict[str, str]:
    """The variables of a healthy installation without an API."""
    return {"DATABASE_URL": database_url, "REDIS_URL": redis_url}


def told(variables: Mapping[str, str]) -> tuple[int, dict[str, dict[str, str]]]:
    """Return the exit code, and the findings by name."""
    done = kaireon("doctor", "--json", environment=variables)
    assert done.stderr == ""
    document = json.loads(done.stdout)
    assert document["isWell"] is (done.returncode == 0)
    assert document["isWell"] is all(one["state"] != "fail" for one in document["checks"])
    assert all(one["next"] for one in document["checks"] if one["state"] != "ok")
    return done.returncode, {one["name"]: one for one in document["checks"]}


async def test_running_installation_is_well(
    given: Mapping[str, str], database_url: str, redis_url: str, tmp_path: Path
) -> None:
    variables = api_environment(database_url, redis_url, LOG_LEVEL="error")
    url = f"http://127.0.0.1:{variables['API_PORT']}"
    with (tmp_path / "log").open("wb") as log, started(variables, log):
        await until_ready(url)
        code, found = await asyncio.to_thread(told, {**given, "KAIREON_API_URL": url})
    assert {name: one for name, one in found.items() if one["state"] != "ok"} == {}
    assert (code, list(found)) == (0, EVERYTHING)


def test_people_are_told_what_to_do_next(given: Mapping[str, str]) -> None:
    done = kaireon("doctor", environment={**given, "KAIREON_API_URL": NEVER})
    lines = done.stdout.splitlines()
    (place,) = [place for place, line in enumerate(lines) if line.startswith("fail  api ")]
    assert lines[place + 1].strip() == "-> start the API, and see that KAIREON_API_URL names it"
    assert (done.returncode, done.stderr) == (1, "")


def dropped_migration(connection: psycopg.Connection[Any], _: Redis, __: Tenant) -> None:
    connection.execute("DELETE FROM _yoyo_migration WHERE migration_id = '0030.clock_steps'")


def later_migration(connection: psycopg.Connection[Any], _: Redis, __: Tenant) -> None:
    connection.execute("INSERT INTO _yoyo_migration (migration_hash, migration_id) VALUES ('x', '9999.tomorrow')")


def job(status: str, run_after: str = "now()", leased_until: str = "NULL") -> Callable[..., None]:
    def cause(connection: psycopg.Connection[Any], _: Redis, tenant: Tenant) -> None:
        values = f"(%s, %s, 'retrain', 'x', '{{}}', '{status}', {run_after}, {leased_until}, NULL)"
        connection.execute(f"{JOB} {values}".encode(), (tenant.tenant_id, uuid4()))

    return cause


def many_jobs(connection: psycopg.Connection[Any], _: Redis, tenant: Tenant) -> None:
    statement = (
        "INSERT INTO jobs (tenant_id, id, queue, type) SELECT %s, gen_random_uuid(), 'retrain', 'x'"
        " FROM generate_series(1, 1500)"
    )
    connection.execute(statement, (tenant.tenant_id,))


def event(age: str, attempts: int = 0) -> Callable[..., None]:
    def cause(connection: psycopg.Connection[Any], _: Redis, tenant: Tenant) -> None:
        values = f"(%s, %s, 't', 'c1', '{{}}', now() - interval '{age}', {attempts}, %s)"
        reason = "too large" if attempts else None
        connection.execute(f"{EVENT} {values}".encode(), (uuid4(), tenant.tenant_id, reason))

    return cause


def left_event(connection: psycopg.Connection[Any], redis: Redis, tenant: Tenant) -> None:
    event("1 second")(connection, redis, tenant)
    connection.execute("UPDATE outbox_events SET status = 'processing'")


def dead_event(connection: psycopg.Connection[Any], _: Redis, tenant: Tenant) -> None:
    statement = (
        "INSERT INTO outbox_dead_letters (id, tenant_id, type, key, payload, error, attempts, created_at)"
        " VALUES (%s, %s, 't', 'c1', '{}', 'no', 5, now())"
    )
    connection.execute(statement, (uuid4(), tenant.tenant_id))


def other_key(_: psycopg.Connection[Any], redis: Redis, __: Tenant) -> None:
    redis.set("kaireon:events", "x")


@pytest.mark.parametrize(
    ("cause", "name", "state", "text", "next_step"),
    [
        (dropped_migration, "migrations", "fail", "the first 0030.clock_steps", "kaireon migrate"),
        (later_migration, "migrations", "warn", "9999.tomorrow", "the release that runs"),
        (job("queued", "now() - interval '1 hour'"), "queues", "warn", "the oldest of retrain for 36", "more workers"),
        (job("queued", "now() - interval '1 hour'"), "workers", "fail", "nobody runs any", "start a worker"),
        (job("queued", "now() + interval '1 hour'"), "queues", "ok", "1 jobs wait", ""),
        (many_jobs, "queues", "warn", "1500 jobs wait", "start more workers"),
        (job("running", leased_until="now() + interval '20 s'"), "workers", "ok", "1 jobs are being run", ""),
        (
            job("running", leased_until="now() - interval '20 s'"),
            "workers",
            "warn",
            "1 running jobs have lost",
            "start",
        ),
        (job("dead"), "dead-jobs", "warn", "1 of retrain", "/api/v1/admin/dlq"),
        (event("10 minutes"), "outbox", "fail", "1 events wait, the oldest for 60", "outbox publisher runs"),
        (event("1 minute"), "outbox", "warn", "1 events wait, the oldest for 6", "outbox publisher runs"),
        (event("1 second"), "outbox", "ok", "1 events wait", ""),
        (event("1 second", attempts=2), "outbox", "warn", "refused: too large", "outbox publisher runs"),
        (left_event, "outbox", "warn", "1 events were taken and left", "outbox-reaper"),
        (dead_event, "dead-events", "warn", "1 events were given up", "/api/v1/admin/dlq"),
        (other_key, "event-bus", "fail", "kaireon:events is a string, no stream", "EVENT_STREAM"),
    ],
)
def test_what_is_wrong_inside_is_found(
    given: Mapping[str, str],
    tenant: Tenant,
    cause: Callable[[psycopg.Connection[Any], Redis, Tenant], None],
    name: str,
    state: str,
    text: str,
    next_step: str,
) -> None:
    with psycopg.connect(given["DATABASE_URL"]) as connection, Redis.from_url(given["REDIS_URL"]) as redis:
        cause(connection, redis, tenant)
    code, found = told(given)
    assert found[name]["state"] == state, found[name]
    assert text in found[name]["text"]
    assert next_step in found[name]["next"]
    assert code == int(any(one["state"] == "fail" for one in found.values()))


@pytest.mark.parametrize(
    ("variables", "name", "state", "text", "next_step"),
    [
        ({"REDIS_URL": "redis://127.0.0.1:1/0"}, "redis", "fail", "127.0.0.1:1", "start Redis"),
        ({"REDIS_URL": "redis://127.0.0.1:1/0"}, "clock.redis", "fail", "127.0.0.1:1", "start Redis"),
        ({"REDIS_URL": "redis://127.0.0.1:1/0"}, "event-bus", "fail", "127.0.0.1:1", "events wait in the outbox"),
        ({"CELERY_BROKER_URL": "redis://127.0.0.1:1/0"}, "broker", "fail", "127.0.0.1:1", "CELERY_BROKER_URL"),
        ({"DATABASE_URL": "postgresql://u:hunter22@127.0.0.1:1/x"}, "postgres", "fail", "refused", "start Postgres"),
        ({"DATABASE_URL": "postgresql://u:hunter22@127.0.0.1:1/x"}, "migrations", "fail", "reached", "start Postgres"),
        ({"DATABASE_URL": "postgresql://u:hunter22@127.0.0.1:1/x"}, "outbox", "fail", "reached", "first see to"),
        ({"KAIREON_API_URL": NEVER}, "api", "fail", "failed", "start the API"),
        ({}, "api", "warn", "cannot be checked: KAIREON_API_URL is not set", "set it to"),
        ({"EVENT_PUBLISHER": "none"}, "event-bus", "ok", "events are not relayed", ""),
        ({"EVENT_PUBLISHER": "none"}, "outbox", "ok", "cleanup removes them", ""),
        ({"EVENT_PUBLISHER": "kafka"}, "event-bus", "warn", "cannot be checked: KAFKA_BROKERS is not set", "set what"),
        (
            {"EVENT_PUBLISHER": "kafka", "KAFKA_BROKERS": "127.0.0.1:1"},
            "event-bus",
            "fail",
            "",
            "see that the bus runs, has it",
        ),
        (
            {"EVENT_PUBLISHER": "msk", "MSK_BROKERS": "b:9098", "AWS_REGION": "eu-west-1"},
            "event-bus",
            "warn",
            "cannot be checked: MSK by IAM",
            "GET /ready",
        ),
    ],
)
def test_server_that_is_away_is_named(
    given: Mapping[str, str], variables: Mapping[str, str], name: str, state: str, text: str, next_step: str
) -> None:
    _, found = told({**given, **variables})
    assert found[name]["state"] == state, found[name]
    assert text in found[name]["text"]
    assert next_step in found[name]["next"]
    assert "hunter22" not in json.dumps(found)


def test_database_that_was_never_migrated_is_named(given: Mapping[str, str], empty_database: str) -> None:
    code, found = told({**given, "DATABASE_URL": empty_database})
    assert (code, found["postgres"]["state"]) == (1, "ok")
    assert found["migrations"]["state"] == "fail"
    assert "0001.platform" in found["migrations"]["text"]


@pytest.fixture
def empty_database(database_url: str) -> Iterator[str]:
    """A database without a schema."""
    name = f"empty_{uuid4().hex}"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        try:
            yield urlunsplit(urlsplit(database_url)._replace(path=f"/{name}"))
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def test_missing_table_of_the_store_is_named(given: Mapping[str, str], moto_url: str) -> None:
    store = {
        "INTERACTION_STORE": "dynamodb",
        "DYNAMODB_REGION": "eu-west-1",
        "DYNAMODB_ENDPOINT_URL": moto_url,
        "DYNAMODB_TABLE": f"t{uuid4().hex}",
        **AWS_LOGIN,
    }
    code, found = told({**given, **store})
    assert (code, found["interaction-store"]["state"]) == (1, "fail")
    assert "kaireon store ddl --backend dynamodb" in found["interaction-store"]["next"]


def test_stream_of_kinesis_is_looked_for(given: Mapping[str, str], moto_url: str) -> None:
    bus = {
        "EVENT_PUBLISHER": "kinesis",
        "KINESIS_STREAM": f"s{uuid4().hex}",
        "KINESIS_REGION": "eu-west-1",
        "KINESIS_ENDPOINT_URL": moto_url,
        **AWS_LOGIN,
    }
    _, found = told({**given, **bus})
    assert (found["event-bus"]["state"], "not found" in found["event-bus"]["text"]) == ("fail", True), found[
        "event-bus"
    ]
    client: Any = vars(boto3)["client"](
        "kinesis",
        region_name="eu-west-1",
        endpoint_url=moto_url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    client.create_stream(StreamName=bus["KINESIS_STREAM"], ShardCount=2)
    client.get_waiter("stream_exists").wait(StreamName=bus["KINESIS_STREAM"])
    _, found = told({**given, **bus})
    assert found["event-bus"]["text"] == f"kinesis: {bus['KINESIS_STREAM']} is active, 2 shards"


@pytest.mark.parametrize(
    ("ahead_seconds", "state", "direction"),
    [(0, State.OK, ""), (-10, State.WARN, "ahead of"), (10, State.WARN, "behind"), (3600, State.FAIL, "behind")],
)
async def test_clock_that_is_off_is_named(
    given: Mapping[str, str], ahead_seconds: float, state: State, direction: str
) -> None:
    settings = DoctorSettings.model_validate({name.lower(): value for name, value in given.items()})
    findings = {one.name: one for one in await diagnose(settings, lambda: time.time() + ahead_seconds)}
    for name in ("clock.postgres", "clock.redis"):
        assert findings[name].state is state, findings[name]
        assert direction in findings[name].text


@pytest.mark.parametrize(
    ("seconds", "uncertain", "state"),
    [(1.0, 0, State.OK), (-1.1, 0, State.WARN), (1.5, 0.6, State.OK), (30.5, 0, State.FAIL), (30.5, 1, State.WARN)],
)
def test_skew_counts_beyond_what_is_uncertain(seconds: float, uncertain: float, state: State) -> None:
    assert skew("clock", seconds, uncertain).state is state


async def test_check_that_hangs_breaks_or_cannot_run_leaves_the_others() -> None:
    async def hang() -> list[Finding]:
        await asyncio.Event().wait()
        return []

    async def broken() -> list[Finding]:
        raise OSError

    async def impossible() -> list[Finding]:
        raise CannotRun("no\ndo this")

    async def well() -> list[Finding]:
        return [ok("well", "yes")]

    looks = {"hang": hang, "broken": broken, "impossible": impossible, "well": well}
    checks = [Check(name=name, look=look, next="do that") for name, look in looks.items()]
    assert [(one.name, one.state.value, one.text, one.next) for one in await examine(checks, 0.05)] == [
        ("hang", "fail", "no answer within 0.05 s", "do that"),
        ("broken", "fail", "OSError", "do that"),
        ("impossible", "warn", "cannot be checked: no", "do this"),
        ("well", "ok", "yes", ""),
    ]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("postgresql://u:p%40ss@h/d", "postgresql://u:***@h/d"),
        ("redis://:abc@h and redis://u:xyz@h", "redis://:***@h and redis://u:***@h"),
        ("the token s3cr3t was refused", "the token *** was refused"),
        ("http://host:80/path", "http://host:80/path"),
    ],
)
def test_secrets_are_masked(text: str, masked: str) -> None:
    assert Mask(["s3cr3t"]).text(text) == masked


def test_settings_name_every_secret() -> None:
    settings = DoctorSettings.model_validate(
        {
            "database_url": "postgresql://u:one%21@h:1/d",
            "redis_url": "redis+sentinel://:two@h:1,h2:2/m/0",
            "kafka_sasl_password": "three",
            "kaireon_api_key": "four",
        }
    )
    assert {"one%21", "one!", "two", "three", "four"} <= set(settings.secrets())
