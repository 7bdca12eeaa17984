"""Lists as people write them: with commas between."""

from __future__ import annotations


def listed(text: str) -> tuple[str, ...]:
    """Return the parts of a comma-separated list, without blanks around them; empty ones are left out."""
    return tuple(part.strip() for part in text.split(",") if part.strip())
