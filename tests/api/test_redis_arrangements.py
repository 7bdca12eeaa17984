"""Redis in every arrangement: a Cluster, Sentinels, TLS, and a server that knows no command newer than Redis 5."""

from __future__ import annotations

import re
import ssl
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from os import environ
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
import redis
import trustme

from kaireon_api.operation import Limit
from kaireon_api.rate_limit import RateLimiter
from kaireon_api.settings import Settings
from kaireon_runtime.metrics import Metrics
from kaireon_storage.external.breaker import FAILURES, Breakers, Subject
from kaireon_storage.redis.connection import open_redis
from kaireon_testkit.native.redis_servers import (
    RedisServer,
    cluster_url,
    redis_cluster,
    redis_with_sentinels,
    running,
    tls_in_front,
)
from kaireon_testkit.platform.tenant import TEST_PEPPER
from tests.api.test_runs import lines, start, until_over

if TYPE_CHECKING:
    from tests.api.conftest import Eventually, StartWorker
    from tests.api.shop import Shop

STREAM = "kaireon:events"
_OLD_PASSWORD = "for-the-old-one"


class Arrangement:
    """The two URLs that a deployment is given."""

    def __init__(self, redis_url: str, broker_url: str | None = None) -> None:
        self.redis_url = redis_url
        self.broker_url = broker_url

    @property
    def variables(self) -> dict[str, str]:
        """The environment of a tier."""
        given = {"REDIS_URL": self.redis_url}
        return given if self.broker_url is None else {**given, "CELERY_BROKER_URL": self.broker_url}


@contextmanager
def clustered(folder: Path, broker_url: str) -> Generator[Arrangement]:
    with redis_cluster(folder) as nodes:
        yield Arrangement(cluster_url(nodes), broker_url)


@contextmanager
def watched(folder: Path, broker_url: str) -> Generator[Arrangement]:
    del broker_url
    with redis_with_sentinels(folder) as (url, _, _):
        yield Arrangement(url)


