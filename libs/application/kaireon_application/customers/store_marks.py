"""Marks in Postgres of interactions that a store beside it does not have yet."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec

from kaireon_application.customers.interaction_store import InteractionRecord


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """One interaction that is to be written; `record` is None when Postgres has it no more: nothing is to be done."""

    tenant_id: UUID
    customer_id: str
    id: UUID
    record: InteractionRecord | None = None


class MarkClaim(Protocol):
    """Marks that nobody else works on until the claim ends."""

    @property
    def marks(self) -> Sequence[Mark]:
        """What was claimed."""
        ...

    async def settle(self, done: Sequence[Mark], refused: Sequence[tuple[Mark, str]]) -> None:
        """Delete those that are done, and postpone those that a store refused; kept when the claim ends in peace."""
        ...


class MarkBacklog(msgspec.Struct, frozen=True, kw_only=True):
    """How many interactions wait, up to a bound; `due_at` is None when none of them is due."""

    interactions: int
    due_at: datetime | None


class StoreMarks(Protocol):
    """The marks, across tenants. Raises `Unavailable` while Postgres cannot be reached."""

    def claim(self, limit: int) -> AbstractAsyncContextManager[MarkClaim]:
        """Claim marks that are due; with an error, or with the process, the claim ends and nothing of it is kept."""
        ...

    async def forget(self, marks: Sequence[Mark]) -> None:
        """Delete marks of interactions that every store has."""
        ...

    async def forget_customer(self, tenant_id: UUID, customer_id: str) -> None:
        """Delete a customer's marks, after waiting for whoever works on them."""
        ...

    async def backlog(self) -> MarkBacklog:
        """Measure what waits."""
        ...
