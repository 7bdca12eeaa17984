"""When a process that died is started again."""

from __future__ import annotations

_LONGEST_SECONDS = 10.0
# Who has served this long has recovered: its next death is a first one again.
STABLE_SECONDS = 10.0


def restart_delay(deaths_in_a_row: int) -> float:
    """Return how many seconds to wait before a start: 0 after the first death, then 1, 2, 4, ... at most 10."""
    if deaths_in_a_row <= 1:
        return 0.0
    # Bounded before it is raised: a process may die a million times.
    return min(2.0 ** min(deaths_in_a_row - 2, 8), _LONGEST_SECONDS)


def deaths_in_a_row(before: int, lived_seconds: float) -> int:
    """Return the count after another death."""
    return 1 if lived_seconds >= STABLE_SECONDS else before + 1
