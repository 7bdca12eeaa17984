"""What a rule or policy covers: everything, or the union of its scopes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kaireon_core.catalog.document import Catalogue, Document
from kaireon_core.column import Mask
from kaireon_core.decisioning.candidates import Candidates
from kaireon_core.decisioning.contacts import HistoryRows
from kaireon_core.decisioning.history_needs import HistoryNeeds

Segments: TypeAlias = Sequence[frozenset[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """The scopes of one rule or policy. The masks run over the catalogue; their last row answers for index -1."""

    is_global: bool
    text: str
    offers: Mask
    creatives: Mask
    channels: Mask
    segments: frozenset[str]

    @property
    def history(self) -> HistoryNeeds:
        """What must be known of customers to tell whom it covers."""
        return HistoryNeeds(segments=tuple(self.segments))

    def of_candidates(self, candidates: Candidates) -> Mask:
        """Return which candidates are covered whoever the customer is, shape (C,)."""
        if self.is_global:
            return np.ones(len(candidates), np.bool_)
        return self.offers[candidates.offer] | self.creatives[candidates.creative] | self.channels[candidates.channel]

    def of_offers(self, candidates: Candidates) -> Mask:
        """Return which candidates are covered when they have no creative (and so no channel), shape (C,)."""
        return np.ones(len(candidates), np.bool_) if self.is_global else self.offers[candidates.offer]

    def of_customers(self, segments: Segments) -> Mask | None:
        """Return which customers are covered with all their candidates, shape (B,); None when no segment is named."""
        if not self.segments:
            return None
        return np.array([not self.segments.isdisjoint(mine) for mine in segments], np.bool_)

    def of_history(self, rows: HistoryRows, segments: Segments) -> Mask:
        """Return which contacts or outcomes are covered, shape (n,); those of a segment's members all are."""
        if self.is_global:
            return np.ones(len(rows.customer), np.bool_)
        mask = self.offers[rows.offer] | self.creatives[rows.creative] | self.channels[rows.channel]
        members = self.of_customers(segments)
        return mask if members is None else mask | members[rows.customer]


# (scope, scopeId): what a rule or policy names.
Scope: TypeAlias = tuple[str, str]
EVERYWHERE: Sequence[Scope] = (("global", ""),)


def scopes_of(body: dict[str, Any], default_scope: str) -> list[Scope]:
    """Return the scopes of a rule or policy: its `scopes`, else `scope` and `scopeId`."""
    single = [{"scope": body.get("scope") or default_scope, "scopeId": body.get("scopeId")}]
    return [(str(one["scope"]), str(one.get("scopeId"))) for one in body.get("scopes") or single]


def coverage_of(scopes: Sequence[Scope], catalogue: Catalogue) -> Coverage:
    """Return the coverage of the union of these scopes."""
    return Coverage(
        is_global=any(scope == "global" for scope, _ in scopes),
        text=", ".join(scope if scope == "global" else f"{scope} {id_}" for scope, id_ in scopes),
        offers=_union(catalogue.offers, scopes, _OFFER_SCOPES),
        creatives=_union(catalogue.creatives, scopes, _CREATIVE_SCOPES),
        channels=_union(catalogue.channels, scopes, {"channel": _is}),
        segments=frozenset(id_ for scope, id_ in scopes if scope == "segment"),
    )


Names: TypeAlias = Callable[[Document, str], bool]


def _is(document: Document, id_: str) -> bool:
    return id_ in (document.id, document.key)


def _refers(field: str) -> Names:
    return lambda document, id_: document.body.get(field) == id_


_OFFER_SCOPES: dict[str, Names] = {
    "offer": _is,
    "category": _refers("categoryId"),
    "subcategory": _refers("subCategoryId"),
}
_CREATIVE_SCOPES: dict[str, Names] = {"creative": _is, "placement": _refers("placementId")}


def _union(documents: Sequence[Document], scopes: Sequence[Scope], names: dict[str, Names]) -> NDArray[np.bool_]:
    mine = [(names[scope], id_) for scope, id_ in scopes if scope in names]
    covered = [any(name(document, id_) for name, id_ in mine) for document in documents]
    return np.array([*covered, False], np.bool_)
