"""Redis as Celery's broker, except that what is in a queue and is no message about a job reaches the dead letters."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, ClassVar, cast

from kombu.transport.redis import Transport

from kaireon_storage.broker.transport import (
    BrokerChannel,
    BrokerTransport,
    SentinelBrokerChannel,
    SentinelBrokerTransport,
)
from kaireon_storage.postgres.jobs import PoisonMessage
from kaireon_worker.poison import find_poison, garbage

# Keeps poison; returns at once.
PoisonKeeper = Callable[[PoisonMessage], object]


class _Channel(BrokerChannel):
    def _brpop_read(self, **options: Any) -> Any:
        return _read(super()._brpop_read, self, options)


class _SentinelChannel(SentinelBrokerChannel):
    def _brpop_read(self, **options: Any) -> Any:
        return _read(super()._brpop_read, self, options)


class _Transport(BrokerTransport):
    Channel = _Channel
    keep: ClassVar[PoisonKeeper]

    def _deliver(self, message: Any, queue: str) -> None:
        _deliver(super()._deliver, self, message, queue)


class _SentinelTransport(SentinelBrokerTransport):
    Channel = _SentinelChannel
    keep: ClassVar[PoisonKeeper]

    def _deliver(self, message: Any, queue: str) -> None:
        _deliver(super()._deliver, self, message, queue)


def transport_for(url: str, keep: PoisonKeeper) -> type[Transport]:
    """Return the transport class for a broker URL. Without it, one bad queue item would stop the consumer for good."""
    base = _SentinelTransport if url.startswith("sentinel://") else _Transport
    return cast("type[Transport]", type("TolerantTransport", (base,), {"keep": staticmethod(keep)}))


def _read(read: Callable[..., bool], channel: Any, options: dict[str, Any]) -> bool:
    try:
        return read(**options)
    except json.JSONDecodeError as error:
        # The queue that was read last has just been moved to the end of the cycle.
        channel.connection.keep(garbage(channel._queue_cycle.items[-1], error.doc))  # noqa: SLF001 - our own subclass
        return True


def _deliver(deliver: Callable[[Any, str], None], transport: Any, message: Any, queue: str) -> None:
    poison = find_poison(queue, message)
    if poison is None:
        deliver(message, queue)
    else:
        transport.keep(poison)
