"""Who may call the paths of schedulers: by a secret, from an address, so often."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address

from pydantic import SecretStr

from kaireon_api.auth import bearer
from kaireon_api.operation import Limit
from kaireon_api.rate_limit import RateLimiter
from kaireon_api.settings import Settings, networks
from kaireon_application.errors import Forbidden, Unauthorized

DRAIN_PATH = "/api/v1/cron/drain-queues"
_HEADERS = ("x-cron-secret", "x-cron-token")
_WINDOW_SECONDS = 60


class CronGate:
    """Lets schedulers in; without a secret in the settings, nobody."""

    def __init__(self, settings: Settings, limiter: RateLimiter) -> None:
        self._secret = _first(settings.cron_secret)
        self._drain_secret = _first(settings.drain_queues_token, settings.cron_secret, settings.cron_token)
        self._networks = networks(settings.cron_allowed_ips)
        self._drain_limit = Limit(count=settings.drain_queues_rate_limit, seconds=_WINDOW_SECONDS)
        self._limiter = limiter

    async def admit(self, path: str, headers: Mapping[str, str], client: str) -> None:
        """Return when this call may go on.

        Raises `RateLimited` for one drain too many from an address, refused ones included; `Unauthorized` without the
        secret; `Forbidden` from an address that CRON_ALLOWED_IPS does not name.
        """
        is_drain = path == DRAIN_PATH
        if is_drain:
            await self._limiter.take(f"ip:{client}", path, self._drain_limit)
        _require_secret(headers, self._drain_secret if is_drain else self._secret)
        if self._networks and not self._is_allowed(client):
            raise Forbidden("CRON_ALLOWED_IPS does not name the address that this call comes from")

    def _is_allowed(self, client: str) -> bool:
        try:
            address = ip_address(client)
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)


def _first(*secrets: SecretStr | None) -> str | None:
    return next((secret.get_secret_value() for secret in secrets if secret is not None), None)


def _require_secret(headers: Mapping[str, str], secret: str | None) -> None:
    given = [headers.get(name) for name in _HEADERS] + [bearer(headers)]
    # Every one is compared, so that how long it takes says nothing.
    matches = [hmac.compare_digest(one.encode("latin-1"), (secret or "").encode()) for one in given if one]
    if not secret or not any(matches):
        raise Unauthorized("Send the scheduler's secret as `Authorization: Bearer ...` or `X-Cron-Secret: ...`")
