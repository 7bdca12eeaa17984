"""A signed POST to an address that an operator has named."""

from __future__ import annotations

import hashlib
import hmac
import ssl

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


def signature(secret: str, content: bytes) -> str:
    """Return `sha256=` and the hex HMAC-SHA256 of the exact body."""
    return "sha256=" + hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()


class WebhookPost:
    """Implements `WebhookSender`; for one event loop. Of answers only the status is read."""

    def __init__(
        self,
        allow_list: AllowList,
        secrets: Secrets,
        signing_secret: str | None = None,
        lookup: Lookup = look_up,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Reach only what is public or listed; `signing_secret` signs for those that name none."""
        self._allow_list = allow_list
        self._secrets = secrets
        self._signing_secret = signing_secret
        self._lookup = lookup
        self._tls = tls

    async def __call__(self, config: WebhookConfig, delivery_id: str, content: bytes) -> int:
        """Send, and return the status. Raises `WebhookFailed`, `WebhookBlocked`."""
        url = URL(config.url)
        secret = await self._secret(config.secret)
        try:
            require_permitted(self._allow_list, url)
        except BlockedAddress:
            raise WebhookBlocked("its address is out of bounds") from None
        headers = {
            **config.headers,
            "Content-Type": "application/json",
            "X-Kaireon-Delivery": delivery_id,
            "X-Kaireon-Signature": signature(secret, content),
        }
        status = await self._post(url, headers, content, config.timeout_ms / 1000)
        if status not in _TAKEN:
            raise WebhookFailed(f"the receiver answered {status}")
        return status

    async def _secret(self, reference: str | None) -> str:
        if reference is None:
            if self._signing_secret is None:
                raise WebhookBlocked("it names no secret, and WEBHOOK_SIGNING_SECRET is not set")
            return self._signing_secret
        try:
            return await self._secrets.resolve(reference)
        except UnknownSecret:
            raise WebhookBlocked(f"{reference} is not known here") from None

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
