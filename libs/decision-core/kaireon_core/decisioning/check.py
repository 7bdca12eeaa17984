"""What a qualification rule asks, compiled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from kaireon_core.column import Mask
from kaireon_core.decisioning.history_needs import NOTHING, HistoryNeeds
from kaireon_core.decisioning.state import Asks, State
from kaireon_core.learning.learned import LearnerReference

# Where a rule fails: (B, 1) when it looks at the customer, (1, C) when it looks at the offer, else (B, C).
Failing: TypeAlias = Callable[[State], Mask]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Where a rule fails, and the columns, facts and services that it looks at, as in a `Stage`."""

    failing: Failing
    reads: Sequence[str] = ()
    candidate_reads: Sequence[str] = ()
    history: HistoryNeeds = NOTHING
    learned: Sequence[LearnerReference] = ()
    needs_evidence: bool = False
    asks: Asks | None = None
