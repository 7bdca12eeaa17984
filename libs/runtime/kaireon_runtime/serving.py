"""How a process that serves is set up, once everything that it needs is loaded."""

from __future__ import annotations

import gc

from threadpoolctl import threadpool_limits

# Decisions leave hardly any cycles behind; the default of 700 new objects would look for them at every other one, and
# take two fifths of the time of a batch run.
_NEW_OBJECTS = 10_000


def settle() -> None:
    """Keep the garbage collector and the numerics out of the way of requests.

    Matrix products use one thread: they are too small to share, and the threads of others would wait for a core.
    """
    collect_rarely()
    threadpool_limits(limits=1, user_api="blas")


def collect_rarely() -> None:
    """Have the garbage collector no longer look at what exists now, and run less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])
