"""Puts a pack's definitions into a tenant, under the same rules as the API, with ids that seeding again finds."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from operator import attrgetter

import msgspec

from kaireon_application.catalog.entities import EntityDraft, EntityWriter
from kaireon_application.catalog.kind import Caller, Change, EntityKind
from kaireon_application.catalog.references import resolve_references
from kaireon_application.catalog.refusal import refuse
from kaireon_application.catalog.write_entity import new_change, validated
from kaireon_application.errors import InvalidInput
from kaireon_worker.samples.definition import Definition, Identities

_COLUMNS = frozenset({"key", "name", "status"})


async def plant(
    writer: EntityWriter,
    kinds: dict[str, EntityKind],
    caller: Caller,
    ids: Identities,
    definitions: Iterable[Definition],
) -> dict[str, int]:
    """Store the definitions that are not there yet, kind by kind in their order; return how many of each.

    Raises what creating them through the API would raise.
    """
    created: dict[str, int] = {}
    for kind, group in groupby(definitions, attrgetter("kind")):
        created[kind] = await _plant_kind(writer, kinds[kind], caller, ids, list(group))
    return created


async def _plant_kind(
    writer: EntityWriter, kind: EntityKind, caller: Caller, ids: Identities, definitions: list[Definition]
) -> int:
    known = await writer.find(kind.name, [ids.text(kind.name, one.key) for one in definitions])
    missing = [one for one in definitions if ids.text(kind.name, one.key) not in known]
    changes = validated(kind, [new_change(caller, _form(kind, one), f"$.{one.key}") for one in missing])
    changes = await resolve_references(writer, kind, changes)
    if kind.check:
        refuse(InvalidInput, [problem for change in changes for problem in await kind.check(writer, change)])
    if missing:
        drafts = [_draft(kind, ids, one, change) for one, change in zip(missing, changes, strict=True)]
        await writer.insert(kind.name, drafts)
    return len(missing)


def _form(kind: EntityKind, definition: Definition) -> msgspec.Struct:
    wire = {**definition.wire, "key": definition.key, "name": definition.name, "status": definition.status}
    return msgspec.convert(wire, kind.create)


def _draft(kind: EntityKind, ids: Identities, definition: Definition, change: Change) -> EntityDraft:
    left_out = _COLUMNS | ({kind.inline.field} if kind.inline else set[str]())
    return EntityDraft(
        id=ids.of(kind.name, definition.key),
        key=definition.key,
        name=definition.name,
        status=definition.status,
        body={name: value for name, value in change.document.items() if name not in left_out},
    )
