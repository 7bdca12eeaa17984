"""Redis as Celery's broker, in the protocol that Redis 5 speaks: redis-py's own choice begins with HELLO."""

from __future__ import annotations

from typing import Any

from kombu.transport.redis import Channel, SentinelChannel, SentinelTransport, Transport

PROTOCOL = 2


class BrokerChannel(Channel):
    """A channel to one server."""

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 - kombu's signature
        return {**super()._connparams(asynchronous), "protocol": PROTOCOL}


class SentinelBrokerChannel(SentinelChannel):
    """A channel to the server that Sentinels name."""

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 - kombu's signature
        return {**super()._connparams(asynchronous), "protocol": PROTOCOL}


class BrokerTransport(Transport):
    """The way to one server."""

    Channel = BrokerChannel


class SentinelBrokerTransport(SentinelTransport):
    """The way to the server that Sentinels name."""

    Channel = SentinelBrokerChannel


def transport_of(url: str) -> type[Transport]:
    """Return the transport for a broker's URL, as `parse_broker_url` writes it."""
    return SentinelBrokerTransport if url.startswith("sentinel://") else BrokerTransport
