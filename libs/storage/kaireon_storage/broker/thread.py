"""A thread of its own that talks to the broker, so that no event loop ever waits for a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

from kombu.connection import Connection
from kombu.exceptions import OperationalError

from kaireon_storage.broker.address import BrokerAddress
from kaireon_storage.broker.transport import transport_of

_TIMEOUT_SECONDS = 1.0
_PENDING_COUNT = 64

Answer = TypeVar("Answer")


class BrokerThread:
    """One connection, opened by the first call.

    A broker that does not answer within a second counts as unreachable; so does one with too many calls waiting.
    """

    def __init__(self, address: BrokerAddress) -> None:
        """Describe the broker; nothing is opened before the first call."""
        self._address = address
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="broker")
        self._pending_count = 0
        self._connection: Connection | None = None

    async def call(self, call: Callable[[Any], Answer]) -> Answer | None:
        """Return what a call on the connection returns, or None when the broker cannot be reached."""
        if self._pending_count >= _PENDING_COUNT:
            return None
        self._pending_count += 1
        future = self._thread.submit(self._connected, call)
        future.add_done_callback(self._release)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), _TIMEOUT_SECONDS)
        except TimeoutError:
            return None

    async def close(self) -> None:
        """Close the connection; a call in flight is not waited for."""
        self._thread.submit(self._disconnect)
        self._thread.shutdown(wait=False)

    def _release(self, _: object) -> None:
        self._pending_count -= 1

    def _connected(self, call: Callable[[Any], Answer]) -> Answer | None:
        if self._connection is None:
            self._connection = Connection(
                self._address.url,
                transport=transport_of(self._address.url),
                ssl=cast("Any", self._address.ssl or False),
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
