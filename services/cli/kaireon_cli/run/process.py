"""One process of the stack: started, logged, started again when it dies, ended."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from kaireon_cli.run.guarding import Guarding
from kaireon_cli.run.log_pipe import LogPipe
from kaireon_cli.run.restart_policy import deaths_in_a_row, restart_delay
from kaireon_testkit.native.spawn import Command


class SupervisedProcess:
    """A process that is kept running until `stop`; `on_change` is called whenever its pid has changed."""

    def __init__(
        self,
        name: str,
        command: Command,
        *,
        guarding: Guarding,
        on_line: Callable[[str, str], None],
        on_change: Callable[[], None],
        force_signal: int = signal.SIGKILL,
    ) -> None:
        self.name = name
        self.pid = 0
        self.restart_count = 0
        self.last_exit_code: int | None = None
        self._command = command
        self._guarding = guarding
        self._on_line = on_line
        self._on_change = on_change
        self._force_signal = force_signal
        self._is_stopping = False
        self._stop_asked = asyncio.Event()
        self._started_at = 0.0
        self._process: asyncio.subprocess.Process | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._forwarding: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Start the process, and keep it running from now on."""
        process = await self._spawn()
        self._keeping = asyncio.create_task(self._keep_running(process), name=f"keep {self.name} running")

    async def stop(self, grace_seconds: float) -> None:
        """End the process: its stop signal, and force after the grace; return when its whole group is gone."""
        self._is_stopping = True
        self._stop_asked.set()
        if self._keeping is None:
            return
        self._signal(self._command.stop_signal)
        _, pending = await asyncio.wait({self._keeping}, timeout=grace_seconds)
        if pending:
            self._on_line(self.name, f"did not end within {grace_seconds:g} s; forced")
            self._signal(self._force_signal)
            _, pending = await asyncio.wait({self._keeping}, timeout=1)
        if pending:
            self._kill_group(self.pid)
            await asyncio.wait({self._keeping})
        if self._forwarding:
            await asyncio.wait(self._forwarding, timeout=1)

    async def _keep_running(self, process: asyncio.subprocess.Process) -> None:
        deaths = 0
        while True:
            code = await process.wait()
            self._bury(process.pid)
            if self._is_stopping:
                return
            self.last_exit_code = code
            deaths = deaths_in_a_row(deaths, time.monotonic() - self._started_at)
            delay = restart_delay(deaths)
            self._on_line(self.name, f"ended ({_describe(code)}); starting it again in {delay:g} s")
            if await self._is_stopped_within(delay):
                return
            try:
                process = await self._spawn()
            except OSError as error:
                # Out of memory or processes, perhaps for a moment.
                self._on_line(self.name, f"cannot be started: {error}")
                continue
            self.restart_count += 1
            self._on_change()
            if self._is_stopping:
                self._signal(self._command.stop_signal)

    async def _is_stopped_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop_asked.wait(), seconds)
        return self._is_stopping

    async def _spawn(self) -> asyncio.subprocess.Process:
        pipe = LogPipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=pipe.write_end,
                stderr=pipe.write_end,
                **self._command.popen_options(),
            )
        finally:
            pipe.close_write_end()
        self._guarding.watch(process.pid, self._command.stop_signal, self._force_signal)
        self.pid, self._process, self._started_at = process.pid, process, time.monotonic()
        self._in_background(pipe.forward(self._log))
        return process

    def _log(self, line: str) -> None:
        if line.strip():
            self._on_line(self.name, line)

    def _in_background(self, forwarding: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(forwarding, name=f"log of {self.name}")
        self._forwarding.add(task)
        task.add_done_callback(self._forwarding.discard)

    def _bury(self, pid: int) -> None:
        # Its children must not live on: they would hold ports, jobs and locks.
        self._kill_group(pid)
        self._guarding.forget(pid)

    def _signal(self, number: int) -> None:
        # Through the process: it knows when its pid is no longer its own.
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    def _kill_group(self, pid: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


def _describe(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
