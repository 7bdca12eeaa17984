"""A settled process: what was there is left alone, what comes later is still collected."""

from __future__ import annotations

import subprocess
import sys

_SCRIPT = """
import gc, weakref
from kaireon_runtime.memory import settle

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
"""


def test_what_comes_after_settling_is_still_collected() -> None:
    subprocess.run([sys.executable, "-c", _SCRIPT], check=True, timeout=60)
