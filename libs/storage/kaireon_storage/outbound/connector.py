"""Connections that lead where they may: a name is resolved once, checked, and that very address connected to."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from kaireon_runtime.outbound import AllowList, InvalidUrl, Target, usual_host

# Finds the addresses of a name: (family, address) each. Raises `OSError`.
Lookup = Callable[[str, int], Awaitable[Sequence[tuple[int, str]]]]

_MAX_CONNECTIONS = 256
# Shorter than most servers wait, so that a request seldom meets a connection that is being closed.
_KEEP_ALIVE_SECONDS = 15.0


class BlockedAddress(OSError):
    """Everything that a name resolves to is out of bounds."""


class GuardedResolver(AbstractResolver):
    """Resolves names to addresses that may be connected to; aiohttp connects to these and resolves no second time."""

    def __init__(self, allow_list: AllowList, lookup: Lookup) -> None:
        """Check against this list what `lookup` finds."""
        self._allow_list = allow_list
        self._lookup = lookup

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the permitted addresses. Raises `BlockedAddress` for none, `OSError` for an unknown name."""
        target = _target(host, port)
        found = await self._lookup(host, port)
        wanted = [one for one in found if family in (socket.AF_UNSPEC, one[0])]
        permitted = [one for one in wanted if self._allow_list.permits(target, ipaddress.ip_address(one[1]))]
        if wanted and not permitted:
            raise BlockedAddress
        return [
            ResolveResult(hostname=host, host=address, port=port, family=its_family, proto=0, flags=_NUMERIC)
            for its_family, address in permitted
        ]

    async def close(self) -> None:
        """There is nothing to close."""


_NUMERIC = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


async def look_up(host: str, port: int) -> list[tuple[int, str]]:
    """Ask the system's resolver."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [(family, str(address[0])) for family, _, _, _, address in found]


def guarded_connector(
    allow_list: AllowList, lookup: Lookup = look_up, tls: ssl.SSLContext | None = None
) -> aiohttp.TCPConnector:
    """Return a pool of kept connections; made inside a running loop. `tls` None: certificates as the system trusts."""
    return aiohttp.TCPConnector(
        resolver=GuardedResolver(allow_list, lookup),
        use_dns_cache=False,
        limit=_MAX_CONNECTIONS,
        keepalive_timeout=_KEEP_ALIVE_SECONDS,
        ssl=tls or ssl.create_default_context(),
    )


def require_permitted(allow_list: AllowList, url: URL) -> None:
    """Raise `BlockedAddress` for a URL whose host is an address out of bounds: an address is never resolved."""
    target = _target(url.host or "", url.port or 0)
    address = target.address
    if address is not None and not allow_list.permits(target, address):
        raise BlockedAddress


def _target(host: str, port: int) -> Target:
    try:
        return Target(host=usual_host(host), port=port)
    except InvalidUrl as error:
        raise BlockedAddress from error
