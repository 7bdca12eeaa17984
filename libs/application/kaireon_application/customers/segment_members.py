"""Who is in a stored segment now, read from the rows of its schema."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any, TypeAlias
from uuid import UUID

import numpy as np

from kaireon_application.catalog.entities import Entities, Entity
from kaireon_application.catalog.read_entity import require
from kaireon_application.customers.schema_data import SchemaRows
from kaireon_application.customers.schema_table import SchemaTable, table_of
from kaireon_application.customers.segment import KIND
from kaireon_application.errors import Conflict
from kaireon_core.column import Column, Operator, Test, compile_test

_BATCH = 5_000
_LONGEST_ID = 255
_Tests: TypeAlias = Sequence[tuple[str, Test]]


async def segment_members(
    entities: Entities, rows: SchemaRows, tenant_id: UUID, reference: str
) -> AsyncGenerator[list[str]]:
    """Yield the ids of a segment's members, some thousand rows at a time, in the order of the schema's primary key.

    As in a decision, a customer's row is the first with their id. Raises `NotFound` for an unknown segment, `Conflict`
    where its schema has changed so that it has none any more.
    """
    async with entities.reading(tenant_id) as reader:
        segment = await require(reader, KIND, reference)
        schema_id = segment.body["baseSchemaId"]
        schema = (await reader.find("schema", [schema_id])).get(schema_id)
    table, key, tests = _readable(segment, schema)
    names = list(dict.fromkeys((key, *(field for field, _ in tests))))
    seen = set[str]()
    async for batch in rows.stream(tenant_id, table, names, _BATCH):
        members = list[str]()
        for row, is_member in zip(batch, _holding(batch, tests), strict=True):
            customer_id = "" if row[key] is None else str(row[key])
            if is_member and customer_id not in seen and 0 < len(customer_id) <= _LONGEST_ID:
                members.append(customer_id)
            seen.add(customer_id)
        yield members


def _readable(segment: Entity, schema: Entity | None) -> tuple[SchemaTable, str, _Tests]:
    table = None if schema is None else table_of(schema.body)
    key = None if table is None else table.customer_column
    filters: list[dict[str, Any]] = segment.body["filters"]
    if table is None or key is None or any(table.column(one["field"]) is None for one in filters):
        message = f"segment {segment.key!r} does not fit its schema any more"
        raise Conflict(message)
    return table, key.name, [(one["field"], compile_test(Operator(one["operator"]), one["value"])) for one in filters]


def _holding(rows: Sequence[dict[str, Any]], tests: _Tests) -> list[bool]:
    holds = np.ones(len(rows), bool)
    for field, test in tests:
        holds &= test(Column.from_values([row[field] for row in rows]))
    return holds.tolist()
