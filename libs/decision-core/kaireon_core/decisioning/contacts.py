"""A customer's contact history as columns: what contact policies count.

A contact is an impression, implicit or explicit. `recent` holds one row per contact since the start of the longest
window that a policy looks back; `totals` one row per (offer, creative, channel) with all contacts ever.
Offers, creatives and channels are indices into the catalogue, -1 for one that is no longer in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from kaireon_core.column import Mask

Ints: TypeAlias = NDArray[np.int64]
# The instant of a contact that there was not.
NEVER = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactRows:
    """n rows over B customers: whose, what, where; `at_ms` is when (of totals: the last time), `count` how many."""

    customer: Ints
    offer: Ints
    creative: Ints
    channel: Ints
    at_ms: Ints
    count: Ints

    def last_by_offer(self, customers: int, offers: int, counted: Mask | slice = slice(None)) -> Ints:
        """Return when the last of the counted contacts with each offer was, `NEVER` for none: (B, offers + 1).

        The last column is that of offers which are no longer in the catalogue.
        """
        last = np.full((customers, offers + 1), NEVER, np.int64)
        np.maximum.at(last, (self.customer[counted], self.offer[counted]), self.at_ms[counted])
        return last

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
class Contacts:
    """The contact history of B customers."""

    recent: ContactRows
    totals: ContactRows

    @staticmethod
    def none() -> Contacts:
        """Return an empty history."""
        return Contacts(recent=ContactRows.none(), totals=ContactRows.none())
