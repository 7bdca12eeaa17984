"""References between configured things: given as id or key, stored as id."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

from kaireon_application.catalog.entities import Entity, EntityReader, ListQuery
from kaireon_application.catalog.kind import Change, Document, EntityKind, Reference
from kaireon_application.catalog.refusal import refuse
from kaireon_application.errors import NotFound
from kaireon_core.problems import Problem

# A kind whose things may be called by name has no more of them.
_MAX_NAMED = 100


async def resolve_references(reader: EntityReader, kind: EntityKind, changes: Sequence[Change]) -> list[Change]:
    """Return the changes with every due reference as id. Raises `NotFound` with the path of each unknown one."""
    due = [
        (change, [one for one in kind.references(change.document) if one.is_due(change.given)]) for change in changes
    ]
    wanted: defaultdict[str, set[str]] = defaultdict(set)
    for change, references in due:
        for reference in references:
            wanted[reference.kind].add(_value(change.document, reference))
    found = {name: await reader.find(name, values) for name, values in wanted.items()}
    for name in {one.kind for _, references in due for one in references if one.by_name}:
        found[name] = await _named(reader, name) | found[name]
    refuse(NotFound, [problem for change, references in due for problem in _unknown(change, references, found)])
    return [replace(change, document=_resolved(change.document, references, found)) for change, references in due]


async def _named(reader: EntityReader, kind: str) -> dict[str, Entity]:
    page = await reader.page(kind, ListQuery(limit=_MAX_NAMED))
    return {entity.name: entity for entity in page.entities}


def _unknown(change: Change, references: list[Reference], found: dict[str, dict[str, Entity]]) -> list[Problem]:
    return [
        change.problem(f"there is no such {reference.kind.replace('_', ' ')}", *reference.path)
        for reference in references
        if _value(change.document, reference) not in found[reference.kind]
    ]


def _resolved(document: Document, references: list[Reference], found: dict[str, dict[str, Entity]]) -> Document:
    document = deepcopy(document)
    for reference in references:
        entity = found[reference.kind][_value(document, reference)]
        _holder(document, reference)[reference.path[-1]] = str(entity.id)
    return document


def _value(document: Document, reference: Reference) -> str:
    return _holder(document, reference)[reference.path[-1]]


def _holder(document: Document, reference: Reference) -> Any:
    holder: Any = document
    for part in reference.path[:-1]:
        holder = holder[part]
    return holder
