"""Addresses among the settings: what is none is refused at start, without its text, which may hold a password."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from kaireon_runtime.redis_address import Topology, parse_redis_url

_POSTGRES = re.compile(r"postgres(ql)?://")
_POSTGRES_HOST = re.compile(r"(\[[0-9a-fA-F:][^\[\]]*\]|[^\[\]:]*)(:(?P<port>[0-9]*))?")
_MOST_PORT = 65535


def require_postgres(url: str) -> str:
    """Return a libpq URI of one host or several. Raises `ValueError` for anything else."""
    scheme = _POSTGRES.match(url)
    if scheme is None:
        raise ValueError("must start with postgresql://")
    authority = re.split(r"[/?]", url[scheme.end() :], maxsplit=1)[0]
    for host in authority.rpartition("@")[2].split(","):
        found = _POSTGRES_HOST.fullmatch(host)
        if found is None or int(found["port"] or 1) not in range(1, _MOST_PORT + 1):
            raise ValueError("must name its host as host, host:5432 or [::1]:5432; several with commas between them")
    return url


def require_redis(url: str) -> str:
    """Return the URL of a server, of Sentinels or of a Cluster. Raises `ValueError` for anything else."""
    parse_redis_url(url)
    return url


def require_broker(url: str) -> str:
    """Return the URL of a server or of Sentinels. Raises `ValueError` for anything else."""
    # Celery has no Cluster transport: better one line now than a worker that never receives.
    if parse_redis_url(url).topology is Topology.CLUSTER:
        raise ValueError("Celery cannot use a Redis Cluster as its broker; name a standalone or Sentinel server")
    return url


PostgresUrl = Annotated[str, AfterValidator(require_postgres)]
RedisUrl = Annotated[str, AfterValidator(require_redis)]
BrokerUrl = Annotated[str, AfterValidator(require_broker)]
