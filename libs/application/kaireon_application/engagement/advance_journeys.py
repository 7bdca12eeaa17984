"""The job that advances enrolments: step by step, each step's effect and the move it makes in one transaction."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import msgspec

from kaireon_application.catalog.entities import Entities, Entity
from kaireon_application.decisioning.decide_together import DecideTogether
from kaireon_application.decisioning.recommend import MAX_ATTEMPTS
from kaireon_application.decisioning.snapshots import Snapshots
from kaireon_application.engagement.enrollment import EnrollmentStatus
from kaireon_application.engagement.journey import KIND
from kaireon_application.engagement.journey_graph import Graph, graph_of
from kaireon_application.engagement.journey_steps import JourneySteps, Move, Standing, Taking
from kaireon_application.errors import Busy, CapTaken, KaireonError, Unavailable
from kaireon_application.platform.job import JobRun, decode_payload
from kaireon_runtime.catalogue import JOURNEY_ENROLLMENTS_ENDED, JOURNEY_STEPS, UNEXPECTED_ERRORS
from kaireon_runtime.logs import logger
from kaireon_runtime.metrics import Metrics

_ACTIVE = "active"


class AdvancePayload(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Whose turn it may be."""

    enrollment_ids: list[UUID]


class CustomerMoved(KaireonError):
    """The customer moved on, or a cap was taken, since the decision was made: nothing was written."""


class TakeStep(Protocol):
    """Writes a step's effect and its move in one transaction."""

    async def __call__(self, standing: Standing, move: Move) -> bool:
        """Return False, having written nothing, when somebody else has taken the step. Raises `CustomerMoved`."""
        ...


class JourneyStore(Protocol):
    """Enrolments as a worker sees them. Every method raises `Unavailable` while Postgres cannot be reached."""

    async def standing(self, tenant_id: UUID, id_: UUID) -> Standing | None:
        """Return where an enrolment stands, None unless it is active and its turn has come."""
        ...

    def taking(self, tenant_id: UUID) -> TakeStep:
        """Return how to take steps."""
        ...

    def holding(self, tenant_id: UUID, customer_id: str) -> AbstractAsyncContextManager[TakeStep]:
        """Hold a customer's row: until the block ends only the step that it yields can decide for the customer."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvanceJourneys:
    """The use case; safe to run again: a step that was taken is not taken again."""

    snapshots: Snapshots
    entities: Entities
    store: JourneyStore
    steps: JourneySteps
    decide: DecideTogether
    metrics: Metrics

    async def __call__(self, run: JobRun) -> dict[str, Any]:
        """Advance these enrolments as far as they go now, and return the job's result."""
        ids = decode_payload(run, AdvancePayload).enrollment_ids
        await self.snapshots.look()
        journeys, steps = dict[str, Entity | None](), 0
        for place, id_ in enumerate(ids, 1):
            steps += await self._advance(run.job.tenant_id, id_, journeys)
            await run.report(place, len(ids))
        return {"enrollments": len(ids), "steps": steps}

    async def _advance(self, tenant_id: UUID, id_: UUID, journeys: dict[str, Entity | None]) -> int:
        """Take the steps of one enrolment until it waits or ends, and return how many they were."""
        taken = 0
        while (standing := await self.store.standing(tenant_id, id_)) is not None:
            journey = await self._journey(tenant_id, standing.journey_id, journeys)
            if journey is None or journey.status != _ACTIVE:
                # It stands still until the journey is active again; one that is gone is ended by the tick.
                break
            move = await self._step(tenant_id, graph_of(journey.body), standing)
            if move is None:
                break
            taken += 1
            self._count(move)
            if move.is_last:
                break
        return taken

    async def _journey(self, tenant_id: UUID, journey_id: str, known: dict[str, Entity | None]) -> Entity | None:
        if journey_id not in known:
            async with self.entities.reading(tenant_id) as reader:
                known[journey_id] = (await reader.find(KIND, [journey_id])).get(journey_id)
        return known[journey_id]

    async def _step(self, tenant_id: UUID, graph: Graph, standing: Standing) -> Move | None:
        """Take one step; None when somebody else has."""
        take = self.store.taking(tenant_id)
        if standing.is_expired or standing.node_id not in graph.nodes:
            move = _over(standing)
            return move if await take(standing, move) else None
        taking = Taking(snapshot=await self.snapshots.current(str(tenant_id)), graph=graph, standing=standing)
        for _ in range(MAX_ATTEMPTS):
            try:
                return await self._take(taking, take)
            except CustomerMoved:
                continue
        while True:
            # Ends: each time that a cap was taken meanwhile, less of it is left to be taken.
            try:
                async with self.store.holding(tenant_id, standing.customer_id) as held:
                    return await self._take(taking, held)
            except CustomerMoved:
                continue

    async def _take(self, taking: Taking, take: TakeStep) -> Move | None:
        standing = taking.standing
        move = await self._move(taking)
        if not await take(standing, move):
            return None
        if move.drafted is not None:
            self.decide.committed(move.drafted, [True])
        return move

    async def _move(self, taking: Taking) -> Move:
        """Return what the step does; a fault that trying again would not mend ends the enrolment."""
        standing = taking.standing
        node = taking.graph.nodes[standing.node_id]
        try:
            return await self.steps(taking, node)
        except (Unavailable, Busy, CapTaken):
            raise
        except Exception as error:  # noqa: BLE001 - one enrolment's fault is its own: told in it, counted and logged
            told = error.message if isinstance(error, KaireonError) else "the step failed"
            if not isinstance(error, KaireonError):
                self.metrics.add(UNEXPECTED_ERRORS, "worker")
                logger("kaireon.journeys").error("a step of a journey failed", exc_info=error)
            return Move(
                node_id=standing.node_id,
                node_type=str(type(node).__struct_config__.tag),
                outcome={"error": told},
                context=standing.context,
                status=EnrollmentStatus.FAILED,
                reason=told,
            )

    def _count(self, move: Move) -> None:
        self.metrics.add(JOURNEY_STEPS, move.node_type)
        if move.status is not EnrollmentStatus.ACTIVE:
            self.metrics.add(JOURNEY_ENROLLMENTS_ENDED, move.status.value)


def _over(standing: Standing) -> Move:
    """Return the end of an enrolment whose time is over, or whose node was removed."""
    status, reason = EnrollmentStatus.EXITED, "node_removed"
    if standing.is_expired:
        status, reason = EnrollmentStatus.EXPIRED, "max_duration_reached"
    return Move(
        node_id=standing.node_id,
        node_type="exit",
        outcome={"reason": reason},
        context=standing.context,
        status=status,
        reason=reason,
    )
