"""How processes end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kaireon_runtime.lifecycle import stop_on_signal
from kaireon_testkit.patience import PATIENCE_SECONDS

STUBBORN = """
import os, signal, sys, time
from kaireon_runtime.lifecycle import end_with_parent
signal.signal(signal.SIGTERM, signal.SIG_IGN if sys.argv[2] == "stubborn" else signal.SIG_DFL)
end_with_parent(int(sys.argv[1]) if sys.argv[1] != "none" else os.getppid())
print(os.getpid(), flush=True)
time.sleep(600)
"""
SUPERVISOR = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1], "none", sys.argv[2]])
child.wait()
"""


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until_gone(pid: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while is_running(pid):
        assert time.monotonic() < deadline, "it outlives its supervisor"
        time.sleep(0.05)


@pytest.mark.parametrize("manner", ["heeding", "stubborn"])
def test_a_child_does_not_outlive_its_killed_supervisor(manner: str) -> None:
    with subprocess.Popen((sys.executable, "-c", SUPERVISOR, STUBBORN, manner), stdout=subprocess.PIPE) as supervisor:
        assert supervisor.stdout is not None
        child = int(supervisor.stdout.readline())
        supervisor.kill()
        until_gone(child)


def test_a_child_of_somebody_who_is_gone_already_ends() -> None:
    with subprocess.Popen((sys.executable, "-c", "")) as gone:
        gone.wait()
    with subprocess.Popen((sys.executable, "-c", STUBBORN, str(gone.pid), "heeding"), stdout=subprocess.PIPE) as child:
        until_gone(child.pid)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_sets_the_event(number: signal.Signals) -> None:
    with stop_on_signal() as stop:
        os.kill(os.getpid(), number)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await stop.wait()
