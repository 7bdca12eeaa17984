"""The server that Sentinels name is killed: every tier finds the one that they name instead, by itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
import redis

from kaireon_api.settings import Settings
from kaireon_testkit.native.redis_servers import RedisServer, redis_with_sentinels
from tests.api.test_redis_arrangements import STREAM, Arrangement, counted, publisher
from tests.api.test_runs import start, until_over

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.api.conftest import Eventually, StartWorker
    from tests.api.shop import Shop

pytestmark = pytest.mark.faults


class Watched:
    """A primary and its replica, behind Sentinels."""

    def __init__(self, url: str, primary: RedisServer, replica: RedisServer) -> None:
        self.url = url
        self.primary = primary
        self.replica = replica

    def relayed(self) -> set[str]:
        """Return the ids of the events in the stream of the replica."""
        with redis.Redis(port=self.replica.port, decode_responses=True, protocol=2) as client:
            return {fields["id"] for _, fields in cast("list[tuple[str, dict[str, str]]]", client.xrange(STREAM))}

    def is_promoted(self) -> bool:
        """Return whether the replica is the primary by now."""
        return cast("list[bytes]", self.replica.ask("ROLE"))[0] == b"master"


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with redis_with_sentinels(tmp_path) as (url, primary, replica):
        yield Watched(url, primary, replica)


@pytest.fixture
def settings(settings: Settings, watched: Watched) -> Settings:
    """The same, with the Redis that Sentinels name."""
    return settings.model_copy(update={"redis_url": watched.url, "rate_limits": "customers=1000/60s"})


async def test_every_tier_goes_on_with_the_server_that_sentinels_name_next(
    shop: Shop, watched: Watched, database_url: str, start_worker: StartWorker, eventually: Eventually
) -> None:
    metrics = shop.api.app.services.metrics
    start_worker(redis_url=watched.url)
    with publisher(database_url, Arrangement(watched.url)):
        await decide_many(shop, eventually)
        await eventually(lambda: are_relayed(shop, watched, after=None))

        killed_at = (await shop.rows("SELECT now() AS at"))[0]["at"]
        watched.primary.kill()
        # Nobody waits for the failover.
        for number in range(5):
            await shop.recommend(f"meanwhile-{number}", channel="web")

        async def is_promoted() -> bool:
            return watched.is_promoted()

        await eventually(is_promoted)

        async def is_cached() -> bool:
            before = counted(metrics, "kaireon_cache_hits_total")
            await shop.recommend("c1", channel="web")
            await shop.api.app.services.engine.cache.drain()
            return counted(metrics, "kaireon_cache_hits_total") > before

        async def is_limited_by_it() -> bool:
            before = counted(metrics, "kaireon_rate_limit_fallback_total")
            answer = await shop.api.viewer.get("/api/v1/customers/c1/eligibility")
            assert answer.status_code == 200
            is_counted = any(b"kaireon:rate" in key for key in cast("list[bytes]", watched.replica.ask("KEYS", "*")))
            return is_counted and counted(metrics, "kaireon_rate_limit_fallback_total") == before

        await eventually(is_cached)
        await eventually(is_limited_by_it)
        await decide_many(shop, eventually)
        await eventually(lambda: are_relayed(shop, watched, after=killed_at))


async def decide_many(shop: Shop, eventually: Eventually) -> None:
    """Have the worker decide a list."""
    run = await start(shop, customerIds=["a", "b"], channel="web", **{"async": True})
    assert (await until_over(shop, run, eventually))["status"] == "completed"


async def are_relayed(shop: Shop, watched: Watched, after: Any) -> bool:
    """Return whether every event since then is in the stream."""
    rows = await shop.rows(
        "SELECT id, status FROM outbox_events WHERE tenant_id = %(tenant_id)s"
        " AND (%(after)s::timestamptz IS NULL OR created_at > %(after)s)",
        after=after,
    )
    return bool(rows) and {str(row["id"]) for row in rows} <= watched.relayed()
