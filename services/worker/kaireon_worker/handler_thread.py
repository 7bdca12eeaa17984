"""A thread and an event loop of its own for every handler: no handler can hold up the heartbeats of another."""

from __future__ import annotations

import asyncio
import threading
from contextvars import copy_context
from functools import partial
from typing import Any
from uuid import UUID

from kaireon_application.platform.job import Job, JobHandler, JobRun


class _RunFromAfar:
    """The run, as a handler in another event loop sees it."""

    def __init__(self, run: JobRun, home: asyncio.AbstractEventLoop) -> None:
        self._run = run
        self._home = home

    @property
    def job(self) -> Job:
        return self._run.job

    @property
    def lease_token(self) -> UUID:
        return self._run.lease_token

    async def report(self, processed: int, total: int | None) -> None:
        reported = asyncio.run_coroutine_threadsafe(self._run.report(processed, total), self._home)
        await asyncio.wrap_future(reported)


class _HandlerThread:
    """One call of one handler."""

    def __init__(self, handler: JobHandler, run: JobRun) -> None:
        self._home = asyncio.get_running_loop()
        self._call = handler
        self._run = _RunFromAfar(run, self._home)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._is_cancelled = False
        self._lock = threading.Lock()
        self.ended: asyncio.Future[dict[str, Any]] = self._home.create_future()
        # A daemon: a handler that never ends must not keep a process alive that was told to stop.
        main = partial(copy_context().run, self._main)
        threading.Thread(target=main, name=f"job-{run.job.id}", daemon=True).start()

    def cancel(self) -> None:
        with self._lock:
            self._is_cancelled = True
            if self._loop is not None and self._task is not None:
                self._loop.call_soon_threadsafe(self._task.cancel)

    def _main(self) -> None:
        result: dict[str, Any] | None = None
        failure: BaseException | None = None
        try:
            with asyncio.Runner() as runner:
                result = runner.run(self._work())
        except asyncio.CancelledError as error:
            failure = error
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits; a thread has nobody else to tell
            failure = error
        try:
            self._home.call_soon_threadsafe(self._end, result, failure)
        except RuntimeError:
            # The process is ending and nobody waits any more.
            return

    async def _work(self) -> dict[str, Any]:
        with self._lock:
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
            if self._is_cancelled:
                raise asyncio.CancelledError
        try:
            return await self._call(self._run)
        finally:
            with self._lock:
                self._loop = None

    def _end(self, result: dict[str, Any] | None, failure: BaseException | None) -> None:
        if self.ended.done():
            return
        if isinstance(failure, asyncio.CancelledError):
            self.ended.cancel()
        elif isinstance(failure, Exception):
            self.ended.set_exception(failure)
        elif failure is not None:
            self.ended.set_exception(RuntimeError(f"the handler ended with {failure!r}"))
        else:
            self.ended.set_result(result or {})


async def execute_apart(handler: JobHandler, run: JobRun) -> dict[str, Any]:
    """Run a handler in a thread of its own; cancelling this cancels the handler and waits until it has ended."""
    thread = _HandlerThread(handler, run)
    try:
        return await asyncio.shield(thread.ended)
    except asyncio.CancelledError:
        thread.cancel()
        await asyncio.wait({thread.ended})
        if not thread.ended.cancelled() and thread.ended.exception() is None:
            # It was through when the cancelling came: its result stands.
            return thread.ended.result()
        raise
