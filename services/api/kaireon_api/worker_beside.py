"""WORKER_INPROCESS=1: the worker as a child of the first API process, so that no job holds up an event loop.

It lives as long as the API, also when that is killed, and is started again when it ends.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from kaireon_application.platform.jobs import JobSummons
from kaireon_runtime.logs import logger

_MODULE = "kaireon_worker"
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0
# One that lived so long was well: the next pause is short again.
_WELL_SECONDS = 60.0
# The worker itself is gone 18 s after SIGTERM.
_STOP_SECONDS = 20.0
# Requests come first where the two share a core.
_NICENESS = 10


def is_worker_installed() -> bool:
    """Return whether the worker can be started in this environment."""
    return find_spec(_MODULE) is not None


def worker_command(*arguments: str) -> tuple[str, ...]:
    """Return the command of a worker process."""
    return (sys.executable, "-m", _MODULE, *arguments)


def worker_environment(**more: str) -> dict[str, str]:
    """Return the environment of a child of this process: this one's, and that it is a child."""
    own = {**os.environ, "KAIREON_PARENT_PID": str(os.getpid())}  # noqa: TID251  what the worker inherits
    # Metrics of several API processes are no place for those of a worker.
    own.pop("PROMETHEUS_MULTIPROC_DIR", None)
    return {**own, **more}


def step_back(pid: int) -> None:
    """Let a process that was just started have the processor only when nobody else wants it."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, _NICENESS)


class WorkerBeside:
    """Keeps one worker running, from a thread of its own."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._log = logger("kaireon.api")
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        # The kernel's death signal comes when the thread that started a process ends: this one lives as long.
        self._thread = threading.Thread(target=self._keep, name="worker-beside", daemon=True)

    def start(self) -> None:
        """Start the thread, and with it the worker."""
        self._thread.start()

    def begin_to_stop(self) -> None:
        """Tell the worker to hand back what it runs; returns at once."""
        self._stopping.set()
        with self._lock:
            if self._process is not None:
                self._process.terminate()

    def wait(self) -> None:
        """Wait until the worker has ended, and see to it that it does."""
        self._thread.join(_STOP_SECONDS)
        with self._lock:
            if self._process is not None:
                self._process.kill()
        self._thread.join()

    def _keep(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            started = time.monotonic()
            code = self._run()
            if self._stopping.is_set():
                return
            pause = _FIRST_PAUSE_SECONDS if time.monotonic() - started > _WELL_SECONDS else pause
            self._log.warning("The worker beside this API ended; it is started again", exitCode=code, seconds=pause)
            self._stopping.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _run(self) -> int:
        with self._lock:
            if self._stopping.is_set():
                return 0
            process = subprocess.Popen(worker_command("beside"), env=self._environment)
            self._process = process
        step_back(process.pid)
        code = process.wait()
        with self._lock:
            self._process = None
        return code


@contextmanager
def worker_beside() -> Generator[tuple[WorkerBeside, Path]]:
    """Keep a worker running; give it, and the socket at which it wants to hear of jobs."""
    with TemporaryDirectory(prefix="kaireon-worker-") as directory:
        path = Path(directory) / "poke"
        worker = WorkerBeside(worker_environment(WORKER_POKE_SOCKET=str(path)))
        worker.start()
        try:
            yield worker, path
        finally:
            worker.begin_to_stop()
            worker.wait()


class PokingAnnouncer:
    """Implements `JobAnnouncer` for the worker beside this API: it looks at once, without a broker."""

    def __init__(self, path: Path) -> None:
        """Poke at this socket."""
        self._path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)  # noqa: FBT003 - its own signature

    async def announce(self, summons: JobSummons) -> bool:
        """Poke; False while no worker listens. One that has pokes waiting looks anyway."""
        del summons
        try:
            self._socket.sendto(b".", self._path)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return True

    async def backlog_count(self, queue: str) -> int | None:
        """Return None: jobs wait in their book only."""
        del queue
        return None

    async def close(self) -> None:
        """Close the socket."""
        self._socket.close()
