"""Who may call `/cron/*`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from redis.asyncio import Redis

from kaireon_api.cron_gate import DRAIN_PATH, CronGate
from kaireon_api.errors import RateLimited
from kaireon_api.rate_limit import RateLimiter
from kaireon_api.settings import Settings
from kaireon_application.errors import Forbidden, Unauthorized
from kaireon_runtime.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CLEANUP = "/api/v1/cron/cleanup"
DRAIN, CRON, TOKEN = "drain-token", "cron-secret", "cron-token"


@pytest.fixture
async def limiter(redis_url: str) -> AsyncIterator[RateLimiter]:
    async with Redis.from_url(redis_url) as client:
        yield RateLimiter(client, Metrics())


def gate(settings: Settings, limiter: RateLimiter, **changed: Any) -> CronGate:
    return CronGate(Settings.model_validate({**settings.model_dump(), **changed}), limiter)


ALL = {"drain_queues_token": DRAIN, "cron_secret": CRON, "cron_token": TOKEN}
WITHOUT_DRAIN = {"cron_secret": CRON, "cron_token": TOKEN}
SECRETS: list[tuple[dict[str, str], str, dict[str, str], bool]] = [
    # Draining: the first that is set counts, and no other.
    (ALL, DRAIN_PATH, {"x-cron-secret": DRAIN}, True),
    (ALL, DRAIN_PATH, {"x-cron-token": DRAIN}, True),
    (ALL, DRAIN_PATH, {"authorization": f"Bearer {DRAIN}"}, True),
    (ALL, DRAIN_PATH, {"x-cron-secret": CRON}, False),
    (ALL, DRAIN_PATH, {"x-cron-secret": "other", "authorization": f"Bearer {DRAIN}"}, True),
    (WITHOUT_DRAIN, DRAIN_PATH, {"x-cron-secret": CRON}, True),
    (WITHOUT_DRAIN, DRAIN_PATH, {"x-cron-token": TOKEN}, False),
    ({"cron_token": TOKEN}, DRAIN_PATH, {"x-cron-token": TOKEN}, True),
    ({}, DRAIN_PATH, {"x-cron-token": ""}, False),
    ({"cron_token": "s\u00fc\u00df"}, DRAIN_PATH, {"x-cron-token": "s\u00fc\u00df".encode().decode("latin-1")}, True),
    ({}, DRAIN_PATH, {}, False),
    (ALL, DRAIN_PATH, {"x-cron-secret": "\xff"}, False),
    # Everything else: CRON_SECRET alone.
    (ALL, CLEANUP, {"x-cron-secret": CRON}, True),
    (ALL, CLEANUP, {"authorization": f"bearer {CRON}"}, True),
    (ALL, CLEANUP, {"x-cron-secret": DRAIN}, False),
    ({"cron_token": TOKEN}, CLEANUP, {"x-cron-token": TOKEN}, False),
    ({}, CLEANUP, {"x-cron-secret": ""}, False),
]


@pytest.mark.parametrize(("given", "path", "headers", "may"), SECRETS)
async def test_a_secret_opens_what_it_is_for(
    settings: Settings, limiter: RateLimiter, given: dict[str, str], path: str, headers: dict[str, str], may: bool
) -> None:
    admitting = gate(settings, limiter, **given).admit(path, headers, "10.0.0.1")
    if may:
        await admitting
    else:
        with pytest.raises(Unauthorized):
            await admitting


ADDRESSES = [
    ("", "203.0.113.9", True),
    ("10.0.0.0/8, 192.0.2.7", "10.9.8.7", True),
    ("10.0.0.0/8, 192.0.2.7", "192.0.2.7", True),
    ("10.0.0.0/8, 192.0.2.7", "192.0.2.8", False),
    ("10.0.0.0/8", "::ffff:10.0.0.1", True),
    ("2001:db8::/32", "2001:db8::1", True),
    ("2001:db8::/32", "10.0.0.1", False),
    ("10.0.0.0/8", "", False),
]


@pytest.mark.parametrize(("allowed", "client", "may"), ADDRESSES)
async def test_only_listed_addresses_may_call(
    settings: Settings, limiter: RateLimiter, allowed: str, client: str, may: bool
) -> None:
    admitting = gate(settings, limiter, cron_secret=CRON, cron_allowed_ips=allowed).admit(
        CLEANUP, {"x-cron-secret": CRON}, client
    )
    if may:
        await admitting
    else:
        with pytest.raises(Forbidden, match="CRON_ALLOWED_IPS"):
            await admitting


def test_a_list_that_is_none_is_refused_at_start(settings: Settings) -> None:
    with pytest.raises(ValueError, match="cron_allowed_ips"):
        Settings.model_validate({**settings.model_dump(), "cron_allowed_ips": "10.0.0.0/8, office"})


async def test_an_address_has_so_many_drains_a_minute_refused_ones_included(
    settings: Settings, limiter: RateLimiter
) -> None:
    door = gate(settings, limiter, cron_secret=CRON)
    for number in range(12):
        if number % 2:
            await door.admit(DRAIN_PATH, {"x-cron-secret": CRON}, "10.0.0.1")
        else:
            with pytest.raises(Unauthorized):
                await door.admit(DRAIN_PATH, {"x-cron-secret": "guess"}, "10.0.0.1")
    with pytest.raises(RateLimited) as caught:
        await door.admit(DRAIN_PATH, {"x-cron-secret": CRON}, "10.0.0.1")
    assert 1 <= caught.value.retry_after_seconds <= 60
    await door.admit(DRAIN_PATH, {"x-cron-secret": CRON}, "10.0.0.2")
    await door.admit(CLEANUP, {"x-cron-secret": CRON}, "10.0.0.1")
