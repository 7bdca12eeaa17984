"""A row of a decision log as it comes in, and a part of a log as it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any, TypeAlias

import msgspec
import numpy as np
from msgspec import Meta

from kaireon_application.errors import InvalidInput
from kaireon_core.column import Column
from kaireon_core.learning.off_policy.log import DecisionLog, Eligible
from kaireon_core.problems import Problem, problems_of

MOST_ROWS = 2_000_000
MOST_ATTRIBUTES = 200
# Attributes and eligible actions of all rows together.
MOST_CELLS = 20_000_000
# So many rows are checked, and kept, at a time.
PART_ROWS = 20_000

_MOST_PROBLEMS = 20
_MOST_ACTIONS = 20_000
_LARGEST = 1e12

Whole: TypeAlias = Annotated[int, Meta(ge=-(2**53), le=2**53)]
Word: TypeAlias = Annotated[str, Meta(min_length=1, max_length=255)]
Finite: TypeAlias = Annotated[float, Meta(ge=-_LARGEST, le=_LARGEST)]
Chance: TypeAlias = Annotated[float, Meta(gt=0, le=1)]


class LoggedRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One slot of one decision: what was shown, with which probability, out of what, and what came of it."""

    decision_id: Word | Whole
    action: Word | Whole
    selection_probability: Chance
    reward: Finite
    customer_id: Word | Whole | None = None
    timestamp: datetime | None = None
    slot: Word | Whole | None = None
    attributes: Annotated[dict[Word, str | bool | Finite | None], Meta(max_length=MOST_ATTRIBUTES)] | None = None
    eligible: Annotated[list[Word | Whole], Meta(min_length=1, max_length=_MOST_ACTIONS)] | None = None


class LogPart(msgspec.Struct, frozen=True, kw_only=True):
    """Some rows of a log as columns: `probabilities` and `rewards` are float64, attributes have one value a row."""

    decisions: list[str]
    customers: list[str | None]
    slots: list[str | None]
    actions: list[str]
    probabilities: bytes
    rewards: bytes
    attributes: dict[str, list[Any]]
    eligible: list[list[str] | None] | None
    first_at: datetime | None
    last_at: datetime | None

    @property
    def row_count(self) -> int:
        """The number of rows."""
        return len(self.decisions)

    @property
    def cell_count(self) -> int:
        """The number of attributes and of eligible actions, in all rows."""
        return self.row_count * len(self.attributes) + sum(len(one) for one in self.eligible or () if one is not None)


def bad_row(number: int, value: object) -> InvalidInput:
    """Return the error for a row (counted from 0) that is no `LoggedRow`: every problem with its JSON path."""
    found = list(islice(problems_of(value, LoggedRow, f"$[{number}]"), _MOST_PROBLEMS))
    return InvalidInput.of(found or [Problem(path=f"$[{number}]", message="is not a row of a decision log")])


def part_of(rows: Sequence[LoggedRow], first: int) -> LogPart:
    """Return rows as columns; `first` is the number of the first one. Raises `InvalidInput` with a row's number."""
    for number, row in enumerate(rows, first):
        _require_sound(row, number)
    names = {name: None for row in rows if row.attributes for name in row.attributes}
    instants = [row.timestamp.astimezone(UTC) for row in rows if row.timestamp is not None]
    return LogPart(
        decisions=[str(row.decision_id) for row in rows],
        customers=[None if row.customer_id is None else str(row.customer_id) for row in rows],
        slots=[None if row.slot is None else str(row.slot) for row in rows],
        actions=[str(row.action) for row in rows],
        probabilities=np.array([row.selection_probability for row in rows], np.float64).tobytes(),
        rewards=np.array([row.reward for row in rows], np.float64).tobytes(),
        attributes={name: [(row.attributes or {}).get(name) for row in rows] for name in names},
        eligible=_eligible(rows),
        first_at=min(instants, default=None),
        last_at=max(instants, default=None),
    )


def _eligible(rows: Sequence[LoggedRow]) -> list[list[str] | None] | None:
    if all(row.eligible is None for row in rows):
        return None
    return [None if row.eligible is None else [str(action) for action in row.eligible] for row in rows]


