"""The settings of the API tier."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from pydantic import Field, SecretStr, field_validator

from kaireon_runtime.listed import listed
from kaireon_runtime.mcp_settings import McpSettings
from kaireon_runtime.settings import (
    ApiKeySettings,
    OutboundSettings,
    Port,
    RedisSettings,
    ReplicaSettings,
    ScheduledJobSettings,
    SearchSettings,
    TracingSettings,
)
from kaireon_runtime.store_settings import InteractionStoreSettings

_RATE_LIMITS = re.compile(r"\s*([\w/*.{}-]+=\d+/\d+s\s*(,\s*|$))*")


def networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return the networks of a comma-separated list. Raises `ValueError` for what is none."""
    return tuple(map(ip_network, listed(text)))


class Settings(
    ReplicaSettings,
    SearchSettings,
    RedisSettings,
    ApiKeySettings,
    ScheduledJobSettings,
    OutboundSettings,
    InteractionStoreSettings,
    McpSettings,
    TracingSettings,
):
    """Everything the API reads from its environment; each field is the variable of the same name in capitals."""

    api_host: str = "127.0.0.1"
    api_port: Port = 3000
    api_workers: int = Field(default=1, ge=1, le=64)
    api_database_connections: int = Field(default=8, ge=1, le=100)
    cron_secret: SecretStr | None = None
    drain_queues_token: SecretStr | None = None
    """What `/cron/drain-queues` wants to be sent, instead of CRON_SECRET."""
    cron_token: SecretStr | None = None
    """What `/cron/drain-queues` wants to be sent where neither of the other two is set."""
    cron_allowed_ips: str = ""
    """Who may call `/cron/*`: addresses and networks, comma-separated; anybody with the secret when it is empty."""
    drain_queues_rate_limit: int = Field(default=12, ge=1)
    """How many calls of `/cron/drain-queues` a minute one address has."""
    drain_queues_seconds: int = Field(default=45, ge=1, le=3600)
    """After so long a drain takes no more jobs and hands back those that still run."""
    drain_queues_jobs: int = Field(default=100, ge=1)
    """How many jobs one drain runs at most."""
    worker_inprocess: bool = True
    """Run a worker as a child of this process."""
    worker_poke_socket: Path | None = None
    """Where the worker beside this API hears of jobs; set by the first API process."""
    rate_limits: str = ""
    """`<route>=<count>/<seconds>s`, comma-separated, `*` for every other route: `recommend=100/60s,*=2000/60s`."""

    mcp_enabled: bool = False
    """Answer /mcp with the tools of `kaireon_mcp`."""
    prometheus_multiproc_dir: Path | None = None
    """Where several API processes count together; set by the first of them."""

    @field_validator("cron_allowed_ips")
    @classmethod
    def _require_networks(cls, value: str) -> str:
        networks(value)
        return value

    @field_validator("rate_limits")
    @classmethod
    def _require_rate_limits(cls, value: str) -> str:
        if _RATE_LIMITS.fullmatch(value) is None:
            message = "must look like recommend=100/60s,*=2000/60s"
            raise ValueError(message)
        return value
