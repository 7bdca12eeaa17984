"""A journey tried for one customer: the steps that would be taken now, waits passed over, and nothing is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from kaireon_application.catalog.entities import Entities
from kaireon_application.catalog.read_entity import require
from kaireon_application.customers.outcome_form import CustomerId
from kaireon_application.decisioning.snapshots import Snapshots
from kaireon_application.engagement.enrollment import EnrollmentStatus
from kaireon_application.engagement.journey import KIND
from kaireon_application.engagement.journey_graph import graph_of
from kaireon_application.engagement.journey_steps import JourneySteps, Move, Standing, Taking
from kaireon_application.errors import Conflict, KaireonError, Unavailable

# A circle is walked no further than this.
_MOST_STEPS = 200


class TrialForm(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """For whom, and what the journey's conditions may look at beside what is stored; `end_waits_by` ends every wait."""

    customer_id: CustomerId = "test"
    customer_attributes: Annotated[dict[str, Any], Meta(max_length=100)] = {}
    event: Annotated[dict[str, Any], Meta(max_length=100)] | None = None
    end_waits_by: Literal["time", "event"] = "time"


class TrialStep(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A step that would be taken."""

    node_id: str
    node_type: str
    outcome: dict[str, Any]


class Trial(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where the journey would lead; `status` is active where it was followed no further."""

    journey_id: UUID
    customer_id: str
    status: EnrollmentStatus
    reason: str | None
    waited_hours: float
    trace: list[TrialStep]


@dataclass(frozen=True, slots=True, kw_only=True)
class TryJourney:
    """The use case; one per process."""

    snapshots: Snapshots
    entities: Entities
    steps: JourneySteps

    async def __call__(self, tenant_id: UUID, reference: str, form: TrialForm) -> Trial:
        """Walk the graph. Raises `NotFound`, and `Conflict` for a journey without nodes."""
        async with self.entities.reading(tenant_id) as reader:
            journey = await require(reader, KIND, reference)
        graph, trace, hours = graph_of(journey.body), list[TrialStep](), 0.0
        if graph.entry is None:
            message = "the journey has no nodes yet"
            raise Conflict(message)
        standing, move = _beginning(form, str(journey.id), graph.entry.id), None
        snapshot = await self.snapshots.current(str(tenant_id))
        for _ in range(_MOST_STEPS):
            move = await self._move(Taking(snapshot=snapshot, graph=graph, standing=standing))
            trace.append(TrialStep(node_id=standing.node_id, node_type=move.node_type, outcome=move.outcome))
            if move.holdup is not None and form.end_waits_by == "time":
                hours += (move.holdup.seconds or 0) / 3600
            if move.status is not EnrollmentStatus.ACTIVE:
                break
            standing = _after(standing, move, form)
        assert move is not None  # noqa: S101 - the loop has run
        return Trial(
            journey_id=journey.id,
            customer_id=form.customer_id,
            status=move.status,
            reason=move.reason,
            waited_hours=hours,
            trace=trace,
        )

    async def _move(self, taking: Taking) -> Move:
        node = taking.graph.nodes[taking.standing.node_id]
        try:
            return await self.steps(taking, node)
        except Unavailable:
            raise
        except KaireonError as error:
            return Move(
                node_id=node.id,
                node_type=str(type(node).__struct_config__.tag),
                outcome={"error": error.message},
                context={},
                status=EnrollmentStatus.FAILED,
                reason=error.message,
            )


def _beginning(form: TrialForm, journey_id: str, node_id: str) -> Standing:
    context: dict[str, Any] = {"attributes": form.customer_attributes}
    return Standing(
        id="",
        journey_id=journey_id,
        customer_id=form.customer_id,
        node_id=node_id,
        step_count=0,
        is_waiting=False,
        woken_by=None,
        is_expired=False,
        context=context if form.event is None else {**context, "event": form.event},
    )


def _after(standing: Standing, move: Move, form: TrialForm) -> Standing:
    """Return where the enrolment would stand after a move, a wait being over at once."""
    awaited = move.holdup.event_type if move.holdup else None
    return msgspec.structs.replace(
        standing,
        node_id=move.node_id,
        step_count=standing.step_count + 1,
        context=move.context,
        is_waiting=move.holdup is not None,
        woken_by=awaited if form.end_waits_by == "event" else None,
    )
