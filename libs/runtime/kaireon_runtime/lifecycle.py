"""How a process ends: on a signal, or with the supervisor that started it."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

# How long an HTTP server keeps an idle connection: longer than clients and balancers do (the clouds' up to 600 s), so
# that it is they who close it. A server that closes first may do so while the next request is on its way, and cuts it.
KEEP_ALIVE_SECONDS = 620
# How long one that is asked to end goes on answering what it has begun; supervisors and Kubernetes give 30 s in all.
DRAIN_SECONDS = 20

_PR_SET_PDEATHSIG = 1
_POLL_SECONDS = 0.5
# With the poll this keeps a process from outliving its supervisor by five seconds, whatever it is doing.
_GRACE_SECONDS = 3.0


@contextmanager
def stop_on_signal() -> Generator[asyncio.Event]:
    """Give an event that SIGTERM and SIGINT set, inside a running loop."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


def end_with_parent(parent_pid: int | None) -> None:
    """End this process soon after `parent_pid` (KAIREON_PARENT_PID) has ended: by SIGTERM, then at once.

    None: live alone.

    The kernel's own death signal comes first (Linux); the thread covers a parent that was gone before it was set,
    one that is not the direct parent, and a process that does not heed SIGTERM in time.
    """
    if parent_pid is None:
        return
    if sys.platform == "linux" and os.getppid() == parent_pid:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    threading.Thread(target=_watch, args=(parent_pid,), name="end-with-parent", daemon=True).start()


def _watch(parent_pid: int) -> None:
    is_direct_parent = os.getppid() == parent_pid
    while _is_alive(parent_pid, is_direct_parent=is_direct_parent):
        time.sleep(_POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_SECONDS)
    os._exit(1)


def _is_alive(pid: int, *, is_direct_parent: bool) -> bool:
    if is_direct_parent:
        return os.getppid() == pid
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
