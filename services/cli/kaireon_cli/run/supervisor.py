"""`kaireon run`: the stack started, described, kept running, and ended."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime

from kaireon_application.errors import KaireonError
from kaireon_cli.api_client import ApiUnreachable
from kaireon_cli.clone import Clone
from kaireon_cli.run.fleet import Fleet
from kaireon_cli.run.lock import AlreadyRunning, only_supervisor
from kaireon_cli.run.ports import PortTaken, require_ports
from kaireon_cli.run.private_servers import ServerSilent
from kaireon_cli.run.sample import SampleFailed
from kaireon_cli.run.screen import Screen
from kaireon_cli.run.start import Started, StartFailed
from kaireon_cli.run.tiers import api_address, ml_worker_address
from kaireon_cli.run_file import RunFile, write_run_file
from kaireon_cli.settings import RunSettings
from kaireon_testkit.native.home import UnusableHome
from kaireon_testkit.native.ports import NoFreePort

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# Everything that stops a start and has said why in its message.
_EXPECTED = (ApiUnreachable, KaireonError, NoFreePort, SampleFailed, ServerSilent, StartFailed, UnusableHome)


# Starts the processes of a stack, in order, and returns once it is ready; raises what `_EXPECTED` names.
Start = Callable[[Fleet, Screen], Awaitable[Started]]


def run(clone: Clone, settings: RunSettings, start: Start) -> int:
    """Run the stack of this clone until a signal ends it; return the exit code. What fails says so in one line."""
    try:
        with only_supervisor(clone.lock_file):
            clone.run_file.unlink(missing_ok=True)
            require_ports(settings)
            return asyncio.run(Supervisor(clone, settings, start).supervise())
    except (AlreadyRunning, PortTaken) as error:
        return _fail(error)


class Supervisor:
    """One run of the stack."""

    def __init__(self, clone: Clone, settings: RunSettings, start: Start) -> None:
        self._clone = clone
        self._settings = settings
        self._start = start
        self._started_at = datetime.now(UTC)
        self._screen = Screen()
        self._fleet = Fleet(self._screen, self._describe_again)
        self._started: Started | None = None

    async def supervise(self) -> int:
        """Start the stack, keep it running until a signal comes, end it; return the exit code."""
        stop = asyncio.Event()
        for number in _STOP_SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        try:
            return await self._run_until(stop)
        except _EXPECTED as error:
            self._screen.stop_progress()
            return _fail(error)
        finally:
            self._screen.stop_progress()
            self._started = None
            self._clone.run_file.unlink(missing_ok=True)
            await self._fleet.stop()
            self._screen.done("everything has ended")

    async def _run_until(self, stop: asyncio.Event) -> int:
        starting = asyncio.ensure_future(self._start(self._fleet, self._screen))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            with suppress(asyncio.CancelledError):
                await starting
            return 0
        try:
            self._announce(starting.result())
            await stopping
        finally:
            stopping.cancel()
        return 0

    def _announce(self, started: Started) -> None:
        self._screen.stop_progress()
        url = api_address(self._settings)
        self._screen.print(
            f"\nKaireon is ready: {url} (API reference: {url}/api/docs)\n"
            f"API key (admin, tenant demo): {started.tenant.api_keys['admin']}\n"
            f"Ask for a decision:\n\n{started.curl}\n"
        )
        self._started = started
        self._describe_again()

    def _describe_again(self) -> None:
        started = self._started
        if started is None:
            return
        content = RunFile(
            pid=os.getpid(),
            started_at=self._started_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            api_url=api_address(self._settings),
            ml_worker_url=ml_worker_address(self._settings),
            tenant_id=started.tenant.tenant_id,
            api_keys=started.tenant.api_keys,
            database_url=started.owner_url,
            redis_url=started.redis_url,
            event_stream=self._settings.event_stream,
            services=self._fleet.services(),
        )
        write_run_file(self._clone.run_file, content)


def _fail(error: Exception) -> int:
    line = " ".join(str(error).split())
    sys.stderr.write(f"kaireon: {line}\n")
    return getattr(error, "exit_code", 1)
