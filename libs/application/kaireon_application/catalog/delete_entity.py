"""Soft-delete configured things, with what belongs to them."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from kaireon_application.catalog.entities import Entities, Entity, EntityWriter
from kaireon_application.catalog.kind import Caller, EntityKind
from kaireon_application.catalog.read_entity import require
from kaireon_application.errors import Conflict


async def delete_entity(entities: Entities, kind: EntityKind, caller: Caller, reference: str) -> None:
    """Soft-delete a thing and its cascades. Raises `NotFound`, or `Conflict` when it is locked."""
    async with entities.writing(caller.tenant_id, caller.actor) as writer:
        await delete_found(writer, kind, await require(writer, kind.name, reference))


async def delete_found(writer: EntityWriter, kind: EntityKind, entity: Entity) -> None:
    """Soft-delete a thing and its cascades inside an open transaction. Raises `Conflict` when it is locked."""
    reason = kind.locked(entity) or kind.kept(entity)
    if reason:
        raise Conflict(reason)
    await store_deletion(writer, kind, [entity.id])


async def store_deletion(writer: EntityWriter, kind: EntityKind, ids: Collection[UUID]) -> None:
    """Soft-delete things and their cascades inside an open transaction."""
    await writer.delete(kind.name, ids)
    for cascade in kind.cascades:
        children = await writer.children(cascade.kind.name, cascade.field, ids)
        if children:
            await store_deletion(writer, cascade.kind, [child.id for child in children])
