"""Journeys in Postgres: the operator's view, the worker's steps, and the tick that finds whose turn has come."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import msgspec
import psycopg
from psycopg.types.json import Jsonb

from kaireon_application.engagement.advance_journeys import CustomerMoved, TakeStep
from kaireon_application.engagement.enrollment import (
    Enrollment,
    EnrollmentDetail,
    EnrollmentPage,
    EnrollmentQuery,
    JourneyStep,
)
from kaireon_application.engagement.journey_steps import Move, Standing
from kaireon_application.engagement.reactions import NewEnrollment
from kaireon_application.errors import Busy
from kaireon_application.platform.event_schemas import CHANNEL_ACTION
from kaireon_application.platform.identity import new_ids
from kaireon_storage.postgres.decisions import is_cap_taken
from kaireon_storage.postgres.queries import queries

if TYPE_CHECKING:
    from kaireon_storage.postgres.database import Connection, Database
    from kaireon_storage.postgres.decisions import PostgresDecisions

# How many enrolments one job advances, and after how long one that was queued in vain is queued again.
_CHUNK_SIZE = 200
_AGAIN_SECONDS = 300.0
_TICK_COUNT = 5_000

_encode = msgspec.json.Encoder().encode


async def write_enrollments(connection: Connection, tenant_id: UUID, new: Sequence[NewEnrollment]) -> list[UUID]:
    """Let customers in, inside an open transaction; return the ids of those who were not in their journey already."""
    if not new:
        return []
    written = queries("journeys").enroll(
        connection,
        tenant_id=tenant_id,
        ids=[UUID(one.id) for one in new],
        journey_ids=[UUID(one.journey_id) for one in new],
        customer_ids=[one.customer_id for one in new],
        node_ids=[one.node_id for one in new],
        contexts=[_encode(one.context).decode() for one in new],
        days=[one.max_days for one in new],
    )
    return [row["id"] async for row in written]


async def queue_advance(connection: Connection, tenant_id: UUID, ids: Sequence[UUID]) -> list[UUID]:
    """Queue the jobs that advance these enrolments, inside an open transaction; return their ids."""
    jobs = list[UUID]()
    for first in range(0, len(ids), _CHUNK_SIZE):
        jobs.append(uuid4())
        part = list(ids[first : first + _CHUNK_SIZE])
        await queries("journeys").queue_advance(connection, tenant_id=tenant_id, id=jobs[-1], enrollment_ids=part)
    return jobs


class PostgresEnrollments:
    """Implements `EnrollmentShelf`."""

    def __init__(self, database: Database) -> None:
        """Keep enrolments in this database."""
        self._database = database
        self._sql = queries("journeys")

    async def enroll(self, tenant_id: UUID, new: Sequence[NewEnrollment]) -> tuple[list[UUID], list[UUID]]:
        """Write those who are not in the journey already, and jobs that advance them."""
        async with self._database.transaction(tenant_id) as connection:
            written = await write_enrollments(connection, tenant_id, new)
            return written, await queue_advance(connection, tenant_id, written)

    async def page(self, tenant_id: UUID, query: EnrollmentQuery) -> EnrollmentPage:
        """Return one page."""
        chosen = {
            "tenant_id": tenant_id,
            "journey_id": query.journey_id,
            "status": query.status,
            "customer_id": query.customer_id,
        }
        after = query.after
        async with self._database.transaction(tenant_id) as connection:
            counted = await self._sql.count_enrollments(connection, **chosen)
            found = self._sql.page_enrollments(
                connection,
                **chosen,
                after_at=after.entered_at if after else None,
                after_id=after.id if after else None,
                row_count=query.limit + 1,
            )
            rows = [row async for row in found]
        shown = [Enrollment(**row) for row in rows[: query.limit]]
        return EnrollmentPage(enrollments=shown, total=counted["total"], has_more=len(rows) > query.limit)

    async def get(self, tenant_id: UUID, journey_id: UUID, id_: UUID) -> EnrollmentDetail | None:
        """Return an enrolment with its steps, or None."""
        async with self._database.transaction(tenant_id) as connection:
            row = await self._sql.get_enrollment(connection, tenant_id=tenant_id, journey_id=journey_id, id=id_)
            if row is None:
                return None
            steps = [
                JourneyStep(**step) async for step in self._sql.list_steps(connection, tenant_id=tenant_id, id=id_)
            ]
        return EnrollmentDetail(**row, steps=steps)


class PostgresJourneys:
    """Implements `JourneyStore`, with decisions that are committed in the transaction of their step."""

    def __init__(self, database: Database, decisions: PostgresDecisions) -> None:
        """Advance the enrolments of this database."""
        self._database = database
        self._decisions = decisions
        self._sql = queries("journeys")

    async def standing(self, tenant_id: UUID, id_: UUID) -> Standing | None:
        """Return where an enrolment stands, None unless it is active and its turn has come."""
        async with self._database.transaction(tenant_id) as connection:
            row = await self._sql.standing(connection, tenant_id=tenant_id, id=id_)
        return None if row is None else Standing(**row)

    def taking(self, tenant_id: UUID) -> TakeStep:
        """Return how to take steps, each in a transaction of its own."""

        async def take(standing: Standing, move: Move) -> bool:
            try:
                async with self._database.transaction(tenant_id) as connection:
                    await self._write(connection, tenant_id, standing, move)
            except _Taken:
                return False
            return True

        return take

    @asynccontextmanager
    async def holding(self, tenant_id: UUID, customer_id: str) -> AsyncGenerator[TakeStep]:
        """Hold a customer's row until the block ends."""
        async with self._database.transaction(tenant_id) as connection:
            await queries("decisions").hold_customer(connection, tenant_id=tenant_id, customer_id=customer_id)

            async def take(standing: Standing, move: Move) -> bool:
                try:
                    async with connection.transaction():
                        await self._write(connection, tenant_id, standing, move)
                except _Taken:
                    return False
                except psycopg.OperationalError as error:
                    raise Busy from error
                return True

            yield take

    async def _write(self, connection: Connection, tenant_id: UUID, standing: Standing, move: Move) -> None:
        """Write a step's effect and its move. Raises `_Taken` and `CustomerMoved`: then all of it is undone."""
        # The customer's row comes first, here and wherever events are recorded: nobody waits for each other.
        if move.drafted is not None:
            await self._commit(connection, move)
        moved = await self._sql.move(
            connection,
            tenant_id=tenant_id,
            id=UUID(standing.id),
            step_count=standing.step_count,
            node_id=move.node_id,
            status=move.status.value,
            reason=move.reason,
            context=Jsonb(move.context),
            is_waiting=move.holdup is not None,
            waiting_for=move.holdup.event_type if move.holdup else None,
            wait_seconds=move.holdup.seconds if move.holdup else None,
        )
        if moved is None:
            raise _Taken
        await self._sql.insert_step(
            connection,
            tenant_id=tenant_id,
            enrollment_id=UUID(standing.id),
            number=standing.step_count + 1,
            node_id=standing.node_id,
            node_type=move.node_type,
            outcome=Jsonb(move.outcome),
        )
        if move.delivery is not None:
            await self._tell(connection, tenant_id, standing, move)

    async def _commit(self, connection: Connection, move: Move) -> None:
        assert move.drafted is not None  # noqa: S101 - asked for decisions only
        try:
            async with connection.transaction():
                (has_won,) = await self._decisions.commit_within(connection, move.drafted.changes)
        except psycopg.IntegrityError as error:
            if is_cap_taken(error):
                raise CustomerMoved from error
            raise
        if not has_won:
            raise CustomerMoved

    async def _tell(self, connection: Connection, tenant_id: UUID, standing: Standing, move: Move) -> None:
        assert move.delivery is not None  # noqa: S101 - asked for deliveries only
        now = datetime.now(UTC)
        payload: dict[str, Any] = {
            "tenantId": str(tenant_id),
            "customerId": standing.customer_id,
            "journeyId": standing.journey_id,
            "enrollmentId": standing.id,
            "nodeId": standing.node_id,
            "channelId": move.delivery.channel_id,
            "offerId": move.delivery.offer_id,
            "creativeId": move.delivery.creative_id,
            "recommendationId": move.delivery.recommendation_id,
            "content": move.delivery.content,
            "timestamp": now.isoformat(),
        }
        (id_,) = new_ids(int(now.timestamp() * 1000), 1)
        await self._sql.insert_event(
            connection,
            id=UUID(id_),
            tenant_id=tenant_id,
            type=CHANNEL_ACTION,
            key=standing.customer_id,
            payload=Jsonb(payload),
        )


class PostgresJourneyTick:
    """Implements `JourneyTick`."""

    def __init__(self, database: Database) -> None:
        """Look after the enrolments of this database."""
        self._database = database
        self._sql = queries("journeys")

    async def end_gone(self) -> int:
        """End the enrolments of journeys that are gone."""
        async with self._database.system_transaction() as connection:
            return await self._sql.end_gone(connection)

    async def queue_due(self) -> int:
        """Queue jobs for some of the enrolments whose turn has come."""
        async with self._database.system_transaction() as connection:
            row = await self._sql.queue_due(
                connection, again_seconds=_AGAIN_SECONDS, row_count=_TICK_COUNT, chunk_size=_CHUNK_SIZE
            )
        return row["total"]


class _Taken(Exception):
    """Somebody else has taken the step."""
