"""`kaireon store`: what makes a table, and copying one store into another."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from kaireon_application.customers.interaction_store import ExportWindow
from kaireon_storage.postgres.interactions import PostgresInteractions
from tests.cli.test_commands import environment, kaireon
from tests.storage.interactions.conftest import moto_store, moto_url, opened, table_of
from tests.storage.interactions.records import record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kaireon_runtime.store_settings import DynamoDbStore
    from kaireon_storage.postgres.database import Database

__all__ = ["environment", "moto_store", "moto_url"]


def variables(store: DynamoDbStore) -> dict[str, str]:
    return {
        "DYNAMODB_TABLE": store.table,
        "DYNAMODB_REGION": store.region or "",
        "DYNAMODB_ENDPOINT_URL": store.endpoint_url or "",
        "INTERACTION_STORE_RETENTION_DAYS": "0",
    }


@pytest.mark.parametrize(
    ("arguments", "given", "told"),
    [
        (("dynamodb",), {"DYNAMODB_TABLE": "mine"}, "aws dynamodb create-table --table-name=mine"),
        (
            ("cassandra", "--replicas", "2"),
            {"CASSANDRA_KEYSPACE": "mine"},
            "'NetworkTopologyStrategy', 'datacenter1': 2}",
        ),
        (("scylla",), {"SCYLLA_LOCAL_DATACENTER": "dc7"}, "'dc7': 3}"),
        (("keyspaces",), {"KEYSPACES_KEYSPACE": "mine"}, "CREATE TABLE IF NOT EXISTS mine.interactions"),
        (("pg",), {}, "kaireon migrate"),
    ],
)
def test_what_makes_a_table_is_printed(arguments: tuple[str, ...], given: Mapping[str, str], told: str) -> None:
    printed = kaireon("store", "ddl", "--backend", *arguments, environment=given)

    assert (printed.returncode, printed.stderr) == (0, "")
    assert told in printed.stdout


async def test_a_store_is_copied_and_compared(
    database: Database, environment: Mapping[str, str], moto_store: DynamoDbStore
) -> None:
    # The window of a copy ends when it begins.
    instants = [datetime.now(UTC) - timedelta(minutes=number + 1) for number in range(60)]
    records = [record(number, f"c{number % 9}", occurred_at=at) for number, at in enumerate(instants)]
    await PostgresInteractions(database).write(records)
    told = {**environment, **variables(moto_store)}

    first = kaireon("store", "copy", "--from", "pg", "--to", "dynamodb", "--json", environment=told)

    assert first.returncode == 0, first.stderr
    expected: dict[str, Any] = {"copied": 60, "sourceCount": 60, "targetCount": 60, "differingRanges": []}
    assert json.loads(first.stdout) == expected
    async with opened(table_of(moto_store)) as store:
        assert len((await store.export(ExportWindow(), None, 100)).records) == 60
        await store.write([record(1, "only there", occurred_at=instants[0])])
    again = kaireon("store", "copy", "--from", "pg", "--to", "dynamodb", environment=told)
    assert again.returncode == 1
    assert "1 of 256 ranges of customers differ" in again.stderr
    assert "pg has 60, dynamodb has 61" in again.stdout


def test_what_cannot_be_copied_is_one_line(environment: Mapping[str, str], moto_store: DynamoDbStore) -> None:
    told = {**environment, **variables(moto_store)}
    same = kaireon("store", "copy", "--from", "pg", "--to", "pg", environment=told)
    missing = {**told, "DYNAMODB_TABLE": "nobody_made_it"}
    without = kaireon("store", "copy", "--from", "pg", "--to", "dynamodb", environment=missing)

    assert (same.returncode, same.stderr) == (1, "kaireon: --from and --to are the same store\n")
    assert without.returncode == 1
    assert without.stderr.count("\n") == 1
    assert "nobody_made_it" in without.stderr
    assert "kaireon store ddl --backend dynamodb" in without.stderr
