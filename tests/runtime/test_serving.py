"""A settled process: what was there is left alone, what comes later is collected, and numerics have one thread."""

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