def _require_sound(row: LoggedRow, number: int) -> None:
    """Say what the types cannot: NaN, which no bound holds, an instant of no zone, and an action out of reach."""
    path = f"$[{number}]"
    for name, value in (("selectionProbability", row.selection_probability), ("reward", row.reward)):
        if value != value:  # noqa: PLR0124 - only NaN differs from itself
            raise InvalidInput.at(f"{path}.{name}", "must be a number, not NaN")
    if row.timestamp is not None:
        _require_instant(row.timestamp, f"{path}.timestamp")
    if row.eligible is not None and row.action not in row.eligible:
        raise InvalidInput.at(f"{path}.action", "is not among the row's eligible actions")
    for name, value in (row.attributes or {}).items():
        if isinstance(value, float) and value != value:  # noqa: PLR0124 - only NaN differs from itself
            raise InvalidInput.at(f"{path}.attributes.{name}", "must be a number, not NaN")
    words = (row.decision_id, row.customer_id, row.slot, row.action, *(row.eligible or ()))
    if any(isinstance(word, str) and "\0" in word for word in words):
        raise InvalidInput.at(path, "must not contain U+0000")


def _require_instant(timestamp: datetime, path: str) -> None:
    if timestamp.tzinfo is None:
        raise InvalidInput.at(path, "must have a time zone, such as Z")
    try:
        timestamp.astimezone(UTC)
    except OverflowError:
        raise InvalidInput.at(path, "is beyond the years 1 to 9999 in UTC") from None


def log_of(parts: Sequence[LogPart]) -> DecisionLog:
    """Return the log that these parts make up.

    Raises `InvalidInput` for no rows at all, for two rows of one decision and slot, for too many rows, actions or
    attributes.
    """
    count = sum(part.row_count for part in parts)
    if not count:
        raise InvalidInput("The log has no rows")
    decisions, _ = _codes([name for part in parts for name in part.decisions])
    slots, slot_names = _codes([name for part in parts for name in part.slots])
    known: dict[str, int] = {}
    actions = np.array([known.setdefault(name, len(known)) for part in parts for name in part.actions], np.int64)
    _require_distinct(decisions, slots)
    customers, customer_names = _codes([name for part in parts for name in part.customers])
    anonymous = customer_names.index(None) if None in customer_names else -1
    eligible = _eligible_of(parts, known)
    if len(known) > _MOST_ACTIONS or len(slot_names) > _MOST_ACTIONS // 10 or len(known) * len(slot_names) > 10**6:
        raise InvalidInput("The log has too many different actions and slots to be evaluated")
    return DecisionLog(
        decisions=decisions,
        customers=np.where(customers == anonymous, -1, customers),
        slots=slots,
        slot_names=slot_names,
        actions=actions,
        action_names=tuple(known),
        probabilities=np.concatenate([np.frombuffer(part.probabilities, np.float64) for part in parts]),
        rewards=np.concatenate([np.frombuffer(part.rewards, np.float64) for part in parts]),
        attributes=_attributes(parts),
        eligible=eligible,
    )


def _codes(names: Sequence[str | None]) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], tuple[str | None, ...]]:
    """Return codes in the order of first appearance, and what they stand for."""
    known: dict[str | None, int] = {}
    codes = np.array([known.setdefault(name, len(known)) for name in names], np.int64)
    return codes, tuple(known)


def _require_distinct(
    decisions: np.ndarray[tuple[int], np.dtype[np.int64]], slots: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> None:
    places = decisions * (int(slots.max()) + 1) + slots
    firsts = np.unique(places, return_index=True)[1]
    if len(firsts) < len(places):
        repeated = np.ones(len(places), np.bool_)
        repeated[firsts] = False
        number = int(np.flatnonzero(repeated)[0])
        raise InvalidInput.at(f"$[{number}].decisionId", "is the decision and slot of an earlier row")


def _eligible_of(parts: Sequence[LogPart], known: dict[str, int]) -> Eligible | None:
    """Return what was eligible; rows that do not say could have shown any action of the log."""
    if all(part.eligible is None for part in parts):
        return None
    sets = [one for part in parts for one in (part.eligible or [None] * part.row_count)]
    for one in sets:
        for name in one or ():
            known.setdefault(name, len(known))
    everything = list(range(len(known)))
    codes = [everything if one is None else sorted({known[name] for name in one}) for one in sets]
    if sum(map(len, codes)) > _MOST_CELLS:
        raise InvalidInput("The log lists too many eligible actions to be evaluated")
    counts = np.array([len(one) for one in codes], np.int64)
    flat = np.fromiter((code for one in codes for code in one), np.int64, int(counts.sum()))
    return Eligible(np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)]), flat)


_MOST_CELLS = 50_000_000


def _attributes(parts: Sequence[LogPart]) -> dict[str, Column]:
    names = {name: None for part in parts for name in part.attributes}
    if len(names) > MOST_ATTRIBUTES:
        raise InvalidInput(f"The log has more than {MOST_ATTRIBUTES} attributes")
    return {
        name: Column.from_values(
            [value for part in parts for value in part.attributes.get(name, [None] * part.row_count)]
        )
        for name in names
    }
