"""Schemas: what a tenant's own tables look like. Each schema is a real table, `ds_<name>`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from kaireon_application.catalog.entities import Entity
from kaireon_application.catalog.fields import (
    Count,
    EntityRef,
    Key,
    Label,
    Name,
    OpenObject,
    Status,
    Text,
)
from kaireon_application.catalog.kind import Change, Document, EntityKind, refers
from kaireon_application.customers.schema_table import DataType, default_problem
from kaireon_core.problems import Problem

_MAX_NAME_LENGTH = 60  # `ds_` and the name make an identifier of at most 63 bytes
_MAX_IDENTIFIER_BYTES = 63
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9_]+")
# What Postgres, or the table's own columns, have taken.
_RESERVED = {"tenant_id", "tableoid", "xmin", "xmax", "cmin", "cmax", "ctid"}
_FORBIDDEN_IN_FIELD = re.compile(r'["%\x00-\x1f\x7f]')
# Changing one of these would change stored rows.
_FIXED = ("dataType", "length", "precision", "scale", "isNullable", "isPrimaryKey", "isUnique")


class SchemaField(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A column. `length` is for varchar, `precision` and `scale` for numeric."""

    name: Label
    display_name: Label | None = None
    data_type: DataType = "varchar"
    length: Annotated[int, Meta(ge=1, le=10_485_760)] | None = None
    precision: Annotated[int, Meta(ge=1, le=1_000)] | None = None
    scale: Annotated[int, Meta(ge=0, le=1_000)] | None = None
    is_nullable: bool = True
    is_primary_key: bool = False
    is_unique: bool = False
    is_predictor: bool = False
    default_value: Any = None
    ordinal: Count | None = None


class NewSchema(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A schema as it is created; characters of `name` that a table's name cannot have become underscores."""

    key: Key | None = None
    name: Name
    status: Status = "active"
    display_name: Label | None = None
    description: Text | None = None
    entity_type: Literal["customer", "account", "custom"] = "customer"
    schema_type: Label | None = None
    linked_schema_id: EntityRef | None = None
    join_mapping: OpenObject | None = None
    summary_columns: Annotated[list[Any], Meta(max_length=100)] = field(default_factory=list)
    auto_enrich: bool = False
    fields: Annotated[list[SchemaField], Meta(min_length=1, max_length=500)]


def _prepare(change: Change) -> Document:
    document = change.document
    if change.previous is None:
        name = _NOT_IN_NAME.sub("_", document["name"])
        key = document["key"] or (name if name[:1].isalnum() else None)
        shown_name = document["displayName"] or document["name"]
        document = {**document, "name": name, "key": key, "displayName": shown_name, "tableName": f"ds_{name}"}
    fields: list[Document] = change.document["fields"]
    numbered = [
        {**one, "ordinal": index if one["ordinal"] is None else one["ordinal"]} for index, one in enumerate(fields)
    ]
    return {**document, "fields": numbered}


def _problems(change: Change) -> Iterator[Problem]:
    if len(change.document["name"]) > _MAX_NAME_LENGTH:
        yield change.problem(f"must have at most {_MAX_NAME_LENGTH} characters", "name")
    seen: set[str] = set()
    for index, one in enumerate(change.document["fields"]):
        for part, message in _field_problems(one):
            yield change.problem(message, "fields", index, part)
        if one["name"] in seen:
            yield change.problem("this name stands here twice", "fields", index, "name")
        seen.add(one["name"])
    if change.previous is not None:
        yield from _change_problems(change, change.previous)


def _field_problems(one: Document) -> Iterator[tuple[str, str]]:
    name, data_type = one["name"], one["dataType"]
    if _FORBIDDEN_IN_FIELD.search(name) or name != name.strip():
        yield "name", "must have no quotes, percent signs or control characters, and no spaces around it"
    if len(name.encode()) > _MAX_IDENTIFIER_BYTES:
        yield "name", f"must have at most {_MAX_IDENTIFIER_BYTES} bytes"
    if name in _RESERVED:
        yield "name", "is reserved"
    if one["length"] is not None and data_type != "varchar":
        yield "length", "is for varchar only"
    if data_type != "numeric" and (one["precision"] is not None or one["scale"] is not None):
        yield "precision", "is for numeric only, like scale"
    if one["scale"] is not None and one["scale"] > (one["precision"] or -1):
        yield "scale", "must be at most precision"
    if data_type == "json" and (one["isPrimaryKey"] or one["isUnique"]):
        yield "dataType", "json cannot be a key or unique"
    wrong = default_problem(one)
    if wrong:
        yield "defaultValue", wrong


def _change_problems(change: Change, previous: Entity) -> Iterator[Problem]:
    """Fields may be added and described anew; a stored column neither disappears nor changes its type."""
    before: dict[str, Document] = {one["name"]: one for one in previous.body["fields"]}
    now: list[Document] = change.document["fields"]
    for missing in before.keys() - {one["name"] for one in now}:
        yield change.problem(f"the field {missing} cannot be taken away", "fields")
    for index, one in enumerate(now):
        stored = before.get(one["name"])
        if stored is None:
            yield from _new_field_problems(change, index, one)
            continue
        for part in _FIXED:
            if one[part] != stored[part]:
                yield change.problem("cannot be changed once the table exists", "fields", index, part)


def _new_field_problems(change: Change, index: int, one: Document) -> Iterator[Problem]:
    if one["isPrimaryKey"]:
        yield change.problem("a new field cannot join the primary key", "fields", index, "isPrimaryKey")
    if not one["isNullable"] and one["defaultValue"] is None:
        yield change.problem("a new field must be nullable or have a default", "fields", index, "isNullable")


SCHEMA = EntityKind(
    name="schema",
    noun="schema",
    path="schemas",
    create=NewSchema,
    example={
        "name": "customers",
        "entityType": "customer",
        "fields": [
            {"name": "customer_id", "dataType": "varchar", "isPrimaryKey": True},
            {"name": "age", "dataType": "integer", "isPredictor": True},
        ],
    },
    fixed_fields=frozenset({"name"}),
    derived_fields={"table_name": str},
    references=refers(linkedSchemaId="schema"),
    prepare=_prepare,
    problems=_problems,
)
