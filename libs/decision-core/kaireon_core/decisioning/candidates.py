"""The candidate table of a flow: one row per (offer, creative), in columns, made once per snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from kaireon_core.catalog.document import Catalogue, Document
from kaireon_core.column import Column
from kaireon_core.table import CANDIDATE_NAMESPACES, split_name

Indices: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]

_DEFAULT_PRIORITY = 50.0
_DEFAULT_WEIGHT = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """C candidates. `offer`, `creative`, `channel`, `placement` (C,) are indices into the catalogue, -1 for none.

    `tie_rank` (C,) orders candidates of equal score: priority descending, offer key, creative weight descending,
    creative name, creative id. `category` (C,) numbers the offer's category, 0 for none.
    """

    catalogue: Catalogue
    offer: Indices
    creative: Indices
    channel: Indices
    placement: Indices
    priority: Floats
    weight: Floats
    category: Indices
    tie_rank: Indices

    def __len__(self) -> int:
        """Return the number of candidates."""
        return len(self.offer)

    def column(self, name: str) -> Column:
        """Return the column of `offer.X`, `creative.X`, `channel.X` or `placement.X`."""
        namespace, field = split_name(name)
        documents, rows = {
            "offer": (self.catalogue.offers, self.offer),
            "creative": (self.catalogue.creatives, self.creative),
            "channel": (self.catalogue.channels, self.channel),
            "placement": (self.catalogue.placements, self.placement),
        }[namespace]
        return Column.from_values([*(document.value(field) for document in documents), None]).take(rows)

    def columns(self, names: Iterable[str]) -> dict[str, Column]:
        """Return the columns of those names that belong to candidates."""
        return {name: self.column(name) for name in names if split_name(name)[0] in CANDIDATE_NAMESPACES}


def index_by_id(documents: Sequence[Document]) -> dict[str, int]:
    """Return where each document stands, by id."""
    return {document.id: index for index, document in enumerate(documents)}


def build_candidates(catalogue: Catalogue, *, with_creatives: bool) -> Candidates:
    """Return the candidates of a catalogue: each offer once per creative, or once without any.

    Without a match node (`with_creatives=False`) every offer is one candidate without creative.
    """
    pairs = _pairs(catalogue) if with_creatives else [(offer, -1) for offer in range(len(catalogue.offers))]
    offer, creative = (np.array(side, np.int64) for side in (zip(*pairs, strict=True) if pairs else ((), ())))
    channel = _references(catalogue.creatives, "channelId", catalogue.channels)[creative]
    placement = _references(catalogue.creatives, "placementId", catalogue.placements)[creative]
    priority = _numbers(catalogue.offers, "priority", _DEFAULT_PRIORITY)[offer]
    weight = _numbers(catalogue.creatives, "weight", _DEFAULT_WEIGHT)[creative]
    categories = {None: 0}
    by_offer = [
        categories.setdefault(document.body.get("categoryId"), len(categories)) for document in catalogue.offers
    ]
    return Candidates(
        catalogue=catalogue,
        offer=offer,
        creative=creative,
        channel=channel,
        placement=placement,
        priority=priority,
        weight=weight,
        category=np.array([*by_offer, 0], np.int64)[offer],
        tie_rank=_tie_rank(catalogue, pairs, priority, weight),
    )


def _pairs(catalogue: Catalogue) -> list[tuple[int, int]]:
    """Return (offer, creative) for each candidate; an offer's creatives follow their ids, not how they were loaded."""
    of_offer = dict[str, list[int]]()
    by_id = sorted(enumerate(catalogue.creatives), key=lambda numbered: numbered[1].id)
    for index, creative in by_id:
        of_offer.setdefault(str(creative.body.get("offerId")), []).append(index)
    return [
        (offer, creative)
        for offer, document in enumerate(catalogue.offers)
        for creative in of_offer.get(document.id, [-1])
    ]


def _references(documents: Sequence[Document], field: str, targets: Sequence[Document]) -> Indices:
    """Return which target each document names, -1 for none; the extra last row answers for index -1."""
    index = index_by_id(targets)
    return np.array([*(index.get(str(document.body.get(field)), -1) for document in documents), -1], np.int64)


def _numbers(documents: Sequence[Document], field: str, default: float) -> Floats:
    """Return a numeric field of each document; the extra last row answers for index -1."""
    values = (document.body.get(field) for document in documents)
    return np.array([*(default if value is None else float(value) for value in values), default], np.float64)


def _tie_rank(catalogue: Catalogue, pairs: list[tuple[int, int]], priority: Floats, weight: Floats) -> Indices:
    def key(row: int) -> tuple[float, str, float, str, str]:
        offer, creative = pairs[row]
        name, id_ = ("", "")
        if creative >= 0:
            name, id_ = catalogue.creatives[creative].name, catalogue.creatives[creative].id
        return (-priority[row], catalogue.offers[offer].key, -weight[row], name, id_)

    rank = np.empty(len(pairs), np.int64)
    rank[sorted(range(len(pairs)), key=key)] = np.arange(len(pairs))
    return rank
