"""The rows of uploaded decision logs that name a customer: found, shown, and taken out of a part as it is stored."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, TypeVar

import msgspec
import numpy as np

from kaireon_application.learning.decision_log import read_part_naming, stored_part
from kaireon_application.learning.logged_row import LogPart

_T = TypeVar("_T")


def logged_rows(stored: bytes, customers: Collection[str]) -> list[dict[str, Any]]:
    """Return the rows of these customers in a part, under the names that an upload gives them."""
    part = read_part_naming(stored, customers)
    return [] if part is None else [_row(part, place) for place in _places(part, customers)]


def without_customers(stored: bytes, customers: Collection[str]) -> tuple[bytes | None, int]:
    """Return a part without the rows of these customers, None when none is left, and how many those were.

    The part's first and last instant stay: rows do not keep theirs.
    """
    part = read_part_naming(stored, customers)
    gone = frozenset(() if part is None else _places(part, customers))
    if part is None or not gone:
        return stored, 0
    kept = [place for place in range(part.row_count) if place not in gone]
    return (stored_part(_chosen(part, kept)) if kept else None), len(gone)


def _places(part: LogPart, customers: Collection[str]) -> Iterator[int]:
    named = frozenset(customers)
    return (place for place, name in enumerate(part.customers) if name in named)


def _row(part: LogPart, place: int) -> dict[str, Any]:
    return {
        "decisionId": part.decisions[place],
        "customerId": part.customers[place],
        "slot": part.slots[place],
        "action": part.actions[place],
        "selectionProbability": _number(part.probabilities, place),
        "reward": _number(part.rewards, place),
        "attributes": {name: values[place] for name, values in part.attributes.items()},
        "eligible": None if part.eligible is None else part.eligible[place],
    }


def _number(column: bytes, place: int) -> float:
    return float(np.frombuffer(column, np.float64)[place])


def _chosen(part: LogPart, places: Sequence[int]) -> LogPart:
    return msgspec.structs.replace(
        part,
        decisions=_taken(part.decisions, places),
        customers=_taken(part.customers, places),
        slots=_taken(part.slots, places),
        actions=_taken(part.actions, places),
        probabilities=np.frombuffer(part.probabilities, np.float64)[places].tobytes(),
        rewards=np.frombuffer(part.rewards, np.float64)[places].tobytes(),
        attributes={name: _taken(values, places) for name, values in part.attributes.items()},
        eligible=None if part.eligible is None else _taken(part.eligible, places),
    )


def _taken(values: Sequence[_T], places: Sequence[int]) -> list[_T]:
    return [values[place] for place in places]
