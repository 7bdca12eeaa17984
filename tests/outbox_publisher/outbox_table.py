"""The outbox as somebody with SQL sees it, and what is put into it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from kaireon_application.platform.event_schemas import INTERACTION_RECORDED

_LANES = 64


def interaction(key: str, tenant_id: UUID, **changes: object) -> dict[str, object]:
    """Return a valid payload of `interaction.recorded.v1`."""
    return {
        "tenantId": str(tenant_id),
        "customerId": key,
        "offerId": str(uuid4()),
        "creativeId": str(uuid4()),
        "channelId": str(uuid4()),
        "interactionType": "outcome",
        "outcomeTypeKey": "click",
        "campaignId": None,
        "recommendationId": None,
        "timestamp": datetime.now(UTC).isoformat(),
        "interactionId": str(uuid4()),
        "rank": None,
        "classification": "positive",
        "direction": "inbound",
        "conversionValue": None,
        "sequence": 1,
        **changes,
    }


class OutboxTable:
    """The outbox as somebody with SQL sees it."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url

    async def _all(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True)
        async with connection, connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(query.encode(), parameters)
            return await cursor.fetchall() if cursor.description else []

    async def insert(
        self,
        key: str,
        *,
        tenant_id: UUID,
        payload: object = None,
        type: str = INTERACTION_RECORDED,
        filler: str | None = None,
    ) -> UUID:
        """Insert one event, valid unless said otherwise, with a field more where a filler is given."""
        event_id = uuid4()
        content = interaction(key, tenant_id) if payload is None else payload
        if filler is not None:
            content = interaction(key, tenant_id, filler=filler)
        await self._all(
            "INSERT INTO outbox_events (id, tenant_id, type, key, payload) VALUES (%s, %s, %s, %s, %s)",
            event_id,
            tenant_id,
            type,
            key,
            Jsonb(content),
        )
        return event_id

    async def insert_many(self, keys: Sequence[str], *, tenant_id: UUID) -> None:
        """Insert valid events, in this order."""
        connection = await psycopg.AsyncConnection.connect(self._url)
        async with connection, connection.cursor() as cursor:
            await cursor.executemany(
                "INSERT INTO outbox_events (id, tenant_id, type, key, payload) VALUES (%s, %s, %s, %s, %s)",
                [(uuid4(), tenant_id, INTERACTION_RECORDED, key, Jsonb(interaction(key, tenant_id))) for key in keys],
            )

    async def insert_backlog(self, rows: int, *, customers: int, tenant_id: UUID) -> None:
        """Insert so many valid events with one statement, their customers in turn."""
        await self._all(
            "INSERT INTO outbox_events (id, tenant_id, type, key, payload)"
            " SELECT gen_random_uuid(), %s, %s, 'customer-' || number %% %s, %s FROM generate_series(1, %s) AS number",
            tenant_id,
            INTERACTION_RECORDED,
            customers,
            Jsonb(interaction("customer", tenant_id)),
            rows,
        )

    async def rows(self) -> list[dict[str, Any]]:
        """Return all events by position."""
        return await self._all("SELECT * FROM outbox_events ORDER BY position")

    async def statuses(self) -> list[str]:
        """Return the statuses by position."""
        return [row["status"] for row in await self.rows()]

    async def dead(self) -> dict[UUID, dict[str, Any]]:
        """Return the dead letters by id."""
        return {row["id"]: row for row in await self._all("SELECT * FROM outbox_dead_letters")}

    async def pending(self, tenant_id: UUID) -> int:
        """Return how many events of a tenant wait."""
        (row,) = await self._all(
            "SELECT count(*) FROM outbox_events WHERE tenant_id = %s AND status = 'pending'", tenant_id
        )
        return row["count"]

    async def is_claimed(self) -> bool:
        """Return whether somebody holds a lane."""
        free = await self._all("SELECT lane FROM outbox_lanes FOR UPDATE SKIP LOCKED")
        return len(free) < _LANES

    async def has_claim_after(self, statement: str) -> bool:
        """Return whether a publisher holds lanes and has done nothing since a statement that begins so."""
        sessions = await self._all(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'kaireon-outbox-publisher'"
            " AND state = 'idle in transaction' AND backend_xid IS NOT NULL AND starts_with(query, %s)",
            statement,
        )
        return bool(sessions)

    async def hold_every_lane(self) -> psycopg.AsyncConnection[Any]:
        """Return a publisher's connection that holds all lanes and leaves an answer unread that no buffer holds."""
        connection = await psycopg.AsyncConnection.connect(self._url, application_name="kaireon-outbox-publisher")
        await connection.execute("SELECT lane FROM outbox_lanes FOR UPDATE")
        connection.pgconn.send_query(b"SELECT repeat('x', 1000000) FROM generate_series(1, 200)")
        return connection

    async def ids_by_customer(self) -> dict[tuple[str, str], list[str]]:
        """Return the ids of each tenant's customers by position."""
        ids: dict[tuple[str, str], list[str]] = {}
        for row in await self._all("SELECT tenant_id::text, key, id::text FROM outbox_events ORDER BY position"):
            ids.setdefault((row["tenant_id"], row["key"]), []).append(row["id"])
        return ids

    async def ids_by_key(self) -> dict[str, list[str]]:
        """Return the ids of each key by position."""
        ids: dict[str, list[str]] = {}
        for row in await self.rows():
            ids.setdefault(row["key"], []).append(str(row["id"]))
        return ids
