"""Schemas and their rows over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from kaireon_api.catalog.crud import caller, finder, get_operation, list_operation
from kaireon_api.operation import ITEM_ERRORS, WRITE_ERRORS, Call, Operation, Reply, Role
from kaireon_application.catalog.fields import Label
from kaireon_application.catalog.forms import Pagination, update_form, view_form
from kaireon_application.catalog.read_entity import get_entity, view
from kaireon_application.customers.schema import SCHEMA, NewSchema
from kaireon_application.customers.schema_data import store_rows
from kaireon_application.customers.schema_table import SchemaTable, table_of
from kaireon_application.customers.write_schema import create_schema, delete_schema, update_schema
from kaireon_application.engagement.behavioral_event import CUSTOMER_CREATED
from kaireon_application.platform.cursor import Count, Offset, decode_cursor, encode_cursor

MAX_ROWS = 1_000
MAX_DATA_BYTES = 5 * 1024 * 1024


class NewRows(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rows to store: an object of field name to value each."""

    rows: Annotated[list[dict[Label, Any]], msgspec.Meta(min_length=1, max_length=MAX_ROWS)]


class RowsStored(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How many rows were new; a row whose key was there already is left as it is."""

    inserted: int
    table_name: str


class RowsQuery(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Which rows to answer; a cursor takes the place of an offset."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50
    offset: Count = 0
    cursor: str | None = None


class RowsPagination(Pagination, frozen=True, kw_only=True, rename="camel"):
    """Where a page of rows stands."""

    offset: int


class RowsPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of rows, in the order of the primary key."""

    data: list[dict[str, Any]]
    pagination: RowsPagination


class Stats(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How large a schema's table is, and how many nulls each field has."""

    schema_id: str
    table_name: str
    row_count: int
    size_bytes: int
    field_count: int
    null_counts: dict[str, int]


async def _create(call: Call[NewSchema]) -> Reply:
    schema = await create_schema(call.services.schemas, caller(call), call.body)
    return Reply(content=view(call.tenant_id, SCHEMA, schema), status=201)


async def _update(call: Call[Any]) -> Reply:
    schema = await update_schema(call.services.schemas, caller(call), call.path["id"], call.body)
    return Reply(content=view(call.tenant_id, SCHEMA, schema))


async def _delete(call: Call[None]) -> Reply:
    await delete_schema(call.services.schemas, caller(call), call.path["id"])
    return Reply(status=204)


async def _store_rows(call: Call[NewRows]) -> Reply:
    _, table = await _schema(call)
    services = call.services
    snapshot = await services.engine.snapshots.current(str(call.tenant_id))
    is_told = snapshot.configuration.listeners.hears(CUSTOMER_CREATED)
    inserted = await store_rows(
        services.schema_rows, services.customer_cache, call.tenant_id, table, call.body.rows, is_told=is_told
    )
    return Reply(content=RowsStored(inserted=inserted, table_name=table.name), status=201)


async def _list_rows(call: Call[None]) -> Reply:
    _, table = await _schema(call)
    query: RowsQuery = call.params
    after = decode_cursor(query.cursor, Offset)
    offset = after.count if after else query.offset
    page = await call.services.schema_rows.page(call.tenant_id, table, query.limit, offset)
    ended_at = offset + len(page.rows)
    has_more = ended_at < page.total and bool(page.rows)
    pagination = RowsPagination(
        total=page.total,
        limit=query.limit,
        offset=offset,
        has_more=has_more,
        next_cursor=encode_cursor(Offset(count=ended_at) if has_more else None),
    )
    return Reply(content=RowsPage(data=page.rows, pagination=pagination))


async def _stats(call: Call[None]) -> Reply:
    schema_id, table = await _schema(call)
    stats = await call.services.schema_rows.stats(call.tenant_id, table)
    return Reply(
        content=Stats(
            schema_id=schema_id,
            table_name=table.name,
            row_count=stats.row_count,
            size_bytes=stats.size_bytes,
            field_count=len(table.columns),
            null_counts=stats.null_counts,
        )
    )


async def _schema(call: Call[Any]) -> tuple[str, SchemaTable]:
    schema = await get_entity(call.services.entities, call.tenant_id, SCHEMA.name, call.path["id"])
    return str(schema.id), table_of(schema.body)


OPERATIONS: tuple[Operation, ...] = (
    list_operation(SCHEMA),
    Operation(
        method="POST",
        path="/api/v1/schemas",
        role=Role.EDITOR,
        handler=_create,
        summary="Create a schema and its table",
        body=NewSchema,
        example=SCHEMA.example,
        answers={201: view_form(SCHEMA), **WRITE_ERRORS},
    ),
    get_operation(SCHEMA),
    Operation(
        method="PUT",
        path="/api/v1/schemas/{id}",
        role=Role.EDITOR,
        handler=_update,
        summary="Describe a schema anew, or add fields",
        body=update_form(SCHEMA),
        example={"displayName": "Households", "rowVersion": 1},
        find=finder(SCHEMA),
        answers={200: view_form(SCHEMA), **WRITE_ERRORS},
    ),
    Operation(
        method="DELETE",
        path="/api/v1/schemas/{id}",
        role=Role.EDITOR,
        handler=_delete,
        summary="Delete a schema and drop its table with all rows",
        answers={204: None, **ITEM_ERRORS, 409: None},
    ),
    Operation(
        method="POST",
        path="/api/v1/schemas/{id}/data",
        role=Role.EDITOR,
        handler=_store_rows,
        summary="Store rows; those whose key exists are left out",
        body=NewRows,
        example={"rows": [{"customer_id": "C-1", "age": 44}]},
        find=finder(SCHEMA),
        body_limit=MAX_DATA_BYTES,
        answers={201: RowsStored, **WRITE_ERRORS},
    ),
    Operation(
        method="GET",
        path="/api/v1/schemas/{id}/data",
        role=Role.VIEWER,
        handler=_list_rows,
        summary="List rows in the order of the primary key",
        query=RowsQuery,
        find=finder(SCHEMA),
        answers={200: RowsPage, **ITEM_ERRORS},
    ),
    Operation(
        method="GET",
        path="/api/v1/schemas/{id}/stats",
        role=Role.VIEWER,
        handler=_stats,
        summary="How large a schema's table is",
        answers={200: Stats, **ITEM_ERRORS},
    ),
)
