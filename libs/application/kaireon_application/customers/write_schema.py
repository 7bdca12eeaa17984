"""Create, extend and drop schemas: metadata and table in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol
from uuid import UUID

import msgspec

from kaireon_application.catalog.delete_entity import store_deletion
from kaireon_application.catalog.entities import Entity, EntityWriter
from kaireon_application.catalog.kind import Caller
from kaireon_application.catalog.read_entity import require
from kaireon_application.catalog.write_entity import new_change, store_change, store_new, validated
from kaireon_application.customers.schema import SCHEMA
from kaireon_application.customers.schema_table import Column, SchemaTable, table_of
from kaireon_application.governance.actor import Actor


class SchemaWriter(EntityWriter, Protocol):
    """Writes one tenant's entities and tables inside one transaction."""

    async def create_table(self, table: SchemaTable) -> None:
        """Create a table. Raises `Conflict` when there is one of this name."""
        ...

    async def add_columns(self, table: SchemaTable, columns: Sequence[Column]) -> None:
        """Add columns to a table; stored rows get their defaults."""
        ...

    async def drop_table(self, table: SchemaTable) -> None:
        """Drop a table with its rows."""
        ...


class Schemas(Protocol):
    """Opens transactions over entities and tables. Raises `Unavailable` while the storage cannot be reached."""

    def writing(self, tenant_id: UUID, actor: Actor) -> AbstractAsyncContextManager[SchemaWriter]:
        """Open a transaction in which this actor writes; an exception rolls everything back, tables included."""
        ...


async def create_schema(schemas: Schemas, caller: Caller, form: msgspec.Struct) -> Entity:
    """Store a schema and create its table. Raises as `create_entity`."""
    changes = validated(SCHEMA, [new_change(caller, form)])
    async with schemas.writing(caller.tenant_id, caller.actor) as writer:
        schema = (await store_new(writer, SCHEMA, changes))[0]
        await writer.create_table(table_of(schema.body))
        return schema


async def update_schema(schemas: Schemas, caller: Caller, reference: str, form: msgspec.Struct) -> Entity:
    """Change a schema's description or add fields. Raises as `update_entity`."""
    async with schemas.writing(caller.tenant_id, caller.actor) as writer:
        before = table_of((await require(writer, SCHEMA.name, reference)).body)
        schema = await store_change(writer, SCHEMA, caller, reference, form)
        table = table_of(schema.body)
        await writer.add_columns(table, [one for one in table.columns if before.column(one.name) is None])
        return schema


async def delete_schema(schemas: Schemas, caller: Caller, reference: str) -> None:
    """Soft-delete a schema and drop its table with all rows. Raises `NotFound`."""
    async with schemas.writing(caller.tenant_id, caller.actor) as writer:
        schema = await require(writer, SCHEMA.name, reference)
        await store_deletion(writer, SCHEMA, [schema.id])
        await writer.drop_table(table_of(schema.body))
