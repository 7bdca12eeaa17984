"""Timing several ways of doing something in turn, so that a machine that slows down slows all of them."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager

Work = Callable[[], object]


def race(works: Mapping[str, Work], *, rounds: int, seconds: float) -> dict[str, float]:
    """Return the seconds that one call of each takes, at its best round.

    A round times every work for about `seconds`, one after the other. What else runs on the machine only ever slows a
    round down, so the best one has the least of it. The garbage collector rests meanwhile, as it does under timeit.
    """
    with _collector_resting():
        repeats = {name: max(1, round(seconds / max(_seconds(work, 1), 1e-9))) for name, work in works.items()}
        best = dict.fromkeys(works, float("inf"))
        for _ in range(rounds):
            for name, work in works.items():
                # The other works have left the caches as they needed them: a few calls are not counted.
                _seconds(work, max(1, repeats[name] // 4))
                best[name] = min(best[name], _seconds(work, repeats[name]))
    return best


def _seconds(work: Work, repeats: int) -> float:
    started = time.perf_counter()
    for _ in range(repeats):
        work()
    return (time.perf_counter() - started) / repeats


@contextmanager
def _collector_resting() -> Generator[None]:
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
