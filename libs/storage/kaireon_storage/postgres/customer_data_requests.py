"""Requests about customers in Postgres: each is a job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec

from kaireon_application.customers.customer_data import (
    STATUS_OF_JOB,
    CustomerDataRequest,
    RequestPayload,
    RequestStatus,
)
from kaireon_application.platform.job import JobStatus
from kaireon_application.platform.jobs import JobPosition
from kaireon_storage.postgres.customer_data import PostgresCustomerDataExports


class PostgresCustomerDataRequests(PostgresCustomerDataExports):
    """Implements `CustomerDataRequests`."""

    async def page(
        self, tenant_id: UUID, status: RequestStatus | None, after: JobPosition | None, limit: int
    ) -> tuple[list[CustomerDataRequest], int]:
        """Return requests, newest first, and how many there are."""
        statuses = None if status is None else [job.value for job, one in STATUS_OF_JOB.items() if one is status]
        chosen = {"tenant_id": tenant_id, "statuses": statuses}
        position = {"after_at": after.created_at if after else None, "after_id": after.id if after else None}
        async with self._database.transaction(tenant_id) as connection:
            rows = self._sql.page_requests(connection, **chosen, **position, limit=limit)
            found = [_request(tenant_id, row) async for row in rows]
            counted = await self._sql.count_requests(connection, **chosen)
        return found, counted["total"]

    async def get(self, tenant_id: UUID, id: UUID) -> CustomerDataRequest | None:
        """Return a request."""
        async with self._database.transaction(tenant_id) as connection:
            row = await self._sql.get_request(connection, tenant_id=tenant_id, id=id)
        return None if row is None else _request(tenant_id, row)


def _request(tenant_id: UUID, row: Mapping[str, Any]) -> CustomerDataRequest:
    payload = msgspec.convert(row["payload"], RequestPayload)
    return CustomerDataRequest(
        id=row["id"],
        tenant_id=tenant_id,
        request_type=payload.request_type,
        subject_id=payload.subject_id,
        subject_type=payload.subject_type,
        requested_by=payload.requested_by,
        status=STATUS_OF_JOB[JobStatus(row["status"])],
        requested_at=row["created_at"],
        completed_at=row["finished_at"],
    )
