"""One attempt at a call: a POST with a bounded answer, and the reason when it fails."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

import aiohttp
from aiohttp import ClientResponse, ClientSession, ClientTimeout, DummyCookieJar
from yarl import URL

from kaireon_core.learning.fallback import FallbackReason
from kaireon_runtime.outbound import AllowList
from kaireon_storage.outbound.connector import (
    BlockedAddress,
    Lookup,
    guarded_connector,
    look_up,
    require_permitted,
)

MAX_ANSWER_BYTES = 1024 * 1024
_OK = 200
_REDIRECTS = range(300, 400)
_SERVER_ERRORS = range(500, 600)
_TOO_MANY_REQUESTS = 429
# Whoever calls bounds the whole call.
_NO_TIMEOUT = ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)
_LEFT_OUT = ("User-Agent", "Accept")


class CallFailed(Exception):
    """An attempt came to nothing; another one may help where it `is_worth_another`."""

    def __init__(self, reason: FallbackReason, *, is_worth_another: bool = False) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.is_worth_another = is_worth_another


class EndpointClient:
    """Calls services through one pool of kept connections; for one event loop."""

    def __init__(self, allow_list: AllowList, lookup: Lookup = look_up, tls: ssl.SSLContext | None = None) -> None:
        """Reach only what is public or listed; nothing is connected before the first call."""
        self._allow_list = allow_list
        self._lookup = lookup
        self._tls = tls
        self._session: ClientSession | None = None

    async def post(self, endpoint: str, headers: Mapping[str, str], content: bytes) -> bytes:
        """Return the body of an answer 200. Raises `CallFailed`; it takes as long as the service takes."""
        url = URL(endpoint)
        try:
            require_permitted(self._allow_list, url)
            async with self._opened().post(url, data=content, headers=headers, allow_redirects=False) as response:
                return await _read(response)
        except BlockedAddress:
            raise CallFailed(FallbackReason.BLOCKED_ADDRESS) from None
        except aiohttp.ClientConnectorError as error:
            raise _unconnected(error) from error
        except ssl.SSLError as error:
            raise CallFailed(FallbackReason.TLS) from error
        except (aiohttp.ClientError, OSError) as error:
            raise CallFailed(FallbackReason.CONNECTION, is_worth_another=True) from error

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> ClientSession:
        if self._session is None:
            self._session = ClientSession(
                connector=guarded_connector(self._allow_list, self._lookup, self._tls),
                cookie_jar=DummyCookieJar(),
                timeout=_NO_TIMEOUT,
                auto_decompress=False,
                trust_env=False,
                skip_auto_headers=_LEFT_OUT,
            )
        return self._session


async def _read(response: ClientResponse) -> bytes:
    """Return the body. Raises `CallFailed`, and then the connection is not used again."""
    try:
        return await _bounded(response)
    except BaseException:
        response.close()
        raise


async def _bounded(response: ClientResponse) -> bytes:
    status = response.status
    if status in _REDIRECTS:
        raise CallFailed(FallbackReason.REDIRECT)
    if status != _OK:
        is_passing = status in _SERVER_ERRORS or status == _TOO_MANY_REQUESTS
        raise CallFailed(FallbackReason.HTTP_STATUS, is_worth_another=is_passing)
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        # It was told not to.
        raise CallFailed(FallbackReason.NOT_JSON)
    if (response.content_length or 0) > MAX_ANSWER_BYTES:
        raise CallFailed(FallbackReason.TOO_LARGE)
    body = bytearray()
    try:
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                raise CallFailed(FallbackReason.TOO_LARGE)
    except aiohttp.ClientPayloadError as error:
        # The service has ended its answer before it was complete.
        raise CallFailed(FallbackReason.NOT_JSON) from error
    return bytes(body)


def _unconnected(error: aiohttp.ClientConnectorError) -> CallFailed:
    if isinstance(error.os_error, BlockedAddress):
        return CallFailed(FallbackReason.BLOCKED_ADDRESS)
    if isinstance(error, aiohttp.ClientSSLError):
        return CallFailed(FallbackReason.TLS)
    return CallFailed(FallbackReason.CONNECTION, is_worth_another=True)
