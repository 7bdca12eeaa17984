"""What /recommend reads and answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta

from kaireon_core.decisioning.request import PlacementAsk, Routing
from kaireon_core.problems import Problem

CustomerId: TypeAlias = Annotated[str, Meta(min_length=1, max_length=255)]
ShortText: TypeAlias = Annotated[str, Meta(min_length=1, max_length=255)]
SlotCount: TypeAlias = Annotated[int, Meta(ge=1, le=50)]
SessionId: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
ANONYMOUS = "anonymous"


class AskedPlacement(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One of several placements, under either name, with how many offers it takes, under either name."""

    placement: ShortText | None = None
    placement_id: ShortText | None = None
    slots: SlotCount | None = None
    limit: SlotCount | None = None


class RecommendRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Asks for a decision for one customer. `customer_id` may be `anonymous`: then `session_id` tells who it is."""

    customer_id: CustomerId
    channel: ShortText | None = None
    channel_id: ShortText | None = None
    placement: ShortText | None = None
    placements: Annotated[list[ShortText | AskedPlacement], Meta(max_length=20)] = []
    deduplicate: bool = False
    limit: Annotated[int, Meta(ge=1, le=50)] = 5
    session_id: SessionId | None = None
    context: dict[str, Any] = {}
    segments: Annotated[list[ShortText], Meta(max_length=500)] = []
    attributes: dict[str, Any] = {}
    locale: ShortText | None = None
    currency: ShortText | None = None
    exclude_offers: Annotated[list[ShortText], Meta(max_length=10_000)] = []
    exclude_creatives: Annotated[list[ShortText], Meta(max_length=10_000)] = []
    decision_flow_key: ShortText | None = None
    blueprint_key: ShortText | None = None
    debug: bool = False

    @property
    def flow_key(self) -> str | None:
        """The flow asked for, under its name or its older one."""
        return self.decision_flow_key or self.blueprint_key

    @property
    def routing(self) -> Routing:
        """Where the answer will be shown."""
        return Routing(
            channel=self.channel,
            channel_id=self.channel_id,
            placement=self.placement,
            placements=tuple(map(_ask, self.placements)),
        )

    def problems(self) -> Iterator[Problem]:
        """Yield what the types leave open."""
        if self.placements and self.placement is not None:
            yield Problem(path="$.placements", message="send either placement or placements")
        seen = set[str]()
        for place, one in enumerate(self.placements):
            here = f"$.placements[{place}]"
            if isinstance(one, AskedPlacement):
                if (one.placement is None) == (one.placement_id is None):
                    yield Problem(path=f"{here}.placement", message="send either placement or placementId")
                    continue
                if one.slots is not None and one.limit is not None:
                    yield Problem(path=f"{here}.limit", message="send either slots or limit")
            name = _ask(one).name
            if name in seen:
                yield Problem(path=here, message="this placement stands here twice")
            seen.add(name)


def _ask(one: str | AskedPlacement) -> PlacementAsk:
    if isinstance(one, str):
        return PlacementAsk(name=one)
    return PlacementAsk(name=one.placement or one.placement_id or "", slots=one.slots or one.limit)


class DecisionItem(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One offer of an answer; `rank` is 1-based, absent parts are null."""

    offer_id: str
    offer_key: str
    offer_name: str
    category_id: str | None
    category_name: str | None
    creative_id: str | None
    creative_name: str | None
    channel_id: str | None
    channel_name: str | None
    placement_id: str | None
    content: msgspec.Raw | None
    score: float
    rank: int
    propensity: float | None
    selection_probability: float | None
    mandatory: bool
    personalization: dict[str, Any]


class FunnelStage(msgspec.Struct, frozen=True, kw_only=True):
    """How many candidates entered and left a stage."""

    stage: str
    in_: int = msgspec.field(name="in")
    out: int


class StagesMs(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The time of each stage in milliseconds."""

    validation: float = 0.0
    load: float = 0.0
    enrichment: float = 0.0
    qualification: float = 0.0
    contact_policy: float = 0.0
    scoring: float = 0.0
    ranking: float = 0.0
    optimisation: float = 0.0
    serialisation: float = 0.0


class DecisionMeta(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """About the answer; all but the flow only with `debug`."""

    decision_flow_key: str
    decision_flow_id: str
    funnel: list[FunnelStage] | None = None
    stages_ms: StagesMs | None = None
    snapshot_version: str | None = None
    flow_version: int | None = None
    guardrail_warnings: list[str] | None = None


class ExperimentAssignment(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Which variant decided."""

    experiment_key: str
    variant: str


class CoupledChannel(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An atomic channel whose placements were emptied because one of them had nothing to show."""

    channel_id: str
    channel_key: str
    placements: list[str]
    cascaded: bool = True


class Recommendation(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The answer of /recommend.

    `degraded_scoring` is absent unless a model could not score, `control_group` unless the customer is held out,
    `channel_coupling` unless channels were emptied.
    """

    recommendation_id: str
    customer_id: str
    count: int
    decisions: list[DecisionItem]
    experiment_assignment: ExperimentAssignment | None = None
    meta: DecisionMeta
    degraded_scoring: bool | msgspec.UnsetType = msgspec.UNSET
    control_group: bool | msgspec.UnsetType = msgspec.UNSET
    channel_coupling: list[CoupledChannel] | msgspec.UnsetType = msgspec.UNSET
