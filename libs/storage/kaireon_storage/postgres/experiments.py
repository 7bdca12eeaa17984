"""What experiments led to, counted in Postgres."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from kaireon_application.experimentation.results import VariantCounts
from kaireon_storage.postgres.queries import queries

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from kaireon_storage.postgres.database import Database


class PostgresExperimentOutcomes:
    """Implements `ExperimentOutcomes` from the rows of decisions and interactions."""

    def __init__(self, database: Database) -> None:
        """Read through this database."""
        self._database = database
        self._sql: Any = queries("experiments")

    async def by_variant(self, tenant_id: UUID, experiment_key: str, since: datetime) -> list[VariantCounts]:
        """Return the counts of each variant that has decided since an instant."""
        async with self._database.transaction(tenant_id) as connection:
            rows = self._sql.variant_counts(connection, tenant_id=tenant_id, experiment_key=experiment_key, since=since)
            return [msgspec.convert(row, VariantCounts) async for row in rows]
