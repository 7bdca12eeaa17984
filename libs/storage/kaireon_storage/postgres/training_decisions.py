"""Stored decisions with what became of them, in Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from kaireon_application.decisioning.recorded_inputs import read_inputs
from kaireon_application.decisioning.snapshot import decode_legend
from kaireon_application.decisioning.trace import TraceCodec
from kaireon_application.learning.interaction_rows import TrainingDecision
from kaireon_storage.postgres.database import Connection, Database, Row
from kaireon_storage.postgres.queries import queries

_PAGE = 1000


class PostgresTrainingDecisions:
    """Implements `TrainingDecisions`."""

    def __init__(self, database: Database) -> None:
        """Take an open database."""
        self._database = database
        self._sql: Any = queries("training_decisions")

    async def newest(self, tenant_id: UUID) -> AsyncIterator[list[TrainingDecision]]:
        """Yield decisions, the newest first, a page at a time; those whose trace was not kept are left out."""
        codecs = dict[bytes, TraceCodec]()
        after: tuple[datetime, UUID] | None = None
        while True:
            async with self._database.transaction(tenant_id) as connection:
                found = self._sql.training_decisions(
                    connection,
                    tenant_id=tenant_id,
                    after_at=after[0] if after else None,
                    after_id=after[1] if after else None,
                    limit=_PAGE,
                )
                rows = [row async for row in found]
                ids = [row["recommendation_id"] for row in rows]
                told = self._sql.outcomes_of_decisions(connection, tenant_id=tenant_id, recommendation_ids=ids)
                outcomes = [row async for row in told]
                await self._learn_legends(connection, tenant_id, rows, codecs)
            by_decision = dict[UUID, dict[str, str]]()
            for row in outcomes:
                by_decision.setdefault(row["recommendation_id"], {})[str(row["offer_id"])] = row["best"]
            yield [_decision(row, codecs, by_decision.get(row["recommendation_id"], {})) for row in rows]
            if len(rows) < _PAGE:
                return
            after = rows[-1]["decided_at"], rows[-1]["recommendation_id"]

    async def _learn_legends(
        self, connection: Connection, tenant_id: UUID, rows: list[Row], codecs: dict[bytes, TraceCodec]
    ) -> None:
        for hash_ in {row["legend_hash"] for row in rows} - codecs.keys():
            stored = await queries("history").get_snapshot(connection, tenant_id=tenant_id, hash=hash_)
            assert stored is not None, hash_  # noqa: S101 - legends are stored before traces refer to them
            codecs[hash_] = decode_legend(stored["content"]).codec()


def _decision(row: Row, codecs: Mapping[bytes, TraceCodec], told: Mapping[str, str]) -> TrainingDecision:
    """Return a decision with its labels; `told` is the best class of outcome by offer, impressions are neutral."""
    is_told = row["has_impressions"]
    shown = [str(offer_id) for offer_id in row["offer_ids"] if not is_told or str(offer_id) in told]
    return TrainingDecision(
        customer_id=row["customer_id"],
        facts=read_inputs(codecs[row["legend_hash"]].decode(row["content"])).customer,
        # The last rank first: rows are read backwards, and turned around when all are there.
        offers=[(offer_id, float(told.get(offer_id) == "positive")) for offer_id in reversed(shown)],
    )
