"""Create and change configured things: one set of rules for every kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import msgspec

from kaireon_application.catalog.entities import Entities, Entity, EntityDraft, EntityReader, EntityWriter
from kaireon_application.catalog.key import free_key, key_problem, stem_of
from kaireon_application.catalog.kind import Caller, Change, Document, EntityKind, Inline
from kaireon_application.catalog.read_entity import require
from kaireon_application.catalog.references import resolve_references
from kaireon_application.catalog.refusal import refuse
from kaireon_application.errors import Conflict, InvalidInput
from kaireon_core.problems import Problem

_COLUMNS = ("key", "name", "status")


async def create_entity(entities: Entities, kind: EntityKind, caller: Caller, form: msgspec.Struct) -> Entity:
    """Store a new thing. Raises `InvalidInput`, `NotFound` for a reference, `Conflict` for a taken key or name."""
    changes = validated(kind, [new_change(caller, form)])
    async with entities.writing(caller.tenant_id, caller.actor) as writer:
        return (await store_new(writer, kind, changes))[0]


async def create_entities(
    entities: Entities, kind: EntityKind, caller: Caller, forms: Sequence[msgspec.Struct], path: str
) -> list[Entity]:
    """Store many new things or none; `path` is where they stand in the request. Raises as `create_entity`."""
    changes = validated(kind, [new_change(caller, form, f"{path}[{i}]") for i, form in enumerate(forms)])
    async with entities.writing(caller.tenant_id, caller.actor) as writer:
        return await store_new(writer, kind, changes)


async def update_entity(
    entities: Entities, kind: EntityKind, caller: Caller, reference: str, form: msgspec.Struct
) -> Entity:
    """Change the fields that the form sets. Raises as `create_entity`, and `Conflict` for a stale row version."""
    async with entities.writing(caller.tenant_id, caller.actor) as writer:
        return await store_change(writer, kind, caller, reference, form)


def new_change(caller: Caller, form: msgspec.Struct, path: str = "$") -> Change:
    """Return the change that creates a thing from its form."""
    document: Document = msgspec.to_builtins(form)
    return Change(caller=caller, document=document, given=frozenset(document), path=path)


def validated(kind: EntityKind, changes: Sequence[Change]) -> list[Change]:
    """Return the changes prepared. Raises `Forbidden`, or `InvalidInput` with every problem of every change."""
    for change in changes:
        kind.authorize(change)
    prepared = [replace(change, document=kind.prepare(change)) for change in changes]
    refuse(InvalidInput, [problem for change in prepared for problem in _problems(kind, change)])
    return prepared


async def store_new(writer: EntityWriter, kind: EntityKind, changes: Sequence[Change]) -> list[Entity]:
    """Store validated new things inside an open transaction, with their inline parts."""
    changes = await resolve_references(writer, kind, changes)
    await _check(writer, kind, changes)
    changes = [replace(change, document=await kind.settle(writer, change)) for change in changes]
    keys = await _choose_keys(writer, kind, changes)
    stored = await writer.insert(kind.name, [_draft(kind, *pair) for pair in zip(changes, keys, strict=True)])
    if kind.inline:
        parts = [
            part for change, entity in zip(changes, stored, strict=True) for part in _parts(kind.inline, change, entity)
        ]
        if parts:
            await store_new(writer, kind.inline.kind, parts)
    return stored


async def store_change(
    writer: EntityWriter, kind: EntityKind, caller: Caller, reference: str, form: msgspec.Struct
) -> Entity:
    """Store a change inside an open transaction."""
    return await writer.update(await changed_entity(writer, kind, caller, reference, form))


async def changed_entity(
    writer: EntityWriter, kind: EntityKind, caller: Caller, reference: str, form: msgspec.Struct
) -> Entity:
    """Return a thing as a change makes it, checked and settled but not stored."""
    previous = await require(writer, kind.name, reference)
    given: Document = msgspec.to_builtins(form)
    row_version = given.pop("rowVersion", previous.row_version)
    if given.get("key", "") is None:
        del given["key"]
    document = {**document_of(previous), **given}
    change = Change(caller=caller, document=document, given=frozenset(given), previous=previous)
    changes = await resolve_references(writer, kind, validated(kind, [change]))
    await _check(writer, kind, changes)
    _require_unlocked(kind, previous)
    document = await kind.settle(writer, changes[0])
    return _changed(previous, document, row_version)


def document_of(entity: Entity) -> Document:
    """Return a stored thing's document."""
    return {"key": entity.key, "name": entity.name, "status": entity.status, **entity.body}


def _problems(kind: EntityKind, change: Change) -> list[Problem]:
    problems = list(kind.problems(change))
    key: str | None = change.document.get("key")
    wrong = key_problem(key) if key is not None else None
    if wrong:
        problems.append(change.problem(wrong, "key"))
    if kind.inline and change.previous is None:
        for part in _parts(kind.inline, change, None):
            problems += _problems(kind.inline.kind, part)
    return problems


def _parts(inline: Inline, change: Change, parent: Entity | None) -> list[Change]:
    """Return the changes that create the inline parts; before the parent is stored, they name none."""
    documents: list[Any] = change.document[inline.field]
    owner: Document = {inline.parent_field: str(parent.id) if parent else None}
    return [
        Change(
            caller=change.caller,
            document={**document, **owner},
            given=frozenset({*document, *owner}),
            path=f"{change.path}.{inline.field}[{index}]",
        )
        for index, document in enumerate(documents)
    ]


async def _check(reader: EntityReader, kind: EntityKind, changes: Sequence[Change]) -> None:
    if kind.check:
        refuse(InvalidInput, [problem for change in changes for problem in await kind.check(reader, change)])


async def _choose_keys(reader: EntityReader, kind: EntityKind, changes: Sequence[Change]) -> list[str]:
    """Return a key for each change: the given one, or one derived from the name. Raises `Conflict`."""
    given: list[str | None] = [change.document.get("key") for change in changes]
    stems = [stem_of(change.document["name"], kind.name, kind.key_separator) for change in changes]
    taken = await reader.taken_keys(kind.name, {*stems, *(key for key in given if key is not None)})
    problems: list[Problem] = []
    for change, key in zip(changes, given, strict=True):
        if key is None:
            continue
        if key in taken:
            problems.append(change.problem("this key is taken; choose another one", "key"))
        taken.add(key)
    refuse(Conflict, problems)
    return [key or _derived(kind, stem, taken) for key, stem in zip(given, stems, strict=True)]


def _derived(kind: EntityKind, stem: str, taken: set[str]) -> str:
    key = free_key(stem, kind.key_separator, taken)
    taken.add(key)
    return key


def _draft(kind: EntityKind, change: Change, key: str) -> EntityDraft:
    return EntityDraft(
        id=uuid4(),
        key=key,
        name=change.document["name"],
        status=change.document["status"],
        body=_body(change.document, kind.inline),
    )


def _body(document: Document, inline: Inline | None) -> Document:
    left_out = (*_COLUMNS, inline.field) if inline else _COLUMNS
    return {name: value for name, value in document.items() if name not in left_out}


def _changed(previous: Entity, document: Document, row_version: int) -> Entity:
    return msgspec.structs.replace(
        previous,
        key=document["key"],
        name=document["name"],
        status=document["status"],
        body=_body(document, None),
        row_version=row_version,
    )


def _require_unlocked(kind: EntityKind, entity: Entity) -> None:
    reason = kind.locked(entity)
    if reason:
        raise Conflict(reason)
