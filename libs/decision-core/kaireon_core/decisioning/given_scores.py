"""Scores that a request brings along: an attribute `{name: number}`, a name being an offer's id, key or category id."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias, cast

from kaireon_core.catalog.document import Document
from kaireon_core.column import Kind, kind_of
from kaireon_core.decisioning.state import State

# The offers that each name stands for, the least specific kind of name first.
Names: TypeAlias = list[dict[str, list[int]]]


def offer_names(offers: Sequence[Document]) -> Names:
    """Return which offers, as places in the catalogue, each category id, key and id stands for."""
    by_category, by_key, by_id = (defaultdict[str, list[int]](list) for _ in range(3))
    for index, offer in enumerate(offers):
        by_category[str(offer.body.get("categoryId"))].append(index)
        by_key[offer.key].append(index)
        by_id[offer.id].append(index)
    by_category.pop(str(None), None)
    return [dict(by_category), dict(by_key), dict(by_id)]


def given_scores(state: State, attribute: str, names: Names) -> Iterator[tuple[int, list[int], float]]:
    """Yield (customer, offers, number), the least specific name first; what is no number is left out.

    Numbers are as they came: JSON knows integers that no float64 holds.
    """
    for customer, scores in enumerate(state.table.values(attribute)):
        if not isinstance(scores, dict):
            continue
        given = cast("dict[str, Any]", scores)
        numbers = [(name, score) for name, score in given.items() if kind_of(score) is Kind.NUMBER]
        for offers_of in names:
            for name, score in numbers:
                if name in offers_of:
                    yield customer, offers_of[name], score
