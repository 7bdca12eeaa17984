"""Errors that carry every problem found, each with its path."""

from __future__ import annotations

from collections.abc import Iterable

from kaireon_application.errors import KaireonError
from kaireon_core.problems import Problem


def refuse(error: type[KaireonError], problems: Iterable[Problem]) -> None:
    """Raise `error` with these problems; return when there are none."""
    found = tuple(problems)
    if found:
        raise error.of(found)
