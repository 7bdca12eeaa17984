"""Importing a package without the optional ones that it would load because they are there."""

from __future__ import annotations

import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType


class _Hidden:
    """A finder that finds nothing of some packages, for one thread: others import them meanwhile."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = frozenset(names)
        self._thread_id = threading.get_ident()

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> None:
        """Raise `ModuleNotFoundError` for a hidden package; leave everything else to the finders that follow."""
        del path, target
        if name.partition(".")[0] in self._names and threading.get_ident() == self._thread_id:
            message = f"{name} is not for whoever imports here"
            raise ModuleNotFoundError(message, name=name)


@contextmanager
def without(*packages: str) -> Generator[None]:
    """What this thread imports in the block does without these packages, unless they are loaded already."""
    hidden = _Hidden(packages)
    sys.meta_path.insert(0, hidden)
    try:
        yield
    finally:
        sys.meta_path.remove(hidden)
