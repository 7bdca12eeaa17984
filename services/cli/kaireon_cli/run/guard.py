"""A small process that ends what a killed supervisor leaves behind.

The supervisor holds the other end of our standard input, so the kernel tells us of its end at once. The children have
asked the kernel for a signal as well; this adds the children's children, and force for those that do not heed it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress

import psutil

# Together below the five seconds after which nothing may be left.
_HEED_SECONDS = 2.5
_FORCE_SECONDS = 1.0
_POLL_SECONDS = 0.05

WATCH, FORGET = "watch", "forget"


class Watched:
    """A process group, told apart from a later one with the same number by its leader's start."""

    def __init__(self, pid: int, stop_signal: int, force_signal: int) -> None:
        self.pid = pid
        self.stop_signal = stop_signal
        self.force_signal = force_signal
        self._created_at = _created_at(pid)

    def is_gone(self) -> bool:
        """Return whether no process of the group is left."""
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return _created_at(self.pid) not in (None, self._created_at)

    def send(self, number: int) -> None:
        """Signal every process of the group that is left."""
        if not self.is_gone():
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)


def _created_at(pid: int) -> float | None:
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def _wait_until_gone(watched: list[Watched], seconds: float) -> list[Watched]:
    deadline = time.monotonic() + seconds
    left = watched
    while left and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        left = [one for one in left if not one.is_gone()]
    return left


def end_all(watched: list[Watched]) -> None:
    """End every group: its own stop signal, then its own forceful one, then SIGKILL."""
    for one in watched:
        one.send(one.stop_signal)
    left = _wait_until_gone(watched, _HEED_SECONDS)
    for one in left:
        one.send(one.force_signal)
    for one in _wait_until_gone(left, _FORCE_SECONDS):
        one.send(signal.SIGKILL)


def main() -> None:
    """Read `watch <pid> <stop signal> <force signal>` and `forget <pid>` lines; at their end, end what is left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Who ends the whole tree by name must not leave it without its guard.
        signal.signal(number, signal.SIG_IGN)
    watched: dict[int, Watched] = {}
    for line in sys.stdin:
        verb, *numbers = line.split()
        pid, *signals = (int(number) for number in numbers)
        if verb == WATCH:
            watched[pid] = Watched(pid, *signals)
        elif verb == FORGET:
            watched.pop(pid, None)
    end_all(list(watched.values()))


if __name__ == "__main__":
    main()
