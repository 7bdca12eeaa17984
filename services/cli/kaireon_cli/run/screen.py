"""What the supervisor's user sees: progress, then every process's log, one prefixed line each."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from rich.console import Console
from rich.text import Text

_COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "bright_cyan", "bright_magenta")
_OWN_NAME = "kaireon"
_NAME_WIDTH = 16


class _LastingConsole(Console):
    """Goes on in silence when its reader has gone away; rich's own ends the program."""

    def on_broken_pipe(self) -> None:
        """Write to nowhere from now on, also what Python flushes at its end."""
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


class Screen:
    """A terminal, or plain lines where the output is none. A reader that went away does not stop the stack."""

    def __init__(self) -> None:
        self._console = _LastingConsole(highlight=False, soft_wrap=True, emoji=False, markup=False)
        self._status = self._console.status("") if self._console.is_terminal else None
        self._colours: dict[str, str] = {}
        self._last_step = ""

    def step(self, text: str) -> None:
        """Say what is being done now; the same text again says nothing new."""
        if text == self._last_step:
            return
        self._last_step = text
        if self._status is None:
            self.line(_OWN_NAME, text)
            return
        with suppress(OSError):
            self._status.update(Text(text))
            self._status.start()

    def done(self, text: str) -> None:
        """Say what has been done."""
        self.line(_OWN_NAME, text)

    def stop_progress(self) -> None:
        """Leave the terminal to the log lines."""
        self._last_step = ""
        if self._status is not None:
            with suppress(OSError):
                self._status.stop()

    def line(self, name: str, text: str) -> None:
        """Print one line of one process."""
        colour = self._colours.setdefault(name, _COLOURS[len(self._colours) % len(_COLOURS)])
        with suppress(OSError):
            self._console.print(Text.assemble((f"{name:<{_NAME_WIDTH}} | ", colour), Text.from_ansi(text)))
            sys.stdout.flush()

    def print(self, text: str) -> None:
        """Print text as it is, to be copied."""
        with suppress(OSError):
            self._console.print(Text(text))
            sys.stdout.flush()
