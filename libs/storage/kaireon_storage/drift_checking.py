"""Checks for drift over Postgres, wired once for every tier that makes them."""

from __future__ import annotations

from kaireon_application.learning.check_drift import CheckDrift
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.drift_checks import PostgresDriftChecks
from kaireon_storage.postgres.entities import PostgresEntities
from kaireon_storage.postgres.model_versions import PostgresModelVersions
from kaireon_storage.postgres.traces import PostgresTraces


def build_check_drift(database: Database) -> CheckDrift:
    """Return what checks models for drift."""
    return CheckDrift(
        entities=PostgresEntities(database),
        versions=PostgresModelVersions(database),
        checks=PostgresDriftChecks(database),
        traces=PostgresTraces(database),
    )
