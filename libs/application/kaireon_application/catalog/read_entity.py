"""Read configured things by id or key, and list them."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec

from kaireon_application.catalog.entities import Entities, Entity, EntityReader, ListPosition, ListQuery
from kaireon_application.catalog.kind import Document, EntityKind
from kaireon_application.errors import NotFound


async def get_entity(entities: Entities, tenant_id: UUID, kind: str, reference: str) -> Entity:
    """Return the living thing that an id or key names. Raises `NotFound`."""
    async with entities.reading(tenant_id) as reader:
        return await require(reader, kind, reference)


async def get_view(entities: Entities, tenant_id: UUID, kind: EntityKind, reference: str) -> Document:
    """Return a living thing as it is answered. Raises `NotFound`."""
    async with entities.reading(tenant_id) as reader:
        entity = await require(reader, kind.name, reference)
        return (await views(reader, tenant_id, kind, [entity]))[0]


async def list_views(
    entities: Entities, tenant_id: UUID, kind: EntityKind, query: ListQuery, owners: dict[str, tuple[str, str]]
) -> tuple[list[Document], int, ListPosition | None]:
    """Return one page as it is answered, the total and where the page ended.

    `owners` are filters by another thing: body field -> (kind, id or key); an unknown one matches nothing.
    """
    async with entities.reading(tenant_id) as reader:
        matching = dict(query.matching)
        for field, (kind_name, reference) in owners.items():
            owner = (await reader.find(kind_name, [reference])).get(reference)
            matching[field] = str(owner.id) if owner else reference
        page = await reader.page(kind.name, msgspec.structs.replace(query, matching=matching))
        return await views(reader, tenant_id, kind, page.entities), page.total, page.next_position


async def require(reader: EntityReader, kind: str, reference: str) -> Entity:
    """Return the living thing that an id or key names. Raises `NotFound`."""
    entity = (await reader.find(kind, [reference])).get(reference)
    if entity is None:
        raise NotFound(f"there is no {kind.replace('_', ' ')} {reference!r} in this tenant")
    return entity


async def views(reader: EntityReader, tenant_id: UUID, kind: EntityKind, entities: Sequence[Entity]) -> list[Document]:
    """Return things as they are answered, each with its inline parts and what has been counted."""
    documents = [view(tenant_id, kind, entity) for entity in entities]
    if kind.inline and entities:
        inline = kind.inline
        parts = await reader.children(inline.kind.name, inline.parent_field, [entity.id for entity in entities])
        for document in documents:
            document[inline.field] = [
                view(tenant_id, inline.kind, part)
                for part in parts
                if part.body[inline.parent_field] == str(document["id"])
            ]
    if kind.counted and entities:
        return kind.counted(documents, await reader.tallies([entity.id for entity in entities]))
    return documents


def view(tenant_id: UUID, kind: EntityKind, entity: Entity) -> Document:
    """Return a thing as it is answered, without inline parts."""
    document = {
        "id": entity.id,
        "tenantId": tenant_id,
        "key": entity.key,
        "name": entity.name,
        "status": entity.status,
        **entity.body,
        "rowVersion": entity.row_version,
        "createdAt": entity.created_at,
        "updatedAt": entity.updated_at,
        "deletedAt": entity.deleted_at,
    }
    return kind.shown(document)
