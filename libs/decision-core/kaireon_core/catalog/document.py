"""What an operator configured, as storage hands it over."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from kaireon_core.table import lookup


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """One offer, creative, channel, rule, ...: a named thing of a kind; `body` holds its other fields as on the wire.

    `created_at` and `updated_at` are ISO 8601 instants in UTC.
    """

    id: str
    key: str
    name: str
    status: str
    body: dict[str, Any]
    created_at: str = ""
    updated_at: str = ""

    def value(self, field: str) -> object:
        """Return a field by its wire name; an offer's custom fields stand behind its own."""
        own = _OWN.get(field)
        if own is not None:
            return getattr(self, own)
        found = lookup(self.body, field)
        if found is None:
            found = lookup(self.body.get("customFields") or {}, field)
        return found


_OWN = {
    "id": "id",
    "key": "key",
    "name": "name",
    "status": "status",
    "createdAt": "created_at",
    "updatedAt": "updated_at",
}


def ids_named(documents: Iterable[Document], names: Iterable[str]) -> frozenset[str]:
    """Return the ids that these names mean; a name is an id, or the key of one of the documents."""
    wanted = frozenset(names)
    return wanted | {document.id for document in documents if document.key in wanted}


class Catalogue(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decisions of one tenant are made from, but flows and models; deleted things are not in it."""

    offers: tuple[Document, ...] = ()
    creatives: tuple[Document, ...] = ()
    channels: tuple[Document, ...] = ()
    placements: tuple[Document, ...] = ()
    categories: tuple[Document, ...] = ()
    sub_categories: tuple[Document, ...] = ()
    qualification_rules: tuple[Document, ...] = ()
    contact_policies: tuple[Document, ...] = ()
    behavioral_metrics: tuple[Document, ...] = ()
    ranking_profiles: tuple[Document, ...] = ()
    guardrails: tuple[Document, ...] = ()
    # System-wide caps.
    frequency_caps: tuple[Document, ...] = ()
