"""Uploaded decision logs and evaluations of policies in Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from psycopg.types.json import Jsonb

from kaireon_application.learning.decision_log import LogPage, LogSummary
from kaireon_application.learning.off_policy_evaluation import (
    EvaluationPage,
    EvaluationQuery,
    EvaluationResult,
    StoredEvaluation,
)
from kaireon_storage.postgres.database import Database, Row
from kaireon_storage.postgres.queries import queries


class PostgresDecisionLogs:
    """Implements `DecisionLogs`."""

    def __init__(self, database: Database) -> None:
        """Take an open database."""
        self._database = database
        self._sql: Any = queries("off_policy")

    async def add(self, tenant_id: UUID, summary: LogSummary, parts: Sequence[bytes]) -> None:
        """Store a log and its parts in one transaction."""
        async with self._database.transaction(tenant_id) as connection:
            await self._sql.insert_log(
                connection,
                tenant_id=tenant_id,
                id=summary.id,
                summary=Jsonb(msgspec.to_builtins(summary)),
                created_at=summary.created_at,
            )
            for number, content in enumerate(parts):
                await self._sql.insert_log_part(
                    connection, tenant_id=tenant_id, log_id=summary.id, number=number, content=content
                )

    async def get(self, tenant_id: UUID, log_id: UUID) -> LogSummary | None:
        """Return a log without its rows, or None."""
        async with self._database.transaction(tenant_id) as connection:
            row = await self._sql.get_log(connection, tenant_id=tenant_id, id=log_id)
        return None if row is None else _summary(row)

    async def parts(self, tenant_id: UUID, log_id: UUID) -> list[bytes]:
        """Return the parts of a log in their order; none for a log that there is not."""
        async with self._database.transaction(tenant_id) as connection:
            rows = self._sql.log_parts(connection, tenant_id=tenant_id, log_id=log_id)
            return [row["content"] async for row in rows]

    async def page(self, tenant_id: UUID, limit: int, offset: int) -> LogPage:
        """Return a page of logs, newest first."""
        async with self._database.transaction(tenant_id) as connection:
            rows = self._sql.page_logs(connection, tenant_id=tenant_id, limit=limit, offset=offset)
            logs = [_summary(row) async for row in rows]
            counted = await self._sql.count_logs(connection, tenant_id=tenant_id)
        return LogPage(logs=logs, total=counted["total"])

    async def delete(self, tenant_id: UUID, log_id: UUID) -> bool:
        """Delete a log; its evaluations stay. Return whether there was one."""
        async with self._database.transaction(tenant_id) as connection:
            deleted: int = await self._sql.delete_log(connection, tenant_id=tenant_id, id=log_id)
        return deleted > 0


class PostgresOffPolicyEvaluations:
    """Implements `OffPolicyEvaluations`."""

    def __init__(self, database: Database) -> None:
        """Take an open database."""
        self._database = database
        self._sql: Any = queries("off_policy")

    async def add(self, tenant_id: UUID, evaluation: StoredEvaluation) -> None:
        """Store an evaluation."""
        async with self._database.transaction(tenant_id) as connection:
            await self._sql.insert_evaluation(
                connection,
                tenant_id=tenant_id,
                id=evaluation.id,
                model_id=evaluation.model_id,
                flow_id=evaluation.flow_id,
                source=Jsonb(evaluation.source),
                target=Jsonb(evaluation.target),
                result=Jsonb(msgspec.to_builtins(evaluation.result)),
                created_at=evaluation.created_at,
            )

    async def get(self, tenant_id: UUID, evaluation_id: UUID) -> StoredEvaluation | None:
        """Return an evaluation, or None."""
        async with self._database.transaction(tenant_id) as connection:
            row = await self._sql.get_evaluation(connection, tenant_id=tenant_id, id=evaluation_id)
        return None if row is None else _evaluation(row)

    async def page(self, tenant_id: UUID, query: EvaluationQuery) -> EvaluationPage:
        """Return a page of evaluations, newest first."""
        chosen = {"tenant_id": tenant_id, "model_id": query.model_id, "flow_id": query.flow_id}
        async with self._database.transaction(tenant_id) as connection:
            rows = self._sql.page_evaluations(connection, **chosen, limit=query.limit, offset=query.offset)
            found = [_evaluation(row) async for row in rows]
            counted = await self._sql.count_evaluations(connection, **chosen)
        return EvaluationPage(evaluations=found, total=counted["total"])

    async def newest(self, tenant_id: UUID, model_id: UUID) -> StoredEvaluation | None:
        """Return the latest evaluation of a model, None when it was never evaluated."""
        page = await self.page(tenant_id, EvaluationQuery(limit=1, model_id=model_id))
        return page.evaluations[0] if page.evaluations else None


def _summary(row: Row) -> LogSummary:
    return msgspec.convert(row["summary"], LogSummary)


def _evaluation(row: Row) -> StoredEvaluation:
    values: dict[str, Any] = {**row, "result": msgspec.convert(row["result"], EvaluationResult)}
    return StoredEvaluation(**values)
