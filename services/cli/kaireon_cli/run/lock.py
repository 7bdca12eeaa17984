"""One supervisor per clone: a lock that the kernel frees with its holder, however that ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


class AlreadyRunning(Exception):
    """Another supervisor holds this clone; `pid` is its process."""

    def __init__(self, pid: str) -> None:
        super().__init__(f"already running in this clone (process {pid or 'unknown'}); stop it first")


@contextmanager
def only_supervisor(path: Path) -> Generator[None]:
    """Hold the lock of the clone; the file stays, a lock without a holder does not. Raises `AlreadyRunning`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not inheritable, so that no child can keep the lock of a killed supervisor.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(file.read().strip()) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
