"""One process of the platform, to be killed and started again."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from kaireon_testkit.native.spawn import Command

DEADLINE_SECONDS = 180
_STOP_SECONDS = 20


class Member:
    """A command whose data and address outlive its process. Start it from the main thread."""

    def __init__(self, command: Command, is_answering: Callable[[], bool], log: Path) -> None:
        self._command = command
        self._is_answering = is_answering
        self._log = log
        self._process: subprocess.Popen[Any] | None = None

    def start(self) -> None:
        """Start it, and wait for nothing."""
        self._process = self._command.start(self._log)

    async def until_answering(self) -> None:
        """Wait until it serves."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not await asyncio.to_thread(self._is_answering):
            assert self._process is not None
            ended = self._process.poll()
            assert ended is None, f"it ended with {ended}: {self.log()[-4000:]}"
            assert time.monotonic() < deadline, f"it does not answer: {self.log()[-4000:]}"
            await asyncio.sleep(0.05)

    def kill(self) -> None:
        """End it and whatever it has started at once, as a loss of power would."""
        if self._process is None or self._process.poll() is not None:
            self._process = None
            return
        family = [psutil.Process(self._process.pid)]
        family += family[0].children(recursive=True)
        # Itself first: a Postgres that sees a child die would still act on it.
        for one in family:
            if one.is_running():
                one.kill()
        self._process.wait()
        self._process = None
        deadline = time.monotonic() + DEADLINE_SECONDS
        while any(map(_is_alive, family)):
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def stop(self) -> None:
        """End it as it is meant to end; a killed Postgres would leave its shared memory behind."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(self._command.stop_signal)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_SECONDS)
        self.kill()

    def log(self) -> str:
        """Return what it has written on its outputs."""
        return self._log.read_text(errors="replace")


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
