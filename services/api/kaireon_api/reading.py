"""What is read for people and may be a little old: from replicas where there are any."""

from __future__ import annotations

from dataclasses import dataclass

from kaireon_api.settings import Settings
from kaireon_runtime.metrics import Metrics
from kaireon_storage.postgres.dashboards import PostgresDashboards
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.replicas import ReadDatabase

_REPLICA_CONNECTIONS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Where these things are read, and their readers."""

    database: ReadDatabase
    dashboards: PostgresDashboards


def build_reading(settings: Settings, primary: Database, metrics: Metrics) -> Reading:
    """Return the readers, unconnected."""
    replicas = [
        Database(url, max_connections=_REPLICA_CONNECTIONS, application_name="kaireon-api-reads")
        for url in settings.replica_urls
    ]
    database = ReadDatabase(primary, replicas, settings.database_replica_max_lag_seconds, metrics)
    return Reading(database=database, dashboards=PostgresDashboards(database))
