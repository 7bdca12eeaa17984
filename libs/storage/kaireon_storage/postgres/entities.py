"""Configured things in Postgres."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID
from weakref import WeakValueDictionary
from zoneinfo import ZoneInfo

import msgspec
from psycopg.errors import UniqueViolation
from psycopg.types.json import Jsonb

from kaireon_application.catalog.entities import (
    Entity,
    EntityDraft,
    EntityPage,
    EntityReader,
    EntityWriter,
    ListPosition,
    ListQuery,
    Tallies,
)
from kaireon_application.catalog.write_entity import document_of
from kaireon_application.errors import Conflict
from kaireon_application.governance.actor import Actor
from kaireon_application.governance.audit_log import AuditAction, AuditEntry, Write, wire_type, written
from kaireon_application.governance.configured_kinds import shown
from kaireon_storage.postgres.audit_logs import AuditAppender
from kaireon_storage.postgres.database import Connection, Database
from kaireon_storage.postgres.queries import queries

_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

# What a unique index says to the caller.
_TAKEN = {
    "entities_pkey": "this id is taken",
    "entities_key": "this key is taken; choose another one",
    "entities_name": "this name is taken; choose another one",
    "entities_champion": "this family has another champion",
}


class PostgresEntityReader:
    """Reads one tenant's things over a connection that is inside a transaction."""

    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        """Take a connection from `Database.transaction` or `Database.system_transaction`."""
        self.connection = connection
        self.tenant_id = tenant_id
        self._sql: Any = queries("entities")

    async def find(self, kind: str, references: Collection[str]) -> dict[str, Entity]:
        """Return the living things that these ids or keys name, by reference."""
        ids = {reference: UUID(reference) for reference in references if _ID.fullmatch(reference)}
        keys = [reference for reference in references if reference not in ids]
        rows = self._sql.find_entities(
            self.connection, tenant_id=self.tenant_id, kind=kind, ids=list(ids.values()), keys=keys
        )
        found = [_entity(row) async for row in rows]
        by_id, by_key = {entity.id: entity for entity in found}, {entity.key: entity for entity in found}
        named = {reference: by_id.get(id) for reference, id in ids.items()}
        named |= {key: by_key.get(key) for key in keys}
        return {reference: entity for reference, entity in named.items() if entity is not None}

    async def children(self, kind: str, field: str, parents: Collection[UUID]) -> list[Entity]:
        """Return the living things whose body field holds one of these ids, oldest first."""
        rows = self._sql.child_entities(
            self.connection,
            tenant_id=self.tenant_id,
            kind=kind,
            field=field,
            parents=[str(parent) for parent in parents],
        )
        return [_entity(row) async for row in rows]

    async def page(self, kind: str, query: ListQuery) -> EntityPage:
        """Return one page."""
        chosen: dict[str, Any] = {
            "tenant_id": self.tenant_id,
            "kind": kind,
            "status": query.status,
            "matching": Jsonb(query.matching),
            "include_deleted": query.include_deleted,
        }
        after = query.after
        rows = self._sql.page_entities(
            self.connection,
            **chosen,
            order=query.order.value,
            after_rank=after.rank if after else None,
            after_at=after.at if after else None,
            after_id=after.id if after else None,
            limit=query.limit + 1,
        )
        found = [row async for row in rows]
        counted = await self._sql.count_entities(self.connection, **chosen)
        shown, has_more = found[: query.limit], len(found) > query.limit
        return EntityPage(
            entities=tuple(_entity(row) for row in shown),
            total=counted["total"],
            next_position=_position(shown[-1]) if has_more else None,
        )

    async def taken_keys(self, kind: str, stems: Collection[str]) -> set[str]:
        """Return the living keys that equal a stem, or a stem with a number behind it."""
        rows = self._sql.taken_keys(self.connection, tenant_id=self.tenant_id, kind=kind, stems=list(stems))
        return {row["key"] async for row in rows}

    async def tallies(self, ids: Collection[UUID]) -> Tallies:
        """Return what has been counted of these things, ever and in the periods that hold now."""
        rows = [row async for row in self._sql.tallies(self.connection, tenant_id=self.tenant_id, ids=list(ids))]
        zone = ZoneInfo(rows[0]["timezone"])
        return Tallies(
            local_now=rows[0]["now"].astimezone(zone),
            amounts={(row["kind"], row["subject_id"], row["period"]): row["amount"] for row in rows if row["kind"]},
        )

    async def is_admin_key(self, id: UUID) -> bool:
        """Return whether this is one of the tenant's admin API keys that still holds."""
        return await self._sql.admin_key(self.connection, tenant_id=self.tenant_id, id=id) is not None


