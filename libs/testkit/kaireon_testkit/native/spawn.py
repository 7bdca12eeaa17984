"""How a child process is started so that it cannot outlive its parent."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_PR_SET_PDEATHSIG = 1


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An operating-system account that exists already."""

    uid: int
    gid: int
    name: str


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A program to run: what, as whom, and with which signal it ends cleanly."""

    argv: tuple[str, ...]
    environment: Mapping[str, str] = {}
    directory: str | None = None
    account: Account | None = None
    stop_signal: int = signal.SIGTERM

    def start(self, log: Path) -> subprocess.Popen[Any]:
        """Start it without input; what it writes goes to the end of a file."""
        with log.open("ab") as output:
            return subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **self.popen_options()
            )

    def popen_options(self) -> dict[str, Any]:
        """Return the keyword arguments for `subprocess.Popen` and `asyncio.create_subprocess_exec`.

        The child leads its own process group (the terminal's Ctrl-C reaches the parent only) and receives
        `stop_signal` when the parent's thread that starts it ends: start it from the main thread.
        """
        options: dict[str, Any] = {
            "env": dict(self.environment),
            "cwd": self.directory,
            "process_group": 0,
            "preexec_fn": end_with_parent(self.stop_signal),
        }
        if self.account is not None:
            options |= {"user": self.account.uid, "group": self.account.gid, "extra_groups": []}
        return options


def ask_for_signal_at_parents_end(stop_signal: int) -> None:
    """Ask the kernel to send us this signal when the thread that started us ends (Linux; nothing elsewhere)."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, stop_signal, 0, 0, 0)


def end_with_parent(stop_signal: int) -> Callable[[], None]:
    """Return a function for the child, after fork: ask the kernel for `stop_signal` when the parent dies."""
    # Only Linux has prctl; elsewhere the guard alone ends the children of a killed parent.
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    parent = os.getpid()

    def ask() -> None:
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, stop_signal, 0, 0, 0)
        if os.getppid() != parent:
            # The parent died between fork and prctl: nobody would ever tell.
            os.kill(os.getpid(), signal.SIGKILL)

    return ask
