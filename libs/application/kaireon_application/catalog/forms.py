"""The wire types that follow from a kind's `create` type: what a change takes and what an answer shows."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Annotated, Any, Union
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from kaireon_application.catalog.fields import Key, Status
from kaireon_application.catalog.kind import EntityKind, Filter

_RowVersion = Annotated[int, Meta(ge=1)]


@cache
def update_form(kind: EntityKind) -> type[msgspec.Struct]:
    """Return the type of a partial change: every field may be absent, `rowVersion` guards against a lost update."""
    fields: list[tuple[str, Any, Any]] = [
        (field.name, _or_absent(field.type), UNSET)
        for field in msgspec.structs.fields(kind.create)
        if field.name not in kind.fixed_fields
    ]
    fields.append(("row_version", _or_absent(_RowVersion), UNSET))
    return msgspec.defstruct(
        _title(kind) + "Update", fields, rename="camel", forbid_unknown_fields=True, frozen=True, kw_only=True
    )


@cache
def view_form(kind: EntityKind) -> type[msgspec.Struct]:
    """Return the type of a thing as it is answered."""
    inline = kind.inline
    fields: list[tuple[str, Any]] = [("id", UUID), ("tenant_id", UUID), ("key", Key)]
    fields += [
        (field.name, field.type)
        for field in msgspec.structs.fields(kind.create)
        if field.name != "key" and not (inline and field.encode_name == inline.field)
    ]
    fields += list(kind.derived_fields.items())
    if inline:
        fields.append((inline.field, list[view_form(inline.kind)]))
    fields += [("row_version", int), ("created_at", datetime), ("updated_at", datetime)]
    fields.append(("deleted_at", datetime | None))
    return msgspec.defstruct(_title(kind), fields, rename="camel", kw_only=True)


@cache
def list_form(kind: EntityKind) -> type[msgspec.Struct]:
    """Return the type of the query string of a kind's list."""
    fields: list[tuple[str, Any, Any]] = [
        ("limit", Annotated[int, Meta(ge=1, le=100)], 25),
        ("cursor", str | None, None),
        ("include_deleted", bool, False),
        ("status", Status | None, None),
    ]
    fields += [(_snake(chosen.parameter), chosen.type | None, None) for chosen in kind.filters]
    return msgspec.defstruct(_title(kind) + "Query", fields, rename="camel", frozen=True, kw_only=True)


@cache
def page_form(kind: EntityKind) -> type[msgspec.Struct]:
    """Return the type of one page of a kind's list."""
    fields = [("data", list[view_form(kind)]), ("pagination", Pagination)]
    return msgspec.defstruct(_title(kind) + "Page", fields, kw_only=True)


class Pagination(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where a page stands in its list; `next_cursor` is null on the last page."""

    total: int
    limit: int
    has_more: bool
    next_cursor: str | None


def chosen_fields(kind: EntityKind, query: msgspec.Struct) -> dict[Filter, Any]:
    """Return the filters that a query string sets, with their values."""
    values = {chosen: getattr(query, _snake(chosen.parameter)) for chosen in kind.filters}
    return {chosen: value for chosen, value in values.items() if value is not None}


def _or_absent(type_: Any) -> Any:
    return Union[type_, UnsetType]  # noqa: UP007  the parts are known at run time only


def _title(kind: EntityKind) -> str:
    return "".join(word.capitalize() for word in kind.name.split("_"))


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
