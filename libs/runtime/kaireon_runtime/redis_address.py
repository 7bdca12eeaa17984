"""REDIS_URL and CELERY_BROKER_URL: one server, Sentinels that know one, or the nodes of a Cluster."""

from __future__ import annotations

from enum import StrEnum
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

import msgspec

_DEFAULT_PORT = 6379
_SENTINEL_PORT = 26379


class Topology(StrEnum):
    """How the servers behind a URL belong together."""

    STANDALONE = "standalone"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


_SCHEMES = {
    "redis": Topology.STANDALONE,
    "rediss": Topology.STANDALONE,
    "unix": Topology.STANDALONE,
    "sentinel": Topology.SENTINEL,
    "redis-sentinel": Topology.SENTINEL,
    "redis+sentinel": Topology.SENTINEL,
    "rediss+sentinel": Topology.SENTINEL,
    "redis+cluster": Topology.CLUSTER,
    "rediss+cluster": Topology.CLUSTER,
}


class RedisAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Where servers are; `options` are what a client is told beside hosts: login, database, TLS."""

    topology: Topology
    hosts: tuple[tuple[str, int], ...] = ()
    master: str = ""
    options: dict[str, Any] = {}


def parse_redis_url(url: str) -> RedisAddress:
    """Return the address that a URL names.

    `redis://`, `rediss://`; `redis+sentinel://[login@]host:26379,host2:26379/<master>/<database>`, or as Celery writes
    it `sentinel://host:26379;sentinel://host2:26379/<database>?master_name=<master>`;
    `redis+cluster://[login@]host:6379,host2:6379`. `rediss+...` is over TLS. Raises `ValueError` for anything else,
    without the URL in its message: it may hold a password.
    """
    topology = _SCHEMES.get(url.partition("://")[0])
    if topology is None:
        raise ValueError(f"must start with one of {', '.join(f'{scheme}://' for scheme in _SCHEMES)}")
    if topology is Topology.STANDALONE:
        _require_one_server(url)
        return RedisAddress(topology=topology)
    default_port = _SENTINEL_PORT if topology is Topology.SENTINEL else _DEFAULT_PORT
    parts = urlsplit(_one_url(url))
    login, _, names = parts.netloc.rpartition("@")
    hosts = tuple(_host(name, default_port) for name in names.split(",") if name)
    if not hosts:
        raise ValueError("names no host")
    options = {**_login(login), **({"ssl": True} if url.startswith("rediss") else {}), **_tls(parts.query)}
    if topology is Topology.CLUSTER:
        if parts.path.strip("/") not in {"", "0"}:
            raise ValueError("names a database: a Redis Cluster has only database 0")
        return RedisAddress(topology=topology, hosts=hosts, options=options)
    master, database = _master_and_database(parts.path, parts.query)
    return RedisAddress(topology=topology, hosts=hosts, master=master, options={**options, "db": database})


def _require_one_server(url: str) -> None:
    """Refuse what a client would take for something else: a port that is none, a database that is no number."""
    parts = urlsplit(url)
    _port(parts)
    if parts.scheme != "unix" and parts.path.strip("/") and not parts.path.strip("/").isdecimal():
        raise ValueError("the database must be a number")


def _one_url(url: str) -> str:
    """Write Celery's list of URLs as one: its logins are the same."""
    whole, mark, query = url.partition("?")
    first, *others = whole.split(";")
    hosts = [other.partition("://")[2] or other for other in others]
    last = urlsplit(f"//{hosts[-1]}") if hosts else None
    more = [urlsplit(f"//{host}").netloc.rpartition("@")[2] for host in hosts]
    return ",".join([first.rstrip("/"), *more]) + (last.path if last else "") + mark + query


def _master_and_database(path: str, query: str) -> tuple[str, int]:
    named = parse_qs(query).get("master_name")
    first, _, second = path.strip("/").partition("/")
    master, number = (named[0], first) if named else (first, second)
    if not master:
        raise ValueError("Sentinels need the master's name: add ?master_name=<name>")
    if number and not number.isdecimal():
        raise ValueError("the database must be a number")
    return master, int(number or 0)


def _host(name: str, default_port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{name}")
    return parts.hostname or "", _port(parts) or default_port


def _port(parts: SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError:
        # Its own message has the text, which is a password where somebody has left out the host.
        raise ValueError("the port must be a number up to 65535") from None


def _login(login: str) -> dict[str, str]:
    username, _, password = login.partition(":")
    return {name: unquote(text) for name, text in (("username", username), ("password", password)) if text}


def _tls(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query).items() if name.startswith("ssl_")}