@contextmanager
def encrypted(folder: Path, broker_url: str) -> Generator[Arrangement]:
    del broker_url
    authority, server = trustme.CA(), RedisServer(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    certificate = folder / "ca.pem"
    authority.cert_pem.write_to_path(certificate)
    with running(server), tls_in_front(server.port, context) as port:
        yield Arrangement(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={certificate}")


@contextmanager
def old(folder: Path, broker_url: str) -> Generator[Arrangement]:
    """Be a server on which every command is refused that is newer than Redis 5.0."""
    del broker_url
    # No access list keeps a caller from HELLO.
    server = RedisServer(folder, "--rename-command", "HELLO", "")
    with running(server):
        newer = newer_than_redis_5(server)
        assert len(newer) > 50
        denied = [f"-{name}" for name in newer]
        server.ask("ACL", "SETUSER", "old", "on", f">{_OLD_PASSWORD}", "~*", "&*", "+@all", *denied)
        server.ask("ACL", "SETUSER", "default", "resetpass", "off")
        yield Arrangement(f"redis://old:{_OLD_PASSWORD}@127.0.0.1:{server.port}/0")


def newer_than_redis_5(server: RedisServer) -> list[str]:
    """Return the commands and subcommands that the server itself says came later, as its access lists name them."""
    with redis.Redis(port=server.port, decode_responses=True, protocol=2) as client:
        documents = flat(cast("Any", client).execute_command("COMMAND DOCS"))
    commands = {name: flat(told) for name, told in documents.items()}
    parts = [flat(told["subcommands"]) for told in commands.values() if "subcommands" in told]
    commands |= {name: flat(told) for part in parts for name, told in part.items()}
    return sorted(name for name, told in commands.items() if int(told["since"].split(".")[0]) > 5)


def flat(answer: list[Any]) -> dict[str, Any]:
    return dict(zip(answer[::2], answer[1::2], strict=True))


ARRANGEMENTS = {"cluster": clustered, "sentinel": watched, "tls": encrypted, "redis 5": old}


@pytest.fixture(params=ARRANGEMENTS)
def arrangement(request: pytest.FixtureRequest, tmp_path: Path, redis_url: str) -> Iterator[Arrangement]:
    with ARRANGEMENTS[request.param](tmp_path, redis_url) as one:
        yield one


@pytest.fixture
def settings(database_url: str, arrangement: Arrangement) -> Settings:
    given = {name.lower(): value for name, value in arrangement.variables.items()}
    return Settings.model_validate(
        {"database_url": database_url, "api_key_pepper": TEST_PEPPER, "worker_inprocess": False, **given}
    )


@contextmanager
def publisher(database_url: str, arrangement: Arrangement) -> Generator[None]:
    variables = {**environ, "DATABASE_URL": database_url, **arrangement.variables}
    with subprocess.Popen([sys.executable, "-m", "kaireon_outbox_publisher"], env=variables) as process:
        try:
            yield
        finally:
            process.kill()


def counted(metrics: Metrics, name: str) -> float:
    found = re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", metrics.render().decode(), re.MULTILINE)
    return sum(map(float, found))


async def test_every_tier_works_with_it(
    shop: Shop, arrangement: Arrangement, database_url: str, start_worker: StartWorker, eventually: Eventually
) -> None:
    services, metrics = shop.api.app.services, shop.api.app.services.metrics
    start_worker(redis_url=arrangement.redis_url, broker_url=arrangement.broker_url)
    assert (await shop.api.anonymous.get("/api/ready")).json()["checks"]["redis"] == "ok"

    customers = [f"c{number}" for number in range(50)]
    body = {"customerIds": customers, "channel": "web", "limit": 1}
    for _ in range(2):
        answer = await shop.api.viewer.post("/api/v1/decide", json=body)
        assert answer.json()["count"] == len(customers)
        await services.engine.cache.drain()
    first = await shop.recommend("c1", channel="web")
    for _ in range(2):
        response = {"recommendationId": first["recommendationId"], "rank": 1}
        assert (await shop.respond("one", **response)).status_code in {200, 201}
    await services.engine.cache.drain()
    # The second time every customer was known, wherever it lies.
    assert counted(metrics, "kaireon_cache_hits_total") >= len(customers) + 1
    assert counted(metrics, "kaireon_cache_errors_total") == 0

    run = await start(shop, **body, **{"async": True})
    assert (await until_over(shop, run, eventually))["status"] == "completed"
    assert len(await lines(shop, run)) == len(customers)

    expected = (await shop.counts())["outbox_events"]
    with publisher(database_url, arrangement):
        client = open_redis(arrangement.redis_url)

        async def are_all_relayed() -> bool:
            return await client.xlen(STREAM) == expected

        await eventually(are_all_relayed)
        # It heard of this one.
        await shop.recommend("c2", channel="web")
        expected = (await shop.counts())["outbox_events"]
        await eventually(are_all_relayed)
        await client.aclose()


async def test_limits_breakers_and_hints_are_shared_through_it(settings: Settings) -> None:
    client, metrics = open_redis(settings.redis_url), Metrics()
    limiter, limit = RateLimiter(client, metrics), Limit(count=3, seconds=60)
    for tenant in "abcdefgh":
        for _ in range(3):
            await limiter.take(tenant, "/api/v1/recommend", limit)
        with pytest.raises(Exception, match="Too many"):
            await RateLimiter(client, metrics).take(tenant, "/api/v1/recommend", limit)
    subject = Subject(tenant_id="t", model_id="m", name="n")
    for _ in range(FAILURES):
        admission = await Breakers(client, metrics).admit(subject, 100)
        assert admission is not None
        await Breakers(client, metrics).failed(admission)
    assert await Breakers(client, metrics).admit(subject, 100) is None
    assert counted(metrics, "kaireon_cache_errors_total") == 0
    assert counted(metrics, "kaireon_rate_limit_fallback_total") == 0
    await client.aclose()
