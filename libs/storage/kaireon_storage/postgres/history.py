"""Interactions, summaries and suppressions in Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from kaireon_application.catalog.entities import ListPosition
from kaireon_application.customers.history import (
    HistoryPage,
    HistoryQuery,
    Interaction,
    InteractionSummary,
    NamedThing,
    SummaryQuery,
    Suppression,
)
from kaireon_application.decisioning.decided_customer import PUBLIC_PREFIX
from kaireon_storage.postgres.database import Database, Row
from kaireon_storage.postgres.queries import queries


class PostgresHistory:
    """Implements `History`."""

    def __init__(self, database: Database) -> None:
        """Take an open database."""
        self._database = database
        self._sql: Any = queries("history")

    async def interactions(self, tenant_id: UUID, query: HistoryQuery) -> HistoryPage:
        """Return one page of interactions, newest first."""
        chosen = {
            "tenant_id": tenant_id,
            "customer_id": query.customer_id,
            "offer_id": query.offer_id,
            "creative_id": query.creative_id,
            "recommendation_id": query.recommendation_id,
            "type": query.type,
            "since": query.since,
        }
        after = query.after
        async with self._database.transaction(tenant_id) as connection:
            found = self._sql.page_interactions(
                connection,
                **chosen,
                after_at=after.at if after else None,
                after_id=after.id if after else None,
                limit=query.limit + 1,
            )
            rows = [row async for row in found]
            counted = await self._sql.count_interactions(connection, **chosen)
        shown, has_more = rows[: query.limit], len(rows) > query.limit
        last = ListPosition(rank=0, at=shown[-1]["occurred_at"], id=shown[-1]["id"]) if has_more else None
        return HistoryPage(
            interactions=[_interaction(row) for row in shown], total=counted["total"], next_position=last
        )

    async def names(self, tenant_id: UUID, kind: str, ids: Sequence[UUID]) -> dict[UUID, NamedThing]:
        """Return name and status of things of a kind; those that are gone are left out."""
        if not ids:
            return {}
        async with self._database.transaction(tenant_id) as connection:
            found = self._sql.named_things(connection, tenant_id=tenant_id, kind=kind, ids=list(ids))
            return {row["id"]: NamedThing(**row) async for row in found}

    async def summaries(self, tenant_id: UUID, query: SummaryQuery) -> tuple[Sequence[InteractionSummary], int]:
        """Return one page of a customer's summaries and the total."""
        chosen = {
            "tenant_id": tenant_id,
            "customer_id": query.customer_id,
            "period_type": query.period_type,
            "offer_id": query.offer_id,
            "channel_id": query.channel_id,
        }
        async with self._database.transaction(tenant_id) as connection:
            found = self._sql.page_summaries(connection, **chosen, limit=query.limit, offset=query.offset)
            summaries = [InteractionSummary(**row) async for row in found]
            counted = await self._sql.count_summaries(connection, **chosen)
        return summaries, counted["total"]

    async def suppressions(self, tenant_id: UUID, customer_id: str, now: datetime) -> Sequence[Suppression]:
        """Return every ban of a customer, the latest to end first."""
        async with self._database.transaction(tenant_id) as connection:
            found = self._sql.customer_suppressions(connection, tenant_id=tenant_id, customer_id=customer_id)
            return [_suppression(row, now) async for row in found]


def _interaction(row: Row) -> Interaction:
    is_recommendation = row["kind"] == "recommendation"
    details: dict[str, Any] = row["details"] or {}
    decision_id = row["recommendation_id"]
    return Interaction(
        id=row["id"],
        tenant_id=row["tenant_id"],
        customer_id=row["customer_id"],
        interaction_type=row["kind"] if is_recommendation else row["outcome_key"],
        outcome_type_key=row["outcome_key"],
        classification=row["classification"],
        direction=row["direction"],
        offer_id=row["offer_id"],
        creative_id=row["creative_id"],
        channel_id=row["channel_id"],
        placement_id=row["placement_id"],
        recommendation_id=f"{PUBLIC_PREFIX}{decision_id}" if decision_id else None,
        rank=row["rank"],
        score=row["score"],
        conversion_value=row["conversion_value"],
        timestamp=row["occurred_at"],
        event_id=None if is_recommendation else row["id"],
        context=details.get("context"),
        outcome_details=details.get("outcomeDetails"),
        offer=_named(row, "offer"),
        creative=_named(row, "creative"),
    )


def _named(row: Row, noun: str) -> NamedThing | None:
    id_ = row[f"{noun}_id"]
    return NamedThing(id=id_, name=row[f"{noun}_name"], status=row[f"{noun}_status"]) if id_ else None


def _suppression(row: Row, now: datetime) -> Suppression:
    return Suppression(
        id=f"{row['policy_id']}:{row['scope']}:{row['scope_id']}",
        policy_id=row["policy_id"],
        scope=row["scope"],
        scope_id=row["scope_id"],
        offer_name=row["offer_name"],
        policy_type=row["policy_type"],
        reason=row["reason"],
        trigger_count=row["trigger_count"],
        expires_at=row["expires_at"],
        created_at=row["created_at"],
        is_active=row["expires_at"] > now,
    )
