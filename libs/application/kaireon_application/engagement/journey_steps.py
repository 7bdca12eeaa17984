"""What each node of a journey does, as a move to be written; nothing is written here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Protocol

import msgspec

from kaireon_application.decisioning.decide_together import Drafted
from kaireon_application.decisioning.snapshot import TenantSnapshot
from kaireon_application.decisioning.wire import Recommendation, RecommendRequest
from kaireon_application.engagement.condition import Look, compile_holds, fields_of
from kaireon_application.engagement.enrollment import EnrollmentStatus
from kaireon_application.engagement.journey_facts import JourneyFacts, part_of
from kaireon_application.engagement.journey_graph import Graph
from kaireon_application.engagement.journey_node import (
    ChannelAction,
    ConditionSplit,
    EntryTrigger,
    Exit,
    NbaDecision,
    Node,
    Wait,
)
from kaireon_core.column import Column
from kaireon_core.formula.cells import Cells, Formula

_HOUR_SECONDS = 3600.0


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where an active enrolment stands, when its turn has come; `woken_by` is the event that ended its wait."""

    id: str
    journey_id: str
    customer_id: str
    node_id: str
    step_count: int
    is_waiting: bool
    woken_by: str | None
    is_expired: bool
    context: dict[str, Any]


class Holdup(msgspec.Struct, frozen=True, kw_only=True):
    """What a wait waits for: so many seconds (None: no end of its own), or an event of this type."""

    seconds: float | None
    event_type: str | None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be delivered, as its event tells it."""

    channel_id: str
    offer_id: str | None
    creative_id: str | None
    recommendation_id: str | None
    content: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What a step does to an enrolment: where it goes, what is remembered, and what is written with it."""

    node_id: str
    node_type: str
    outcome: dict[str, Any]
    context: dict[str, Any]
    status: EnrollmentStatus = EnrollmentStatus.ACTIVE
    reason: str | None = None
    holdup: Holdup | None = None
    drafted: Drafted | None = None
    delivery: Delivery | None = None

    @property
    def is_last(self) -> bool:
        """Whether nothing more happens for now."""
        return self.holdup is not None or self.status is not EnrollmentStatus.ACTIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A decision of a journey; `drafted` is what there is to commit, None in a test."""

    answer: Recommendation
    drafted: Drafted | None = None


class Decide(Protocol):
    """Decides for one customer, without committing."""

    async def __call__(self, snapshot: TenantSnapshot, request: RecommendRequest) -> Decided:
        """Return the decision. Raises `NotFound` when no such flow is active."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Taking:
    """A step about to be taken."""

    snapshot: TenantSnapshot
    graph: Graph
    standing: Standing

    def on(
        self, node: Node, outcome: dict[str, Any], *, side: str | None = None, context: dict[str, Any] | None = None
    ) -> Move:
        """Return the move to the node that comes next; where none does, the journey is completed."""
        following = self.graph.after(node.id, side)
        return Move(
            node_id=following or node.id,
            node_type=str(type(node).__struct_config__.tag),
            outcome=outcome,
            context=self.standing.context if context is None else context,
            status=EnrollmentStatus.ACTIVE if following else EnrollmentStatus.COMPLETED,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class JourneySteps:
    """Takes steps."""

    facts: JourneyFacts
    decide: Decide

    async def __call__(self, taking: Taking, node: Node) -> Move:
        """Return what a node does with an enrolment that stands at it."""
        return await _STEPS[type(node)](self, taking, node)

    async def enter(self, taking: Taking, node: EntryTrigger) -> Move:
        """Let in; who came by an event must be in the segment."""
        segment_id, by_event = node.config.segment_id, "event" in taking.standing.context
        if by_event and segment_id is not None:
            customer_id = taking.standing.customer_id
            if not await self.facts.is_member(taking.snapshot, customer_id, segment_id):
                return _ended(taking.on(node, {"isMember": False}), EnrollmentStatus.EXITED, "not_in_segment")
        return taking.on(node, {})

    async def wait(self, taking: Taking, node: Wait) -> Move:
        """Begin to wait, or go on once that is over."""
        if taking.standing.is_waiting:
            woken_by = taking.standing.woken_by
            return taking.on(node, {"resumedBy": "time" if woken_by is None else "event", "eventType": woken_by})
        hours = node.config.delay_hours
        return Move(
            node_id=node.id,
            node_type="wait",
            outcome={"waiting": True, "delayHours": hours, "waitForEvent": node.config.wait_for_event},
            context=taking.standing.context,
            holdup=Holdup(
                seconds=None if hours is None else hours * _HOUR_SECONDS, event_type=node.config.wait_for_event
            ),
        )

    async def decision(self, taking: Taking, node: NbaDecision) -> Move:
        """Decide, and remember what for the steps that follow."""
        config, context = node.config, taking.standing.context
        request = RecommendRequest(
            customer_id=taking.standing.customer_id,
            decision_flow_key=config.decision_flow_key,
            channel=config.channel,
            placement=config.placement,
            limit=config.limit,
            context=config.context,
            attributes=part_of(context, "attributes"),
        )
        decided = await self.decide(taking.snapshot, request)
        result = _remembered(decided.answer)
        name = config.store_result_as or node.id
        decisions = {**part_of(context, "decisions"), name: result}
        move = taking.on(node, result, context={**context, "decisions": decisions})
        return replace(move, drafted=decided.drafted)

    async def split(self, taking: Taking, node: ConditionSplit) -> Move:
        """Take the side on which the condition is."""
        formula = None if node.config.formula is None else Formula.of(node.config.formula)
        fields = formula.names if formula else fields_of(node.config.condition)
        standing = taking.standing
        look = await self.facts.look(taking.snapshot, standing.customer_id, standing.context, fields)
        holds = _is_true(formula, look) if formula else compile_holds(node.config.condition)(look)
        return taking.on(node, {"holds": holds}, side="true" if holds else "false")

    async def action(self, taking: Taking, node: ChannelAction) -> Move:
        """Ask for a delivery; where the decision it is of has nothing to show, nothing is asked for."""
        config = node.config
        delivery = Delivery(
            channel_id=config.channel_id,
            offer_id=None,
            creative_id=config.creative_id,
            recommendation_id=None,
            content=config.content,
        )
        if config.from_decision is not None:
            result = part_of(part_of(taking.standing.context, "decisions"), config.from_decision)
            if not result.get("offers"):
                return taking.on(node, {"delivered": False, "reason": "nothing was decided"})
            best: dict[str, Any] = result["offers"][0]
            delivery = msgspec.structs.replace(
                delivery,
                offer_id=best["offerId"],
                creative_id=best["creativeId"],
                recommendation_id=result["recommendationId"],
            )
        outcome = {"delivered": True, "channelId": delivery.channel_id, "creativeId": delivery.creative_id}
        return replace(taking.on(node, {**outcome, "offerId": delivery.offer_id}), delivery=delivery)

    async def leave(self, taking: Taking, node: Exit) -> Move:
        """End the journey."""
        return _ended(taking.on(node, {"reason": node.config.reason}), EnrollmentStatus.COMPLETED, node.config.reason)


_STEPS: Mapping[type[Node], Callable[[JourneySteps, Taking, Any], Awaitable[Move]]] = MappingProxyType(
    {
        EntryTrigger: JourneySteps.enter,
        Wait: JourneySteps.wait,
        NbaDecision: JourneySteps.decision,
        ConditionSplit: JourneySteps.split,
        ChannelAction: JourneySteps.action,
        Exit: JourneySteps.leave,
    }
)


def _ended(move: Move, status: EnrollmentStatus, reason: str | None) -> Move:
    return replace(move, status=status, reason=reason)


def _remembered(answer: Recommendation) -> dict[str, Any]:
    return {
        "recommendationId": answer.recommendation_id,
        "count": answer.count,
        "offers": [
            {
                "offerId": one.offer_id,
                "offerKey": one.offer_key,
                "creativeId": one.creative_id,
                "channelId": one.channel_id,
                "rank": one.rank,
                "score": one.score,
            }
            for one in answer.decisions
        ],
    }


def _is_true(formula: Formula, look: Look) -> bool:
    value = formula.evaluate(lambda name: Cells.of_column(Column.from_values([look(name)])))
    return bool(value.is_true()[0])
