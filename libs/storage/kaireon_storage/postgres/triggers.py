"""Triggers in Postgres: firing, and what was fired."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import msgspec
from psycopg.types.json import Jsonb

from kaireon_application.engagement.fact import FactsPayload
from kaireon_application.engagement.firing import FiringPage, FiringQuery, TriggerFiring
from kaireon_application.engagement.perform_action import AttributeChange
from kaireon_application.engagement.reactions import Firing, Reactions
from kaireon_storage.postgres import table_statements
from kaireon_storage.postgres.queries import queries

if TYPE_CHECKING:
    from kaireon_application.customers.schema_table import SchemaTable
    from kaireon_storage.postgres.database import Connection, Database


async def fire(connection: Connection, tenant_id: UUID, reactions: Reactions, firing: Firing) -> UUID | None:
    """Fire a trigger inside an open transaction; return the job that goes on, None during its cooldown."""
    sql, event = queries("triggers"), reactions.event
    common = {
        "tenant_id": tenant_id,
        "trigger_id": UUID(firing.trigger_id),
        "customer_id": event.customer_id,
    }
    if firing.cooldown_ms and await sql.cool(connection, **common, cooldown_ms=firing.cooldown_ms) is None:
        return None
    await sql.fire(
        connection,
        **common,
        id=UUID(firing.id),
        event_id=event.id,
        event_type=event.type,
        action_type=firing.action,
        event=Jsonb(event.told()),
    )
    return UUID(firing.id)


async def queue_facts(connection: Connection, tenant_id: UUID, facts: FactsPayload) -> None:
    """Queue the job that reacts to facts, inside an open transaction."""
    payload = Jsonb(msgspec.to_builtins(facts))
    await queries("triggers").queue_facts(connection, tenant_id=tenant_id, id=uuid4(), payload=payload)


class PostgresFirings:
    """Implements `Firings`."""

    def __init__(self, database: Database) -> None:
        """Read from this database."""
        self._database = database
        self._sql = queries("triggers")

    async def page(self, tenant_id: UUID, query: FiringQuery) -> FiringPage:
        """Return one page."""
        chosen = {"tenant_id": tenant_id, "trigger_id": query.trigger_id, "customer_id": query.customer_id}
        after = query.after
        async with self._database.transaction(tenant_id) as connection:
            counted = await self._sql.count_firings(connection, **chosen)
            found = self._sql.page_firings(
                connection,
                **chosen,
                after_at=after.fired_at if after else None,
                after_id=after.id if after else None,
                row_count=query.limit + 1,
            )
            rows = [row async for row in found]
        shown = [TriggerFiring(**row) for row in rows[: query.limit]]
        return FiringPage(firings=shown, total=counted["total"], has_more=len(rows) > query.limit)


class PostgresAttributes:
    """Implements `AttributeWriter`."""

    def __init__(self, database: Database) -> None:
        """Write to this database."""
        self._database = database

    async def set_value(
        self, tenant_id: UUID, table: SchemaTable, change: AttributeChange, facts: FactsPayload | None
    ) -> int:
        """Set one field of a customer's rows, and queue the job that reacts to it; return how many they are."""
        column = table.customer_column
        assert column is not None, table.name  # noqa: S101 - asked for tables of customers only
        statement = table_statements.set_value(tenant_id, table, column, change.field)
        given: dict[str, Any] = {
            "tenant_id": tenant_id,
            "customer_id": change.customer_id,
            "value": Jsonb({"value": change.value}),
        }
        async with self._database.transaction(tenant_id) as connection:
            count = (await connection.execute(statement, given)).rowcount
            if count and facts is not None:
                await queue_facts(connection, tenant_id, facts)
            return count
