"""Sends the messages that say "look at this job", in the form that Celery's workers read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from kombu.connection import Connection
from kombu.exceptions import OperationalError
from kombu.messaging import Producer

from kaireon_application.platform.jobs import JobSummons
from kaireon_storage.broker.address import BrokerAddress

# The one Celery task: a message names a job and nothing else.
TASK_NAME = "kaireon.look"

_TIMEOUT_SECONDS = 1.0
_PENDING_COUNT = 64

Answer = TypeVar("Answer")


class BrokerAnnouncer:
    """Implements `JobAnnouncer`: a thread of its own talks to the broker, so no event loop ever waits for a socket.

    A broker that does not answer within a second counts as unreachable; so does one with too many calls waiting.
    """

    def __init__(self, address: BrokerAddress) -> None:
        """Describe the broker; nothing is opened before the first message."""
        self._address = address
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="job-announcer")
        self._pending_count = 0
        self._connection: Connection | None = None

    async def announce(self, summons: JobSummons) -> bool:
        """Send one message; False when the broker cannot be reached."""
        return await self._call(lambda connection: _send(connection, summons)) is not None

    async def backlog_count(self, queue: str) -> int | None:
        """Return how many messages wait in a queue, or None when the broker cannot be reached."""
        return await self._call(lambda connection: int(connection.default_channel.client.llen(queue)))

    async def close(self) -> None:
        """Close the connection; a call in flight is not waited for."""
        self._thread.submit(self._disconnect)
        self._thread.shutdown(wait=False)

    async def _call(self, call: Callable[[Any], Answer]) -> Answer | None:
        if self._pending_count >= _PENDING_COUNT:
            return None
        self._pending_count += 1
        future = self._thread.submit(self._connected, call)
        future.add_done_callback(self._release)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), _TIMEOUT_SECONDS)
        except TimeoutError:
            return None

    def _release(self, _: object) -> None:
        self._pending_count -= 1

    def _connected(self, call: Callable[[Any], Answer]) -> Answer | None:
        if self._connection is None:
            self._connection = Connection(
                self._address.url,
                transport_options={
                    **self._address.options,
                    "socket_connect_timeout": _TIMEOUT_SECONDS,
                    "socket_timeout": _TIMEOUT_SECONDS,
                },
            )
        connection = self._connection
        try:
            return call(connection)
        except (*connection.connection_errors, *connection.channel_errors, OperationalError):
            self._disconnect()
            return None

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.collect(socket_timeout=_TIMEOUT_SECONDS)


def _send(connection: Any, summons: JobSummons) -> bool:
    message_id = str(summons.job_id)
    arguments = {"tenantId": str(summons.tenant_id), "jobId": message_id}
    Producer(connection.default_channel).publish(
        ([], arguments, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}),
        exchange="",
        routing_key=summons.queue,
        serializer="json",
        correlation_id=message_id,
        reply_to="",
        headers=_headers(message_id, arguments),
    )
    return True


def _headers(message_id: str, arguments: dict[str, str]) -> dict[str, Any]:
    """Return the headers of Celery's message protocol, version 2 (docs.celeryq.dev, internals/protocol)."""
    return {
        "lang": "py",
        "task": TASK_NAME,
        "id": message_id,
        "root_id": message_id,
        "parent_id": None,
        "group": None,
        "shadow": None,
        "eta": None,
        "expires": None,
        "retries": 0,
        "timelimit": [None, None],
        "argsrepr": "()",
        "kwargsrepr": repr(arguments),
        "origin": "kaireon",
        "ignore_result": True,
    }
