"""Scopes of rules and policies: which candidates or customers one covers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from kaireon_application.catalog.fields import Label
from kaireon_application.catalog.kind import Change, Document, Reference
from kaireon_core.problems import Problem

ScopeKind = Literal["global", "segment", "channel", "category", "subcategory", "offer", "creative", "placement"]

# A segment scope holds the segment's tag or id: it names no configured thing.
_REFERRED = {
    "channel": "channel",
    "category": "category",
    "subcategory": "sub_category",
    "offer": "offer",
    "creative": "creative",
    "placement": "placement",
}


class Scope(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One scope; only the global one has no id."""

    scope: ScopeKind
    scope_id: Label | None = None


Scopes = Annotated[list[Scope], Meta(max_length=100)]


def scope_problems(change: Change) -> Iterator[Problem]:
    """Yield the scopes that name nothing. `scopes`, when not empty, stands for `scope` and `scopeId`."""
    document = change.document
    scopes: list[dict[str, Any]] = document["scopes"]
    for index, scope in enumerate(scopes):
        if scope["scope"] != "global" and not scope["scopeId"]:
            yield change.problem("is required for a scope other than global", "scopes", index, "scopeId")
    if not scopes and document["scope"] != "global" and not document["scopeId"]:
        yield change.problem("is required for a scope other than global", "scopeId")


def scope_references(document: Document) -> Iterable[Reference]:
    """Return the things that the scopes name."""
    references: list[Reference] = []
    kind = _REFERRED.get(document["scope"])
    if kind and document["scopeId"]:
        references.append(Reference(path=("scopeId",), kind=kind, triggers=("scope",)))
    for index, scope in enumerate(document["scopes"]):
        kind = _REFERRED.get(scope["scope"])
        if kind and scope["scopeId"]:
            references.append(Reference(path=("scopes", index, "scopeId"), kind=kind))
    return references


def without_idle_scope_id(document: Document) -> Document:
    """Return the document without ids on global scopes: they would mean nothing."""
    scopes: list[dict[str, Any]] = document["scopes"]
    return {
        **document,
        "scopeId": None if document["scope"] == "global" else document["scopeId"],
        "scopes": [{**scope, "scopeId": None} if scope["scope"] == "global" else scope for scope in scopes],
    }
