"""Instants and days as the wire writes them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time


def parse_instant(text: str) -> datetime | None:
    """Return the instant that ISO 8601 text names, or None: a date is midnight UTC, no zone is UTC."""
    try:
        if len(text) == len("2026-01-31"):
            return datetime.combine(date.fromisoformat(text), time(), UTC)
        instant = datetime.fromisoformat(text)
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
