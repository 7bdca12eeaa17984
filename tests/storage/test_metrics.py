"""Behavioural metrics are counted in Postgres: compared with the one comparison, and with a plain loop."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from psycopg.types.json import Jsonb

from kaireon_application.decisioning.facts import Sources
from kaireon_application.decisioning.metric_query import MetricQuery, metric_queries
from kaireon_application.platform.identity import new_ids
from kaireon_core.catalog.document import Document
from kaireon_core.column import Column, Operator, compare
from kaireon_core.decisioning.compile import Needs
from kaireon_core.decisioning.history_needs import HistoryNeeds
from kaireon_core.table import lookup
from kaireon_storage.postgres.facts import PostgresFacts

if TYPE_CHECKING:
    from kaireon_storage.postgres.database import Database
    from kaireon_testkit.platform.tenant import Tenant

Thing = dict[str, Any]

NOW_MS = 1_795_000_000_000
DAY_MS = 86_400_000
OPERATORS = [one for one in Operator if one is not Operator.REGEX]
VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    1.5,
    -2,
    "",
    "a",
    "ab",
    "b",
    "ä",
    "Z",
    [],
    ["a"],
    [1, None],
    [["a"]],
    {"a": 1},
]
LISTS: list[Any] = [[], ["a"], [1, None], [["a"]], ["a", "ab", 1], [None, True], [1.5, "ä", ["a"]]]
_GOLDEN = Path(__file__).parents[1] / "golden" / "comparison.json"


async def test_sql_compares_as_everything_else_does(database: Database) -> None:
    golden = [case for group in json.loads(_GOLDEN.read_text()) for case in group["cases"]]
    cases = [
        (one["value"], Operator(one["operator"]), one.get("operand"))
        for one in golden
        if one["operator"] != "regex" and len(str(one["value"])) < 400
    ]
    for operator in OPERATORS:
        operands = LISTS if operator in (Operator.IN, Operator.NOT_IN) else VALUES
        cases += [(value, operator, operand) for value in VALUES for operand in operands]
    asked = [{"value": value, "operator": operator, "operand": operand} for value, operator, operand in cases]

    async with database.system_transaction() as connection:
        cursor = await connection.execute(
            "SELECT kaireon_holds(nullif(one -> 'value', 'null'), one ->> 'operator', nullif(one -> 'operand', 'null'))"
            " AS holds FROM jsonb_array_elements(%(asked)s) WITH ORDINALITY AS given (one, place) ORDER BY place",
            {"asked": Jsonb(asked)},
        )
        found = [row["holds"] for row in await cursor.fetchall()]

    for case, holds in zip(cases, found, strict=True):
        value, operator, operand = case
        assert holds == bool(compare(Column.from_values([value]), operator, operand)[0]), case


IDS = new_ids(1, 4)
OUTCOMES = ["impression", "click", "convert", None]
FIELDS = ["outcome", "offer_id", "channelId", "conversion_value", "outcomeDetails.amount", "context.device", "rank"]


def a_metric(chance: random.Random, id_: str) -> Document:
    """Return a metric over few values, so that everything collides."""
    filters: list[Thing] = []
    for _ in range(chance.choice([0, 0, 1, 1, 2])):
        operator = chance.choice(["eq", "neq", "gt", "lte", "in", "not_in", "contains", "is_null", "is_not_null"])
        leaf = [*OUTCOMES, *IDS, 0, 1, 2.5, "phone", True]
        value = chance.sample(leaf, 3) if operator in ("in", "not_in") else chance.choice(leaf)
        filters.append({"field": chance.choice(FIELDS), "operator": operator, "value": value})
    function = chance.choice(["count", "count", "sum", "avg", "min", "max"])
    sources = [None, *FIELDS] if function == "count" else ["conversionValue", "outcomeDetails.amount", "rank"]
    body = {
        "aggregateFunction": function,
        "sourceField": chance.choice(sources),
        "windowDays": chance.choice([None, 1, 2, 0.5]),
        "filterConditions": filters,
    }
    return Document(id=id_, key=id_, name=id_, status="active", body=body)


def an_interaction(chance: random.Random) -> Thing:
    details: list[Thing | None] = [
        None,
        {"outcomeDetails": {"amount": chance.choice([1, 2.5, "2", None, 1e308, -3])}},
        {"context": {"device": chance.choice(["phone", 1, True, None])}},
    ]
    ages = [0, 1, DAY_MS // 2, DAY_MS - 1, DAY_MS, DAY_MS + 1, 2 * DAY_MS, 50 * DAY_MS, -1000]
    return {
        "id": new_ids(1, 1)[0],
        "customer": chance.choice(["a", "b"]),
        "at_ms": NOW_MS - chance.choice(ages),
        "outcome": chance.choice(OUTCOMES),
        "offerId": chance.choice([*IDS, None]),
        "channelId": chance.choice([*IDS[:1], None]),
        "rank": chance.choice([None, 1, 2]),
        "conversionValue": chance.choice([None, 0, 2.5, -1]),
        "details": chance.choice(details),
    }


@pytest.mark.parametrize("seed", range(8))
async def test_metrics_are_what_a_plain_loop_finds(database: Database, tenant: Tenant, seed: int) -> None:
    chance = random.Random(seed)
    metrics = [a_metric(chance, f"m{number}") for number in range(40)]
    done = [an_interaction(chance) for _ in range(chance.choice([0, 5, 40]))]
    await store(database, tenant, done)
    sources = Sources(metrics=metric_queries(metrics), config_version=7)
    needs = Needs(
        enrichments=(),
        contact_window_ms=0,
        contact_totals=False,
        history=HistoryNeeds(metrics=tuple(metric.id for metric in metrics)),
    )

    records = await PostgresFacts(database).load(str(tenant.tenant_id), ["a", "b", "c"], needs, sources, NOW_MS)

    for customer, record in zip("abc", records, strict=True):
        mine = [one for one in done if one["customer"] == customer]
        for metric in metrics:
            value, until_ms, version = record.history.metrics[metric.id]
            query = sources.metrics[metric.id]
            expected_value, expected_until_ms = expected(query, mine)
            assert value == pytest.approx(expected_value, rel=1e-12), metric
            assert (until_ms, version) == (expected_until_ms, 7), metric


def expected(query: MetricQuery, done: list[Thing]) -> tuple[float, int | None]:
    counted = [
        one
        for one in done
        if (query.window_ms is None or NOW_MS - one["at_ms"] < query.window_ms)
        and all(holds(read(one, test["path"]), test) for test in query.filters)
    ]
    values = [True if query.source is None else read(one, query.source) for one in counted]
    until_ms = (
        None if query.window_ms is None or not counted else min(one["at_ms"] for one in counted) + query.window_ms
    )
    numbers = [max(min(one, 1e300), -1e300) for one in values if type(one) in (int, float)]
    if query.aggregate == "count":
        return sum(one is not None for one in values), until_ms
    if not numbers:
        return 0, until_ms
    found = {"sum": sum(numbers), "avg": sum(numbers) / len(numbers), "min": min(numbers), "max": max(numbers)}
    return found[query.aggregate], until_ms


def holds(value: Any, test: Thing) -> bool:
    return bool(compare(Column.from_values([value]), Operator(test["operator"]), test["value"])[0])


def read(one: Thing, path: list[str]) -> Any:
    return lookup({**one, **(one["details"] or {})}, ".".join(path))


async def store(database: Database, tenant: Tenant, done: list[Thing]) -> None:
    async with database.transaction(tenant.tenant_id) as connection:
        for one in done:
            details = None if one["details"] is None else Jsonb(one["details"])
            await connection.execute(
                "INSERT INTO interactions (tenant_id, id, occurred_at, customer_id, kind, outcome_key, offer_id,"
                " channel_id, rank, conversion_value, details) VALUES (%(tenant_id)s, %(id)s,"
                " to_timestamp(%(at_ms)s::double precision / 1000), %(customer)s, 'outcome', %(outcome)s, %(offerId)s,"
                " %(channelId)s, %(rank)s, %(conversionValue)s, %(details)s)",
                {**one, "tenant_id": tenant.tenant_id, "details": details},
            )
