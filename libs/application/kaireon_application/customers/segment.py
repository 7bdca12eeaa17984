"""Segments: stored definitions of groups of customers, by their rows in one schema."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Literal, Protocol
from uuid import UUID

from msgspec import Meta, Struct, field

from kaireon_application.catalog.entities import EntityReader
from kaireon_application.catalog.fields import EntityRef, Key, Label, Name, Status, Text
from kaireon_application.catalog.kind import Change, Document, EntityKind, refers
from kaireon_application.customers.schema_table import SchemaTable, table_of
from kaireon_core.column import Operator, compile_test
from kaireon_core.problems import Problem

KIND = "segment"
# What is counted by asking, and what this version has no view for.
_UNKNOWN: Document = {"customerCount": None, "viewName": None, "lastRefreshedAt": None}


class SegmentFilter(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What the customer's row must satisfy."""

    field: Label
    operator: Operator
    value: Any = None


class NewSegment(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A segment as it is created; its members are the customers whose row of the schema satisfies all filters."""

    key: Key | None = None
    name: Name
    status: Status = "draft"
    description: Text | None = None
    base_schema_id: EntityRef
    entity_type: Literal["customer", "account", "custom"] = "customer"
    joins: Annotated[list[Any], Meta(max_length=100)] = field(default_factory=list)
    filters: Annotated[list[SegmentFilter], Meta(max_length=100)] = field(default_factory=list)


class SegmentCounts(Protocol):
    """Counts members in the system of record. Raises `Unavailable` while it cannot be reached."""

    async def count_members(
        self, tenant_id: UUID, wanted: Sequence[tuple[SchemaTable | None, Sequence[Document]]]
    ) -> list[int | None]:
        """Return how many rows satisfy the filters of each (table, filters), None where that takes too long."""
        ...


async def with_counts(
    counts: SegmentCounts, reader: EntityReader, tenant_id: UUID, segments: Sequence[Document]
) -> list[Document]:
    """Return segments as they are answered, with the number of their members."""
    schemas = await reader.find("schema", {one["baseSchemaId"] for one in segments})
    tables = {reference: table_of(schema.body) for reference, schema in schemas.items()}
    wanted = [(tables.get(one["baseSchemaId"]), one["filters"]) for one in segments]
    found = await counts.count_members(tenant_id, wanted)
    return [{**one, "customerCount": count} for one, count in zip(segments, found, strict=True)]


def _prepare(change: Change) -> Document:
    return {**_UNKNOWN, **change.document}


def _problems(change: Change) -> Iterator[Problem]:
    if change.document["joins"]:
        yield change.problem("joins are not evaluated; put the fields into the base schema", "joins")
    for index, condition in enumerate(change.document["filters"]):
        place = "filters", index, "value"
        if isinstance(condition["value"], dict):
            yield change.problem("must not be an object", *place)
            continue
        try:
            compile_test(Operator(condition["operator"]), condition["value"])
        except ValueError as error:
            yield change.problem(str(error), *place)


async def _check(reader: EntityReader, change: Change) -> Iterable[Problem]:
    """Every filter names a field of the base schema, which says whose a row is."""
    reference = change.document["baseSchemaId"]
    schema = (await reader.find("schema", [reference])).get(reference)
    if schema is None:
        # It was deleted since: the segment has no members, and may be changed to another one.
        return []
    table = table_of(schema.body)
    problems = [
        change.problem(f"is not a field of the schema {schema.key}", "filters", index, "field")
        for index, condition in enumerate(change.document["filters"])
        if table.column(condition["field"]) is None
    ]
    if table.customer_column is None:
        problems.append(change.problem("has no field customer_id and no key of one field", "baseSchemaId"))
    return problems


SEGMENT = EntityKind(
    name=KIND,
    noun="segment",
    path="segments",
    create=NewSegment,
    example={
        "name": "Adults",
        "key": "adults",
        "baseSchemaId": "customers",
        "status": "active",
        "filters": [{"field": "age", "operator": "gte", "value": 18}],
    },
    derived_fields={"customer_count": int | None, "view_name": str | None, "last_refreshed_at": str | None},
    references=refers(baseSchemaId="schema"),
    prepare=_prepare,
    problems=_problems,
    check=_check,
)
