"""The scoring by services of one process, wired."""

from __future__ import annotations

from redis.asyncio import Redis

from kaireon_runtime.metrics import Metrics
from kaireon_runtime.settings import OutboundSettings, secret_variables
from kaireon_storage.external.breaker import Breakers
from kaireon_storage.external.client import EndpointClient
from kaireon_storage.external.scoring import EndpointScoring
from kaireon_storage.external.secrets import EnvironmentSecrets, FileSecrets, Secrets


def build_endpoint_scoring(settings: OutboundSettings, redis: Redis, metrics: Metrics) -> EndpointScoring:
    """Return it, unconnected."""
    return EndpointScoring(
        EndpointClient(settings.allow_list), build_secrets(settings), Breakers(redis, metrics), metrics
    )


def build_secrets(settings: OutboundSettings) -> Secrets:
    """Return what resolves references to secrets."""
    return Secrets({"env": EnvironmentSecrets(secret_variables()), "file": FileSecrets(settings.secrets_dir)})
