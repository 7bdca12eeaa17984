"""When something that a caller tells of has happened."""

from __future__ import annotations

from kaireon_application.errors import InvalidInput
from kaireon_core.decisioning.calendar import DAY_MS, instant_ms

_MAX_AHEAD_MS = 5 * 60 * 1000


def happened_at_ms(timestamp: str | None, now_ms: int, retention_days: int, path: str = "$.timestamp") -> int:
    """Return the instant in ms, now where none is told. Raises `InvalidInput` for one that cannot be kept."""
    if timestamp is None:
        return now_ms
    at_ms = instant_ms(timestamp)
    if at_ms is None:
        raise InvalidInput.at(path, "must be an ISO 8601 instant such as 2026-01-31T12:00:00Z")
    if at_ms > now_ms + _MAX_AHEAD_MS:
        raise InvalidInput.at(path, "must not be more than 5 minutes in the future")
    if at_ms < now_ms - retention_days * DAY_MS:
        raise InvalidInput.at(path, f"must lie within the retention of {retention_days} days")
    return at_ms
