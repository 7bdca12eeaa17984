"""A server that a test may kill, freeze and bring back."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from kaireon_testkit.native.spawn import Command
from kaireon_testkit.native.stack import ServerDidNotStart

_START_SECONDS = 60


class Restartable:
    """One command whose data and port outlive its process. Start it from the main thread."""

    def __init__(self, command: Command, port: int, log: Path) -> None:
        self._command = command
        self._port = port
        self._log = log
        self._process: subprocess.Popen[Any] | None = None

    def start(self) -> None:
        """Start it and wait until its port is open. Raises `ServerDidNotStart` with the end of its log."""
        process = self._process = self._command.start(self._log)
        deadline = time.monotonic() + _START_SECONDS
        while not is_listening(self._port):
            if process.poll() is not None or time.monotonic() > deadline:
                text = self._log.read_text(errors="replace")
                raise ServerDidNotStart(f"{self._command.argv[0]}: {text[-2000:]}")
            time.sleep(0.02)

    def kill(self) -> None:
        """End it at once, as a loss of power would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Stop it in its tracks: connections stay open and nobody answers."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)


def is_listening(port: int) -> bool:
    """Return whether somebody accepts connections on this port of the loopback interface."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
