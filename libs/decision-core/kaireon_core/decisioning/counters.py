"""What has been counted over all customers: stock taken, money spent, impressions of system-wide caps, and evidence.

These change with every response, so they are facts and not configuration. Offers, channels and caps are places in the
flow's catalogue.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]


def _none() -> Ints:
    return np.empty(0, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceRows:
    """n rows: how often an offer on a channel (-1: none, or not in the catalogue any more) was answered which way."""

    offer: Ints = field(default_factory=_none)
    channel: Ints = field(default_factory=_none)
    positive: Ints = field(default_factory=_none)
    negative: Ints = field(default_factory=_none)

    @staticmethod
    def of(rows: list[tuple[int, int, int, int]]) -> EvidenceRows:
        """Return the columns of (offer, channel, positive, negative) rows."""
        if not rows:
            return EvidenceRows()
        offer, channel, positive, negative = np.array(rows, np.int64).T
        return EvidenceRows(offer=offer, channel=channel, positive=positive, negative=negative)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Counts since each was last configured: `taken` units, cents `spent` ever and `spent_today` (O,), `shown` (K,)."""

    taken: Ints
    spent: Ints
    spent_today: Ints
    # Impressions in the current period of each system-wide cap.
    shown: Ints
    evidence: EvidenceRows = field(default_factory=EvidenceRows)

    @staticmethod
    def none(offers: int, caps: int) -> Counters:
        """Return the counters of a tenant in which nothing has happened."""
        zeros = np.zeros(offers, np.int64)
        return Counters(taken=zeros, spent=zeros, spent_today=zeros, shown=np.zeros(caps, np.int64))
