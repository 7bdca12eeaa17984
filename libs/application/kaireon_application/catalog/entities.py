"""The port to everything that an operator configures: named, versioned documents of a kind."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

import msgspec

from kaireon_application.governance.actor import Actor
from kaireon_application.governance.audit_log import AuditAction


class Entity(msgspec.Struct, frozen=True, kw_only=True):
    """One stored thing; `body` holds the fields that have no column, in camelCase, as on the wire."""

    id: UUID
    kind: str
    key: str
    name: str
    status: str
    body: dict[str, Any]
    row_version: int
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None


class EntityDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A thing about to be stored: its identity is chosen by the caller."""

    id: UUID
    key: str
    name: str
    status: str
    body: dict[str, Any]


class ListOrder(StrEnum):
    """How a kind is listed; ties are broken by creation (newest first), then id."""

    NEWEST = "newest"
    ORDINAL = "ordinal"
    PRIORITY = "priority"
    STATUS = "status"


class ListPosition(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Where a page ended: the sort values of its last row."""

    rank: float
    at: datetime
    id: UUID


class ListQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which things of a kind to list; `matching` holds fields of the body that must have these values."""

    limit: int
    order: ListOrder = ListOrder.NEWEST
    after: ListPosition | None = None
    status: str | None = None
    matching: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    include_deleted: bool = False


class EntityPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a list; `total` counts all pages, `next_position` is None on the last one."""

    entities: tuple[Entity, ...]
    total: int
    next_position: ListPosition | None


class Tallies(msgspec.Struct, frozen=True, kw_only=True):
    """What has been counted of some things since they were configured; `local_now` is the tenant's clock.

    `amounts` by (kind of tally, id, period): the period is `ever`, else D, W or M and the first day of the day,
    week or month that holds now.
    """

    local_now: datetime
    amounts: dict[tuple[str, UUID, str], int]


class EntityReader(Protocol):
    """Reads one tenant's things inside a transaction."""

    async def find(self, kind: str, references: Collection[str]) -> dict[str, Entity]:
        """Return the living things that these ids or keys name, by reference; unknown ones are absent."""
        ...

    async def children(self, kind: str, field: str, parents: Collection[UUID]) -> list[Entity]:
        """Return the living things whose body field holds one of these ids, oldest first."""
        ...

    async def page(self, kind: str, query: ListQuery) -> EntityPage:
        """Return one page."""
        ...

    async def taken_keys(self, kind: str, stems: Collection[str]) -> set[str]:
        """Return the living keys that equal a stem or a stem followed by a hyphen or underscore and a number."""
        ...

    async def tallies(self, ids: Collection[UUID]) -> Tallies:
        """Return what has been counted of these things, ever and in the periods that hold now."""
        ...

    async def is_admin_key(self, id: UUID) -> bool:
        """Return whether this is the id of one of the tenant's admin API keys that still holds."""
        ...


class EntityWriter(EntityReader, Protocol):
    """Reads and writes one tenant's things inside one transaction, which raises its `config_version`.

    The writers of one tenant go one after another, so that what a writer has read stays true until it commits.
    Whatever is written is noted in the audit log, in the same transaction.
    """

    async def insert(self, kind: str, drafts: Sequence[EntityDraft]) -> list[Entity]:
        """Store new things and return them in order. Raises `Conflict` when a key or a unique name is taken."""
        ...

    async def update(self, entity: Entity, action: AuditAction = AuditAction.UPDATE) -> Entity:
        """Store key, name, status and body over the row that has this `row_version`, and return it raised by one.

        The audit log calls it `action`.

        Raises `Conflict` when the row has changed meanwhile, or a key or a unique name is taken.
        """
        ...

    async def delete(self, kind: str, ids: Collection[UUID]) -> None:
        """Soft-delete these things."""
        ...

    async def note(self, action: AuditAction, entity: Entity, changes: dict[str, Any]) -> None:
        """Note in the audit log what was done with a thing besides writing it."""
        ...

    async def forget_tallies(self, id: UUID, kinds: Collection[str]) -> None:
        """Begin to count anew: what was counted of a thing is in its document now."""
        ...


class Entities(Protocol):
    """Opens transactions. Both raise `Unavailable` while the storage cannot be reached."""

    def reading(self, tenant_id: UUID) -> AbstractAsyncContextManager[EntityReader]:
        """Open a transaction that reads."""
        ...

    def writing(self, tenant_id: UUID, actor: Actor) -> AbstractAsyncContextManager[EntityWriter]:
        """Open a transaction in which this actor writes; leaving it normally commits, an exception undoes all of it."""
        ...
