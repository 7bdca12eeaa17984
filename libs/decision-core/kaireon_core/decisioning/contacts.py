"""A customer's history as columns: what contact policies count, and what they wait for to pass.

A contact is an impression, implicit or explicit. `recent` holds one row per contact since the start of the longest
window that a policy looks back; `totals` one row per (offer, creative, channel) with all contacts ever. `outcomes`
holds one row for whatever else the customer did, since the start of the longest window that a policy looks back.
`metrics` holds one value per customer for each behavioural metric that is looked at, by id.
Offers, creatives and channels are indices into the catalogue, -1 for one that is no longer in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from kaireon_core.column import Floats, Mask

Ints: TypeAlias = NDArray[np.int64]
# (customer, offer, creative, channel, at_ms): where in the history of B customers a row stands.
Place: TypeAlias = tuple[int, int, int, int, int]
# The instant of a contact that there was not.
NEVER = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRows:
    """n rows over B customers: whose, what, where; `at_ms` is when (of totals: the last time)."""

    customer: Ints
    offer: Ints
    creative: Ints
    channel: Ints
    at_ms: Ints

    def last(self, customers: int, counted: Mask | slice = slice(None)) -> Ints:
        """Return when the last of the counted rows of each customer was, `NEVER` for none: (B,)."""
        last = np.full(customers, NEVER, np.int64)
        np.maximum.at(last, self.customer[counted], self.at_ms[counted])
        return last

    def last_by_offer(self, customers: int, offers: int, counted: Mask | slice = slice(None)) -> Ints:
        """Return when the last of the counted rows with each offer was, `NEVER` for none: (B, offers + 1).

        The last column is that of offers which are no longer in the catalogue.
        """
        last = np.full((customers, offers + 1), NEVER, np.int64)
        np.maximum.at(last, (self.customer[counted], self.offer[counted]), self.at_ms[counted])
        return last


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactRows(HistoryRows):
    """Contacts; `count` says how many."""

    count: Ints

    def count_by_offer(self, customers: int, offers: int, counted: Mask) -> Ints:
        """Return how many of the counted contacts there were with each offer of the catalogue: (B, offers)."""
        known = counted & (self.offer >= 0)
        cells = self.customer[known] * offers + self.offer[known]
        sums = np.bincount(cells, self.count[known], customers * offers).astype(np.int64)
        return sums.reshape(customers, offers)

    @staticmethod
    def none() -> ContactRows:
        """Return no rows."""
        empty = np.empty(0, np.int64)
        return ContactRows(customer=empty, offer=empty, creative=empty, channel=empty, at_ms=empty, count=empty)

    @staticmethod
    def of(rows: list[tuple[int, int, int, int, int, int]]) -> ContactRows:
        """Return the columns of (customer, offer, creative, channel, at_ms, count) rows."""
        if not rows:
            return ContactRows.none()
        customer, offer, creative, channel, at_ms, count = np.array(rows, np.int64).T
        return ContactRows(customer=customer, offer=offer, creative=creative, channel=channel, at_ms=at_ms, count=count)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeRows(HistoryRows):
    """Outcomes other than impressions; `key` says which, `is_response` whether it is positive or negative."""

    key: NDArray[np.str_]
    is_response: Mask

    @staticmethod
    def none() -> OutcomeRows:
        """Return no rows."""
        return OutcomeRows.of([], [], [])

    @staticmethod
    def of(places: Sequence[Place], keys: Sequence[str], are_responses: Sequence[bool]) -> OutcomeRows:
        """Return the columns of the rows that stand at these places."""
        customer, offer, creative, channel, at_ms = np.array(places, np.int64).reshape(-1, 5).T
        return OutcomeRows(
            customer=customer,
            offer=offer,
            creative=creative,
            channel=channel,
            at_ms=at_ms,
            key=np.array(keys, np.str_),
            is_response=np.array(are_responses, np.bool_),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Contacts:
    """The history of B customers."""

    recent: ContactRows
    totals: ContactRows
    outcomes: OutcomeRows = field(default_factory=OutcomeRows.none)
    metrics: Mapping[str, Floats] = field(default_factory=dict[str, Floats])

    @staticmethod
    def none() -> Contacts:
        """Return an empty history."""
        return Contacts(recent=ContactRows.none(), totals=ContactRows.none())
