"""What the rules and policies of a flow ask about customers beyond rows and contacts: only that is loaded."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class HistoryNeeds(msgspec.Struct, frozen=True, kw_only=True):
    """How far back outcomes must be known, in milliseconds (0 = not at all), which metrics, by id, and which segments.

    `segments` are tags: ids, keys or names of stored segments, or what only requests and customers know.
    """

    outcome_window_ms: int = 0
    metrics: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()

    @staticmethod
    def union(needs: Iterable[HistoryNeeds]) -> HistoryNeeds:
        """Return what all of these need together."""
        asked = list(needs)
        return HistoryNeeds(
            outcome_window_ms=max((one.outcome_window_ms for one in asked), default=0),
            metrics=tuple(sorted({metric for one in asked for metric in one.metrics})),
            segments=tuple(sorted({segment for one in asked for segment in one.segments})),
        )


NOTHING = HistoryNeeds()
