"""A settled process: what was there is left alone, what comes later is collected, our threads share."""

from __future__ import annotations

import subprocess
import sys

_SCRIPT = """
import gc, weakref
import numpy as np
from threadpoolctl import threadpool_info
from kaireon_runtime.serving import settle

class Node:
    pass

def cycle():
    node = Node()
    node.itself = node
    return weakref.ref(node)

settle()
assert gc.get_freeze_count() > 1000 and gc.isenabled()
later = cycle()
gc.collect()
assert later() is None
assert [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"] == [1]
"""


def test_a_settled_process_collects_what_comes_later_and_has_one_numeric_thread() -> None:
    subprocess.run([sys.executable, "-c", _SCRIPT], check=True, timeout=60)


# Without the resolving this ends with SIGSEGV.
_THREADS = """
import gc, sys, threading
import msgspec
from kaireon_runtime.serving import resolve_structs

def tree(depth):
    field = list[tree(depth - 1)] if depth else int
    return msgspec.defstruct(f"Tree{depth}", [("one", field | None, None), ("other", dict[str, field] | None, None)])

roots = [tree(6) for _ in range(100)]
resolve_structs()
gc.set_threshold(10, 2, 2)
sys.setswitchinterval(1e-6)
together = threading.Barrier(4)

def decode():
    for root in roots:
        together.wait()
        msgspec.convert({"one": [], "other": {}}, root)

threads = [threading.Thread(target=decode) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_threads_may_decode_a_struct_for_the_first_time_at_once() -> None:
    subprocess.run([sys.executable, "-c", _THREADS], check=True, timeout=60)
