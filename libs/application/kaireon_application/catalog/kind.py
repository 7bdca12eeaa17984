"""What makes one kind of configured thing differ from another, as data."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from kaireon_application.catalog.entities import Entity, EntityReader, EntityWriter, ListOrder, Tallies
from kaireon_application.governance.actor import SYSTEM, Actor
from kaireon_core.problems import Problem
from kaireon_runtime.outbound import AllowList

# All fields of a thing in wire form: camelCase names, JSON values.
Document = dict[str, Any]


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, and when."""

    tenant_id: UUID
    is_admin: bool
    at: datetime
    actor: Actor = SYSTEM
    # Which hosts may be named beside the public ones.
    reach: AllowList = AllowList()


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """A place in a document that names another thing by id or key; it is stored as id.

    It is resolved when the caller sent the field it lies in, or one of `triggers`: a rule's `scopeId`, for
    instance, means something else under another `scope`.
    """

    path: tuple[str | int, ...]
    kind: str
    triggers: tuple[str, ...] = ()
    # Whether the thing may be called by its name too; its kind then keeps names unique, and is small.
    by_name: bool = False

    def is_due(self, given: frozenset[str]) -> bool:
        """Return whether the caller sent something that this reference depends on."""
        return not given.isdisjoint((self.path[0], *self.triggers))


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing about to be stored: its whole document, and which of its fields the caller sent."""

    caller: Caller
    document: Document
    given: frozenset[str]
    previous: Entity | None = None
    path: str = "$"

    def problem(self, message: str, *parts: str | int) -> Problem:
        """Return a problem at a place inside the document."""
        return Problem(path=self.path + json_path(parts), message=message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cascade:
    """Things that are deleted with the thing that their `field` refers to."""

    kind: EntityKind
    field: str


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """A query parameter of a list that picks things by a field of their body.

    With `kind` the parameter is the id or key of another thing. `type` is the parameter's msgspec type.
    """

    parameter: str
    field: str
    type: Any = str
    kind: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inline:
    """Parts that may be created together with the thing that owns them, and are shown inside it."""

    field: str
    kind: EntityKind
    parent_field: str


def _no_references(_document: Document) -> Iterable[Reference]:
    return ()


def _nothing_to_prepare(change: Change) -> Document:
    return change.document


def _no_problems(_change: Change) -> Iterable[Problem]:
    return ()


def _anyone(_change: Change) -> None:
    return None


def _in_full(document: Document) -> Document:
    return document


def _unlocked(_entity: Entity) -> str | None:
    return None


async def _as_it_is(_writer: EntityWriter, change: Change) -> Document:
    return change.document


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EntityKind:
    """One kind: its names, its wire form and its rules.

    `create` is the msgspec type of a new thing; it has the fields `key` (may be null: derived from the name), `name`
    and `status`. The type of a change is derived from it: every field but `fixed_fields` optional, and `row_version`.

    The rules run in this order: `authorize` (raises `Forbidden`), `prepare` (returns the document with what follows
    from other fields filled in), `problems` (what a look at the document alone finds), references, `check` (what
    needs a look at other things), `settle` (returns the document once its place among the others is settled, and
    changes those where it must). `locked` says why a thing may be neither changed nor deleted, `kept` why it may not be
    deleted, or None.
    """

    name: str
    noun: str
    path: str
    create: type[msgspec.Struct]
    example: Document
    is_admin_only: bool = False
    order: ListOrder = ListOrder.NEWEST
    key_separator: str = "-"
    fixed_fields: frozenset[str] = frozenset()
    filters: tuple[Filter, ...] = ()
    cascades: tuple[Cascade, ...] = ()
    inline: Inline | None = None
    # Fields of the view that `prepare` adds to the document: name (snake_case) -> msgspec type.
    derived_fields: dict[str, Any] = field(default_factory=dict[str, Any])
    references: Callable[[Document], Iterable[Reference]] = _no_references
    authorize: Callable[[Change], None] = _anyone
    prepare: Callable[[Change], Document] = _nothing_to_prepare
    problems: Callable[[Change], Iterable[Problem]] = _no_problems
    check: Callable[[EntityReader, Change], Awaitable[Iterable[Problem]]] | None = None
    settle: Callable[[EntityWriter, Change], Awaitable[Document]] = _as_it_is
    # Lays what has been counted since over documents, as they are answered.
    counted: Callable[[list[Document], Tallies], list[Document]] | None = None
    # A thing's fields as anybody may see them, wherever they are shown: in answers, lists and the audit log.
    shown: Callable[[Document], Document] = _in_full
    locked: Callable[[Entity], str | None] = _unlocked
    kept: Callable[[Entity], str | None] = _unlocked


def refers(**kinds: str) -> Callable[[Document], Iterable[Reference]]:
    """Return the references of a kind whose top-level fields (wire names) name things of these kinds."""

    def references(document: Document) -> Iterable[Reference]:
        return [Reference(path=(name,), kind=kind) for name, kind in kinds.items() if document.get(name) is not None]

    return references


def json_path(parts: Iterable[str | int]) -> str:
    """Return `.a[0].b` for ("a", 0, "b")."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
