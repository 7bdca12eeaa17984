"""Contacts in the order in which customers had them: which were answered, how long after what, the n-th of its day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from kaireon_core.column import Floats, Mask

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
# Negative outcomes that are looked at: the most frequent ones.
_MOST_OUTCOMES = 10
# An answer that does not name its decision belongs to the last contact of so many days.
_ANSWER_DAYS = 30

Integers: TypeAlias = NDArray[np.int64]


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """One interaction. `at_ms` is an instant, `local_day` its day in the tenant's calendar (0001-01-01 is 1)."""

    customer_id: str
    at_ms: int
    local_day: int
    is_contact: bool
    outcome_key: str | None = None
    classification: str | None = None
    offer_id: str | None = None
    recommendation_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactHistory:
    """One row per contact, customer by customer, in order (n,).

    `since_days[key]` is the time since the customer's last outcome of this key, infinite where there was none.
    """

    customers: Integers
    at_ms: Integers
    days: Integers
    is_positive: Mask
    since_days: dict[str, Floats]

    def __len__(self) -> int:
        """Return the number of contacts."""
        return len(self.customers)

    def where(self, mask: Mask) -> ContactHistory:
        """Return the contacts at which the mask holds."""
        return ContactHistory(
            customers=self.customers[mask],
            at_ms=self.at_ms[mask],
            days=self.days[mask],
            is_positive=self.is_positive[mask],
            since_days={key: since[mask] for key, since in self.since_days.items()},
        )


def contact_history(happenings: Sequence[Happening]) -> ContactHistory:
    """Return the contacts among what happened, given customer by customer in order.

    A positive outcome counts for the contact that its decision made with its offer, else for the customer's last
    contact with this offer within thirty days.
    """
    keys = _negative_keys(happenings)
    contacts, positives, since = list[tuple[int, int, int]](), set[int](), {key: list[float]() for key in keys}
    customers, shown = dict[str, int](), dict[tuple[str | None, ...], int]()
    last_negative = dict[tuple[str, str], int]()
    for one in happenings:
        answer_of = (one.customer_id, one.offer_id), (one.customer_id, one.offer_id, one.recommendation_id)
        if one.is_contact:
            shown.update(dict.fromkeys(answer_of, len(contacts)))
            contacts.append((customers.setdefault(one.customer_id, len(customers)), one.at_ms, one.local_day))
            for key, days in since.items():
                before = last_negative.get((one.customer_id, key))
                days.append(np.inf if before is None else (one.at_ms - before) / DAY_MS)
        elif one.classification == "positive":
            exact, latest = shown.get(answer_of[1]), shown.get(answer_of[0])
            found = exact if exact is not None and one.recommendation_id is not None else latest
            if found is not None and one.at_ms - contacts[found][1] <= _ANSWER_DAYS * DAY_MS:
                positives.add(found)
        elif one.outcome_key in since:
            last_negative[one.customer_id, one.outcome_key] = one.at_ms
    columns = np.array(contacts, np.int64).reshape(-1, 3)
    is_positive = np.zeros(len(contacts), bool)
    is_positive[sorted(positives)] = True
    return ContactHistory(
        customers=columns[:, 0],
        at_ms=columns[:, 1],
        days=columns[:, 2],
        is_positive=is_positive,
        since_days={key: np.array(days, np.float64) for key, days in since.items()},
    )


def _negative_keys(happenings: Iterable[Happening]) -> list[str]:
    counts = Counter(one.outcome_key for one in happenings if one.classification == "negative" and one.outcome_key)
    ranked = sorted(counts.items(), key=lambda counted: (-counted[1], counted[0]))
    return [key for key, _ in ranked[:_MOST_OUTCOMES]]


def hours_since_contact(history: ContactHistory) -> Floats:
    """Return the time since the contact before with the same customer, infinite for the first."""
    gaps = np.full(len(history), np.inf)
    is_same = history.customers[1:] == history.customers[:-1]
    gaps[1:][is_same] = np.diff(history.at_ms)[is_same] / HOUR_MS
    return gaps


def ordinals(history: ContactHistory, periods: Integers) -> Integers:
    """Return the number of each contact, from 1, among those of the same customer in the same period (n,)."""
    if not len(history):
        return np.zeros(0, np.int64)
    is_first = np.ones(len(history), bool)
    is_first[1:] = (history.customers[1:] != history.customers[:-1]) | (periods[1:] != periods[:-1])
    places = np.arange(len(history))
    return places - np.maximum.accumulate(np.where(is_first, places, 0)) + 1


def weeks(days: Integers) -> Integers:
    """Return the number of the week of each day; weeks begin on Monday, as 0001-01-01 was one."""
    return (days - 1) // 7


def months(days: Integers) -> Integers:
    """Return the number of the calendar month of each day."""
    known = {day: (held := date.fromordinal(day)).year * 12 + held.month for day in np.unique(days).tolist()}
    return np.array([known[day] for day in days.tolist()], np.int64)
