"""What tenants set for classes of data, in Postgres."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET

from kaireon_application.governance.actor import Actor
from kaireon_application.governance.audit_log import AuditAction, Write, written
from kaireon_application.platform.data_class import RetentionForm, StoredRetention
from kaireon_application.platform.tenant_settings import effective_settings
from kaireon_storage.postgres.audit_logs import AuditAppender
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.queries import queries

_KIND = "retention_config"


class PostgresRetentionConfigs:
    """Implements `RetentionConfigs`."""

    def __init__(self, database: Database) -> None:
        """Take an open database."""
        self._database = database
        self._sql: Any = queries("retention")

    async def read(self, tenant_id: UUID) -> tuple[int, list[StoredRetention]]:
        """Return the tenant's `retentionDays` and what it has set by class."""
        async with self._database.transaction(tenant_id) as connection:
            settings = await queries("tenants").read_settings(connection, tenant_id=tenant_id)
            rows = [row async for row in self._sql.read_configs(connection, tenant_id=tenant_id)]
        return effective_settings(settings["settings"]).retention_days, msgspec.convert(rows, list[StoredRetention])

    async def change(self, tenant_id: UUID, form: RetentionForm, actor: Actor) -> None:
        """Set what the form sets, and note it in the audit log."""
        is_days_given = form.retention_days is not UNSET
        async with self._database.transaction(tenant_id) as connection:
            row = await self._sql.upsert_config(
                connection,
                tenant_id=tenant_id,
                data_class=form.data_class.value,
                is_days_given=is_days_given,
                retention_days=form.retention_days if is_days_given else None,
                legal_hold=None if form.legal_hold is UNSET else form.legal_hold,
            )
            before = {"retentionDays": row["previous_days"], "legalHold": bool(row["previous_hold"])}
            after = {"retentionDays": row["retention_days"], "legalHold": row["legal_hold"]}
            name = form.data_class.value
            write = Write(id=name, version=None, before=before, after=after, name=name)
            await AuditAppender(connection, tenant_id, actor).append(written(AuditAction.UPDATE, _KIND, write))
