"""Dead letters in Postgres: the outbox's table and the dead rows of jobs, seen as one list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg

from kaireon_application.errors import Conflict
from kaireon_application.platform.dead_letters import DeadLetter
from kaireon_application.platform.jobs import JobSummons
from kaireon_storage.postgres.queries import queries

if TYPE_CHECKING:
    from uuid import UUID

    from kaireon_application.platform.dead_letters import DeadLetterChoice
    from kaireon_storage.postgres.database import Database


class PostgresDeadLetterBox:
    """Implements `DeadLetterBox`."""

    def __init__(self, database: Database) -> None:
        """Keep the dead letters in this database."""
        self._database = database
        self._sql = queries("dead_letters")

    async def count_by_topic(self, tenant_id: UUID, choice: DeadLetterChoice) -> dict[str, int]:
        """Count the chosen dead letters, by topic."""
        async with self._database.transaction(tenant_id) as connection:
            rows = [row async for row in self._sql.count_dead_letters(connection, **_chosen(tenant_id, choice))]
        return {row["topic"]: row["total"] for row in rows}

    async def list(self, tenant_id: UUID, choice: DeadLetterChoice, limit: int) -> tuple[DeadLetter, ...]:
        """Return the chosen dead letters, newest first."""
        async with self._database.transaction(tenant_id) as connection:
            rows = [
                row
                async for row in self._sql.list_dead_letters(connection, **_chosen(tenant_id, choice), row_count=limit)
            ]
        return tuple(
            DeadLetter(
                id=row["id"],
                topic=row["topic"],
                payload=row["payload"],
                error=row["error"],
                retry_count=row["retry_count"],
                failed_at=row["failed_at"],
            )
            for row in rows
        )

    async def missing(self, tenant_id: UUID, ids: tuple[UUID, ...]) -> frozenset[UUID]:
        """Return those ids that are no dead letter of this tenant."""
        async with self._database.transaction(tenant_id) as connection:
            known = {
                row["id"] async for row in self._sql.known_dead_letters(connection, tenant_id=tenant_id, ids=list(ids))
            }
        return frozenset(ids) - known

    async def requeue(self, tenant_id: UUID, choice: DeadLetterChoice) -> tuple[int, tuple[JobSummons, ...]]:
        """Make events pending and jobs queued again, in one transaction."""
        chosen = _chosen(tenant_id, choice)
        try:
            async with self._database.transaction(tenant_id) as connection:
                event_count = await self._sql.requeue_events(connection, **chosen)
                rows = [row async for row in self._sql.requeue_jobs(connection, **chosen)]
        except psycopg.errors.UniqueViolation as error:
            raise Conflict("a job with the same dedupe key was queued meanwhile; try again") from error
        summons = tuple(JobSummons(queue=row["queue"], tenant_id=tenant_id, job_id=row["id"]) for row in rows)
        return event_count + len(summons), summons

    async def purge(self, tenant_id: UUID, choice: DeadLetterChoice) -> int:
        """Delete the chosen dead letters for good."""
        chosen = _chosen(tenant_id, choice)
        async with self._database.transaction(tenant_id) as connection:
            return await self._sql.purge_events(connection, **chosen) + await self._sql.purge_jobs(connection, **chosen)


def _chosen(tenant_id: UUID, choice: DeadLetterChoice) -> dict[str, Any]:
    return {
        "tenant_id": tenant_id,
        "ids": None if choice.ids is None else list(choice.ids),
        "topic": choice.topic,
    }
