"""What the rules and policies of a flow ask about a customer's past, beyond contacts: only that is loaded."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class HistoryNeeds(msgspec.Struct, frozen=True, kw_only=True):
    """How far back outcomes must be known, in milliseconds (0 = not at all), and which metrics, by id."""

    outcome_window_ms: int = 0
    metrics: tuple[str, ...] = ()

    @staticmethod
    def union(needs: Iterable[HistoryNeeds]) -> HistoryNeeds:
        """Return what all of these need together."""
        asked = list(needs)
        return HistoryNeeds(
            outcome_window_ms=max((one.outcome_window_ms for one in asked), default=0),
            metrics=tuple(sorted({metric for one in asked for metric in one.metrics})),
        )


NOTHING = HistoryNeeds()
