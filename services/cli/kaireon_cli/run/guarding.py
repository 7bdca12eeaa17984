"""The supervisor's side of the guard."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress

from kaireon_cli.run import guard


class Guarding:
    """A running guard; `close` only when everything watched has ended, or it will end that."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", guard.__name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )

    def watch(self, pid: int, stop_signal: int, force_signal: int) -> None:
        """Have this process group ended when we are killed."""
        self._send(f"{guard.WATCH} {pid} {int(stop_signal)} {int(force_signal)}")

    def forget(self, pid: int) -> None:
        """Leave this process group alone: it has ended."""
        self._send(f"{guard.FORGET} {pid}")

    def close(self) -> None:
        """Let the guard end."""
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
        self._process.wait()

    def _send(self, line: str) -> None:
        # Without its guard the stack still runs, and its processes still ask the kernel for their parent's end.
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.write(f"{line}\n")
                self._process.stdin.flush()
