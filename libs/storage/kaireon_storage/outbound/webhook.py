"""A signed POST to an address that an operator has named."""

from __future__ import annotations

import hashlib
import hmac
import ssl
import time
from collections.abc import Callable

import aiohttp
from aiohttp import ClientSession, ClientTimeout, DummyCookieJar
from yarl import URL

from kaireon_application.engagement.perform_action import WebhookBlocked, WebhookFailed
from kaireon_application.engagement.trigger_action import WebhookConfig
from kaireon_runtime.outbound import AllowList
from kaireon_storage.external.secrets import Secrets, UnknownSecret
from kaireon_storage.outbound.connector import (
    BlockedAddress,
    Lookup,
    guarded_connector,
    look_up,
    require_permitted,
)

_TAKEN = range(200, 300)


def signature(secret: str, timestamp: str, content: bytes) -> str:
    """Return `sha256=` and the hex HMAC-SHA256 of the timestamp, a dot and the body."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + content, hashlib.sha256).hexdigest()


class WebhookPost:
    """Implements `WebhookSender`; for one event loop. Of answers only the status is read."""

    def __init__(
        self,
        allow_list: AllowList,
        secrets: Secrets,
        now: Callable[[], float] = time.time,
        lookup: Lookup = look_up,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Reach only what is public or listed; nothing is connected before the first call."""
        self._allow_list = allow_list
        self._secrets = secrets
        self._now = now
        self._lookup = lookup
        self._tls = tls

    async def __call__(self, config: WebhookConfig, delivery_id: str, content: bytes) -> int:
        """Send, and return the status. Raises `WebhookFailed`, `WebhookBlocked`."""
        url, timestamp = URL(config.url), str(int(self._now()))
        try:
            secret = await self._secrets.resolve(config.secret)
            require_permitted(self._allow_list, url)
        except UnknownSecret:
            raise WebhookBlocked(f"{config.secret} is not known here") from None
        except BlockedAddress:
            raise WebhookBlocked("its address is out of bounds") from None
        headers = {
            **config.headers,
            "Content-Type": "application/json",
            "X-Kaireon-Delivery": delivery_id,
            "X-Kaireon-Timestamp": timestamp,
            "X-Kaireon-Signature": signature(secret, timestamp, content),
        }
        status = await self._post(url, headers, content, config.timeout_ms / 1000)
        if status not in _TAKEN:
            raise WebhookFailed(f"the receiver answered {status}")
        return status

    async def _post(self, url: URL, headers: dict[str, str], content: bytes, seconds: float) -> int:
        connector = guarded_connector(self._allow_list, self._lookup, self._tls)
        session = ClientSession(
            connector=connector,
            cookie_jar=DummyCookieJar(),
            timeout=ClientTimeout(total=seconds),
            auto_decompress=False,
            trust_env=False,
        )
        try:
            async with session, session.post(url, data=content, headers=headers, allow_redirects=False) as response:
                return response.status
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, BlockedAddress):
                raise WebhookBlocked("its address is out of bounds") from None
            raise WebhookFailed("the receiver cannot be reached") from error
        except TimeoutError:
            raise WebhookFailed(f"the receiver did not answer within {seconds:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise WebhookFailed("the receiver did not answer") from error
