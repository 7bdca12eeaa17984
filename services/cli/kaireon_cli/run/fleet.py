"""The processes of one run: started under the names of kaireon.json, ended in an order that answers who is waiting."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from kaireon_cli.run.guarding import Guarding
from kaireon_cli.run.process import SupervisedProcess
from kaireon_cli.run.screen import Screen
from kaireon_cli.run_file import RunningService
from kaireon_runtime.settings import EXIT_BAD_SETTINGS
from kaireon_testkit.native.spawn import Command

# First who takes on work, then who does it, at last what both stand on; each stage has its seconds, together below 30.
_STAGES: tuple[tuple[frozenset[str], float], ...] = (
    (frozenset({"api", "cron"}), 11.0),
    (frozenset({"worker", "mlWorker", "outboxPublisher"}), 7.0),
    (frozenset({"redis", "postgres"}), 5.0),
)


class Fleet:
    """The running processes by service; `on_change` is called after each restart."""

    def __init__(self, screen: Screen, on_change: Callable[[], None]) -> None:
        self._screen = screen
        self._on_change = on_change
        self._guarding = Guarding()
        self._processes: dict[str, SupervisedProcess] = {}
        self._urls: dict[str, str] = {}

    async def start(
        self, service: str, name: str, command: Command, *, url: str | None = None, force_signal: int = signal.SIGKILL
    ) -> None:
        """Start one process and keep it running."""
        process = SupervisedProcess(
            name,
            command,
            guarding=self._guarding,
            on_line=self._screen.line,
            on_change=self._on_change,
            force_signal=force_signal,
        )
        self._processes[service] = process
        if url is not None:
            self._urls[service] = url
        await process.start()

    def services(self) -> dict[str, RunningService]:
        """Return what runs now, as kaireon.json describes it."""
        return {service: self._describe(service, process) for service, process in self._processes.items()}

    def refusing_settings(self) -> str | None:
        """Return the name of a process that ended because of its settings: trying again cannot help it."""
        for process in self._processes.values():
            if process.last_exit_code == EXIT_BAD_SETTINGS:
                return process.name
        return None

    async def stop(self) -> None:
        """End every process, stage by stage, and the guard."""
        for services, grace_seconds in _STAGES:
            stage = [process for service, process in self._processes.items() if service in services]
            await asyncio.gather(*(process.stop(grace_seconds) for process in stage))
        self._guarding.close()

    def _describe(self, service: str, process: SupervisedProcess) -> RunningService:
        running = RunningService(pid=process.pid, restarts=process.restart_count)
        url = self._urls.get(service)
        return running if url is None else RunningService(pid=running.pid, restarts=running.restarts, url=url)
