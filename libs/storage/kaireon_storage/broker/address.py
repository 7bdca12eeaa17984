"""CELERY_BROKER_URL: one Redis server, or Sentinels that know it."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import redis

_SENTINEL_SCHEMES = ("sentinel", "redis+sentinel", "redis-sentinel")
_PROBE_TIMEOUT_SECONDS = 2.0


class BrokerAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Where the broker is, as Celery and kombu take it."""

    url: str
    options: dict[str, Any]


def parse_broker_url(url: str) -> BrokerAddress:
    """Return the address that a URL names.

    Standalone: `redis://`, `rediss://`. Sentinel: `sentinel://host:26379;sentinel://host2:26379/0?master_name=mymaster`
    or `redis+sentinel://host:26379,host2:26379/mymaster/0`. Raises `ValueError` for Sentinels without a master's name.
    """
    if url.split("://", 1)[0] not in _SENTINEL_SCHEMES:
        return BrokerAddress(url=url, options={})
    if ";" in url or "master_name=" in url:
        return _sentinel_list(url)
    parts = urlsplit(url)
    master, _, number = parts.path.strip("/").partition("/")
    login, at, hosts = parts.netloc.rpartition("@")
    urls = [f"sentinel://{login}{at}{host}/{number or 0}" for host in hosts.split(",")]
    return BrokerAddress(url=";".join(urls), options=_master(master))


def _sentinel_list(url: str) -> BrokerAddress:
    whole, _, query = url.partition("?")
    urls = [part if "://" in part else f"sentinel://{part}" for part in whole.split(";") if part]
    names = parse_qs(query).get("master_name", [""])
    return BrokerAddress(url=";".join(urls), options=_master(names[0]))


def _master(name: str) -> dict[str, Any]:
    if not name:
        raise ValueError("CELERY_BROKER_URL: Sentinels need the master's name: add ?master_name=<name>")
    return {"master_name": name}


def is_cluster(address: BrokerAddress) -> bool:
    """Ask the server whether it is a node of a Cluster; one that cannot be reached now is taken not to be."""
    if address.options:
        return False
    client = redis.Redis.from_url(
        address.url, socket_connect_timeout=_PROBE_TIMEOUT_SECONDS, socket_timeout=_PROBE_TIMEOUT_SECONDS
    )
    try:
        answer: Any = client.info("cluster")
    except redis.RedisError:
        return False
    finally:
        client.close()
    return bool(answer.get("cluster_enabled"))
