"""CELERY_BROKER_URL: one Redis server, or Sentinels that know it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec
import redis

from kaireon_runtime.redis_address import RedisAddress, Topology, parse_redis_url
from kaireon_runtime.settings import refuse

_PROBE_TIMEOUT_SECONDS = 2.0
_CLUSTER = "CELERY_BROKER_URL names a Redis Cluster, which Celery cannot use: name a standalone or Sentinel server"


class BrokerAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Where the broker is, as Celery and kombu take it."""

    url: str
    options: dict[str, Any]
    ssl: dict[str, str] | None = None


def parse_broker_url(url: str) -> BrokerAddress:
    """Return the address that a URL names. Raises `ValueError`, naming the variable, for one that is no broker's."""
    try:
        address = parse_redis_url(url)
    except ValueError as error:
        raise ValueError(f"CELERY_BROKER_URL: {error}") from error
    if address.topology is Topology.CLUSTER:
        raise ValueError(_CLUSTER)
    if address.topology is Topology.STANDALONE:
        return BrokerAddress(url=url, options={})
    options = dict(address.options)
    database = options.pop("db")
    tls = {name: value for name, value in options.items() if name.startswith("ssl_")} if options.get("ssl") else None
    login = _login(address)
    urls = [f"sentinel://{login}{_authority(*host)}/{database}" for host in address.hosts]
    # What Sentinels themselves are asked with; the rest is for the server that they name.
    asked = {"protocol": 2, **({"ssl": True, **tls} if tls is not None else {})}
    return BrokerAddress(url=";".join(urls), options={"master_name": address.master, "sentinel_kwargs": asked}, ssl=tls)


def _login(address: RedisAddress) -> str:
    username, password = (quote(address.options.get(name, ""), safe="") for name in ("username", "password"))
    return f"{username}:{password}@" if password else ""


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def require_broker(url: str) -> BrokerAddress:
    """Return the address of a broker that may be used.

    Raises `ValueError` for a URL that is none, and for a node of a Cluster; one that cannot be reached now is taken not
    to be.
    """
    address = parse_broker_url(url)
    if _is_cluster(address):
        raise ValueError(_CLUSTER)
    return address


def broker_or_refuse(url: str) -> BrokerAddress:
    """Return the address of a broker that may be used; end the process with one line when there is none."""
    try:
        return require_broker(url)
    except ValueError as error:
        refuse([str(error)])


def _is_cluster(address: BrokerAddress) -> bool:
    if address.options:
        return False
    client = redis.Redis.from_url(
        address.url,
        socket_connect_timeout=_PROBE_TIMEOUT_SECONDS,
        socket_timeout=_PROBE_TIMEOUT_SECONDS,
        protocol=2,
    )
    try:
        answer: Any = client.info("cluster")
    except redis.RedisError:
        return False
    finally:
        client.close()
    return bool(answer.get("cluster_enabled"))
