"""The features that a decision keeps for the models that will learn from its responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from kaireon_core.catalog.document import Catalogue, Document
from kaireon_core.decisioning.candidates import Candidates
from kaireon_core.table import Axis, CustomerFacts, axis_of, lookup, split_name

# Longer texts are no categories, and not kept.
_LONGEST_TEXT = 100


def features_of(
    fields: Sequence[str], facts: CustomerFacts, candidates: Candidates, picks: Sequence[int], bare: Sequence[bool]
) -> bytes | None:
    """Return, as JSON, the customer's values and those of each pick, in rank order; None where nobody learns."""
    if not fields or not picks:
        return None
    mine = [name for name in fields if axis_of(name) is Axis.CUSTOMER]
    theirs = [name for name in fields if axis_of(name) is Axis.CANDIDATE]
    return msgspec.json.encode(
        {
            "customer": _present({name: _of_customer(facts, name) for name in mine}),
            "offers": [
                _present({name: _of_candidate(candidates, name, pick, is_bare=alone) for name in theirs})
                for pick, alone in zip(picks, bare, strict=True)
            ],
        }
    )


def _present(values: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in values.items() if _is_feature(value)}


def _is_feature(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= _LONGEST_TEXT
    return isinstance(value, bool | int | float)


def _of_customer(facts: CustomerFacts, name: str) -> object:
    namespace, field = split_name(name)
    return lookup(getattr(facts, namespace), field)


def _of_candidate(candidates: Candidates, name: str, pick: int, *, is_bare: bool) -> object:
    namespace, field = split_name(name)
    catalogue: Catalogue = candidates.catalogue
    if namespace == "offer":
        return catalogue.offers[int(candidates.offer[pick])].value(field)
    documents: dict[str, tuple[Sequence[Document], int]] = {
        "creative": (catalogue.creatives, int(candidates.creative[pick])),
        "channel": (catalogue.channels, int(candidates.channel[pick])),
        "placement": (catalogue.placements, int(candidates.placement[pick])),
    }
    found, place = documents[namespace]
    return None if is_bare or place < 0 else found[place].value(field)