class PostgresEntityWriter(PostgresEntityReader):
    """Writes one tenant's things; made by `PostgresEntities.writing`, or by an adapter that calls `begin` itself."""

    def __init__(self, connection: Connection, tenant_id: UUID, actor: Actor) -> None:
        """Take a connection that is inside a transaction, and who acts in it."""
        super().__init__(connection, tenant_id)
        self.audit = AuditAppender(connection, tenant_id, actor)

    async def begin(self) -> None:
        """Raise `config_version`: first, because the lock that this takes makes everything read afterwards stable."""
        await self._sql.raise_config_version(self.connection, tenant_id=self.tenant_id)

    async def insert(self, kind: str, drafts: Sequence[EntityDraft]) -> list[Entity]:
        """Store new things and return them in order. Raises `Conflict`."""
        documents = Jsonb(msgspec.to_builtins(drafts))
        try:
            rows = self._sql.insert_entities(self.connection, tenant_id=self.tenant_id, kind=kind, drafts=documents)
            found = {row["id"]: _entity(row) async for row in rows}
        except UniqueViolation as error:
            raise _conflict(error) from None
        stored = [found[draft.id] for draft in drafts]
        await self.audit.append(
            [entry for one in stored for entry in written(AuditAction.CREATE, kind, _write(one, None, one))]
        )
        return stored

    async def update(self, entity: Entity, action: AuditAction = AuditAction.UPDATE) -> Entity:
        """Store the entity over its row version. Raises `Conflict`."""
        try:
            row = await self._sql.update_entity(
                self.connection,
                tenant_id=self.tenant_id,
                kind=entity.kind,
                id=entity.id,
                key=entity.key,
                name=entity.name,
                status=entity.status,
                body=Jsonb(entity.body),
                row_version=entity.row_version,
            )
        except UniqueViolation as error:
            raise _conflict(error) from None
        if row is None:
            raise Conflict("this has changed meanwhile; read it again and repeat the change")
        stored = _entity(row)
        was = {name: row[f"previous_{name}"] for name in ("key", "name", "status", "body")}
        before = msgspec.structs.replace(stored, **was)
        await self.audit.append(written(action, entity.kind, _write(stored, before, stored)))
        return stored

    async def delete(self, kind: str, ids: Collection[UUID]) -> None:
        """Soft-delete these things."""
        rows = self._sql.delete_entities(self.connection, tenant_id=self.tenant_id, kind=kind, ids=list(ids))
        await self.note_deletion(AuditAction.SOFT_DELETE, [_entity(row) async for row in rows])

    async def note(self, action: AuditAction, entity: Entity, changes: dict[str, Any]) -> None:
        """Note in the audit log what was done with a thing besides writing it."""
        noted = AuditEntry(
            action=action,
            entity_type=wire_type(entity.kind),
            entity_id=str(entity.id),
            entity_name=entity.name,
            entity_version=entity.row_version,
            changes=changes,
        )
        await self.audit.append([noted])

    async def note_deletion(self, action: AuditAction, entities: Sequence[Entity]) -> None:
        """Note in the audit log that these things are gone, softly or for good."""
        await self.audit.append(
            [entry for one in entities for entry in written(action, one.kind, _write(one, one, None))]
        )

    async def forget_tallies(self, id: UUID, kinds: Collection[str]) -> None:
        """Begin to count anew."""
        await self._sql.forget_tallies(self.connection, tenant_id=self.tenant_id, id=id, kinds=list(kinds))


class WriterTurns:
    """Puts the writers of a tenant in this process in line before they take a connection.

    They would go one after another anyway, on the lock of the tenant's row; waiting there, each would hold one of the
    connections that decisions need.
    """

    def __init__(self) -> None:
        """Start with nobody waiting."""
        self._locks: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()

    def of(self, tenant_id: UUID) -> asyncio.Lock:
        """Return the lock of a tenant, which lives as long as somebody holds or awaits it."""
        lock = self._locks.get(tenant_id)
        if lock is None:
            lock = self._locks[tenant_id] = asyncio.Lock()
        return lock


class PostgresEntities:
    """The port to configured things, over a pool of connections."""

    def __init__(self, database: Database) -> None:
        """Take an open database."""
        self._database = database
        self._turns = WriterTurns()

    @asynccontextmanager
    async def reading(self, tenant_id: UUID) -> AsyncGenerator[EntityReader]:
        """Open a transaction that reads."""
        async with self._database.transaction(tenant_id) as connection:
            yield PostgresEntityReader(connection, tenant_id)

    @asynccontextmanager
    async def writing(self, tenant_id: UUID, actor: Actor) -> AsyncGenerator[EntityWriter]:
        """Open a transaction in which this actor writes, and which raises the tenant's `config_version`."""
        async with self._turns.of(tenant_id), self._database.transaction(tenant_id) as connection:
            writer = PostgresEntityWriter(connection, tenant_id, actor)
            await writer.begin()
            yield writer


def _entity(row: Mapping[str, Any]) -> Entity:
    return Entity(**{name: row[name] for name in Entity.__struct_fields__})


def _write(stored: Entity, before: Entity | None, after: Entity | None) -> Write:
    documents = (None if one is None else shown(one.kind, document_of(one)) for one in (before, after))
    was, is_now = documents
    return Write(id=str(stored.id), version=stored.row_version, before=was, after=is_now)


def _position(row: Mapping[str, Any]) -> ListPosition:
    return ListPosition(rank=row["sort_rank"] or 0.0, at=row["sort_at"], id=row["id"])


def _conflict(error: UniqueViolation) -> Conflict:
    return Conflict(_TAKEN.get(error.diag.constraint_name or "", "this exists already"))
