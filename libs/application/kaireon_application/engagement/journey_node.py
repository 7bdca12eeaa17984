"""The nodes of a journey's graph, as they are configured."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta, Struct

from kaireon_application.catalog.fields import EntityRef, Label
from kaireon_application.decisioning.wire import ShortText, SlotCount
from kaireon_application.engagement.behavioral_event import EventType

NodeId: TypeAlias = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_.:-]+$")]
_MAX_DELAY_HOURS = 365 * 24
Open: TypeAlias = Annotated[dict[str, Any], Meta(max_length=100)]


class _Config(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What a node is told."""


class _Node(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, tag_field="type"):
    """A step of the journey; `label` and `position` are for those who draw it."""

    id: NodeId
    label: Label | None = None
    position: Open | None = None


class EntryConfig(_Config, frozen=True, kw_only=True):
    """Who enters: on events of this type for which the condition holds, and who is in the segment."""

    segment_id: EntityRef | None = None
    event_type: EventType | None = None
    condition: Open = {}


class EntryTrigger(_Node, frozen=True, kw_only=True, tag="entry_trigger"):
    """Where every enrolment begins."""

    config: EntryConfig = EntryConfig()


class WaitConfig(_Config, frozen=True, kw_only=True):
    """Until so many hours are over, or such an event of the customer comes, whichever is first."""

    delay_hours: Annotated[float, Meta(gt=0, le=_MAX_DELAY_HOURS)] | None = None
    wait_for_event: EventType | None = None


class Wait(_Node, frozen=True, kw_only=True, tag="wait"):
    """Holds the enrolment."""

    config: WaitConfig


class DecisionConfig(_Config, frozen=True, kw_only=True):
    """What is asked, as of /recommend; the answer is kept under `store_result_as`, else the node's id."""

    decision_flow_key: EntityRef | None = None
    channel: ShortText | None = None
    placement: ShortText | None = None
    limit: SlotCount = 1
    context: Open = {}
    store_result_as: NodeId | None = None


class NbaDecision(_Node, frozen=True, kw_only=True, tag="nba_decision"):
    """Decides for the customer, as /recommend."""

    config: DecisionConfig = DecisionConfig()


class SplitConfig(_Config, frozen=True, kw_only=True):
    """What must hold for the edge `true`: a condition, or a formula whose value is true."""

    condition: Open = {}
    formula: Annotated[str, Meta(min_length=1, max_length=2_000)] | None = None


class ConditionSplit(_Node, frozen=True, kw_only=True, tag="condition_split"):
    """Goes on along its edge `true` or `false`."""

    config: SplitConfig


class ActionConfig(_Config, frozen=True, kw_only=True):
    """What is to be delivered where: the creative named, or what an earlier decision put first, with `content`."""

    channel_id: EntityRef
    creative_id: EntityRef | None = None
    from_decision: NodeId | None = None
    content: Open = {}


class ChannelAction(_Node, frozen=True, kw_only=True, tag="channel_action"):
    """Asks for a delivery: an event for whoever serves the channel."""

    config: ActionConfig


class ExitConfig(_Config, frozen=True, kw_only=True):
    """Why the journey is over here."""

    reason: Label | None = None


class Exit(_Node, frozen=True, kw_only=True, tag="exit"):
    """Ends the enrolment."""

    config: ExitConfig = ExitConfig()


Node: TypeAlias = EntryTrigger | Wait | NbaDecision | ConditionSplit | ChannelAction | Exit


class Edge(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Leads from one node to the next; `label` is the side of a split, under its name or a drawing tool's."""

    id: Label | None = None
    source: NodeId
    target: NodeId
    label: Literal["true", "false"] | None = None
    source_handle: Literal["true", "false"] | None = None

    @property
    def side(self) -> str | None:
        """The side of a split that it leaves from."""
        return self.label or self.source_handle


class Definition(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A journey's graph."""

    nodes: Annotated[list[Node], Meta(max_length=200)] = []
    edges: Annotated[list[Edge], Meta(max_length=400)] = []
