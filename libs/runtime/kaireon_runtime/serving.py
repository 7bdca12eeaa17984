"""How a process that serves is set up, once everything that it needs is loaded."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import suppress

import msgspec
from threadpoolctl import threadpool_limits

# Decisions leave hardly any cycles behind; the default of 700 new objects would look for them at every other one, and
# take two fifths of the time of a batch run.
_NEW_OBJECTS = 10_000


def settle() -> None:
    """Keep the garbage collector and the numerics out of the way of requests, and threads out of each other's.

    Matrix products use one thread: they are too small to share, and the threads of others would wait for a core.
    """
    resolve_structs()
    collect_rarely()
    threadpool_limits(limits=1, user_api="blas")


def resolve_structs() -> None:
    """Have msgspec read the annotations of every struct that is imported by now; call it before there are threads.

    It reads them when a struct is decoded for the first time, and two threads that do so at once end the process with
    SIGSEGV (msgspec 0.22).
    """
    for struct in _heirs(msgspec.Struct):
        # Some are never decoded, and could not be: their unions have no tags, their types are known to checkers only.
        with suppress(TypeError, NameError):
            msgspec.json.Decoder(struct)


def _heirs(parent: type) -> Iterator[type]:
    for heir in parent.__subclasses__():
        yield heir
        yield from _heirs(heir)


def collect_rarely() -> None:
    """Have the garbage collector no longer look at what exists now, and run less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])
