"""Connecting to Redis: one server, Sentinels that know one, or a Cluster, as the URL says.

Everything here is an optimisation, so nobody waits for it long.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode, ClusterPipeline, RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisClusterException

from kaireon_runtime.redis_address import RedisAddress, Topology, parse_redis_url

_TIMEOUT_SECONDS = 0.5
# Redis 5 does not know HELLO, with which later protocols begin.
_PROTOCOL = 2


def open_redis(url: str) -> Redis:
    """Return a client; nothing is connected before its first command."""
    # Once more at once, for a connection that a restarted server has dropped; never a second wait.
    return connect(url, _TIMEOUT_SECONDS, Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)))


def connect(url: str, timeout_seconds: float, retry: Retry, **options: Any) -> Redis:
    """Return a client with these time-outs and repetitions. Raises `ValueError` for a URL that names no server."""
    address = parse_redis_url(url)
    given: dict[str, Any] = {
        **address.options,
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": timeout_seconds,
        "protocol": _PROTOCOL,
        "retry": retry,
        **options,
    }
    if address.topology is Topology.STANDALONE:
        return Redis.from_url(url, **{name: value for name, value in given.items() if name not in address.options})
    if address.topology is Topology.CLUSTER:
        # It has the commands of the one server, those on many keys included.
        return cast("Redis", _Cluster(startup_nodes=[ClusterNode(*host) for host in address.hosts], **given))
    return _master(address, given)


async def read_many(client: Redis, keys: Sequence[str]) -> Sequence[bytes | None]:
    """Return the values of these keys: by one MGET, on a Cluster by one for each slot, sent together."""
    if isinstance(client, RedisCluster):
        return cast("list[bytes | None]", await client.mget_nonatomic(keys))
    return cast("list[bytes | None]", await client.mget(keys))


def _master(address: RedisAddress, given: dict[str, Any]) -> Redis:
    # Sentinels have logins of their own, if any; how they are reached is the same.
    own = {name: value for name, value in given.items() if name not in {"username", "password", "db", "retry"}}
    return Sentinel(list(address.hosts), sentinel_kwargs=own, **given).master_for(address.master, redis_class=_Master)


class _Master(Redis):
    """The server that Sentinels name; it closes the connections to them too."""

    async def aclose(self, close_connection_pool: bool | None = None) -> None:  # noqa: FBT001 - redis-py's signature
        await super().aclose(close_connection_pool)
        pool = self.connection_pool
        if isinstance(pool, SentinelConnectionPool):
            for sentinel in cast("list[Redis]", pool.sentinel_manager.sentinels):
                await sentinel.aclose()


class _Pipeline(ClusterPipeline):
    async def execute(self, raise_on_error: bool = True, allow_redirections: bool = True) -> list[Any]:  # noqa: FBT001, FBT002 - redis-py's signature
        try:
            return await super().execute(raise_on_error, allow_redirections)
        except RedisClusterException as error:
            raise RedisConnectionError(str(error)) from error


class _Cluster(RedisCluster):
    """A Cluster whose failures are those of any other server: redis-py's own are no `RedisError`."""

    async def initialize(self, *args: Any, **kwargs: Any) -> RedisCluster:
        try:
            return await super().initialize(*args, **kwargs)
        except RedisClusterException as error:
            raise RedisConnectionError(str(error)) from error

    async def execute_command(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super().execute_command(*args, **kwargs)
        except RedisClusterException as error:
            raise RedisConnectionError(str(error)) from error

    def pipeline(self, transaction: Any | None = None, shard_hint: Any | None = None) -> ClusterPipeline:
        del shard_hint
        return _Pipeline(self, transaction)  # pyright: ignore[reportAbstractUsage]  the stubs forget a property
