"""What a simulation is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from kaireon_application.decisioning.decide_list import MAX_CUSTOMERS, DecideCustomer
from kaireon_application.decisioning.wire import DecisionItem, RecommendRequest, ShortText
from kaireon_core.decisioning.request import Routing
from kaireon_core.problems import Problem


class SimulateRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Asks what would be decided: by a published flow, or by a `flow` document as a draft would hold it.

    For `customers`, or the first `sample_size` members of a stored segment, in the order of its schema's primary key.
    `blueprintKey` and `channelFilter` are older names of `decisionFlowKey` and `channel`.
    """

    decision_flow_key: ShortText | None = None
    blueprint_key: ShortText | None = None
    flow: dict[str, Any] | None = None
    customers: list[DecideCustomer] = []
    channel: ShortText | None = None
    channel_filter: ShortText | None = None
    channel_id: ShortText | None = None
    placement: ShortText | None = None
    limit: Annotated[int, Meta(ge=1, le=50)] = 5
    segment_id: ShortText | None = None
    sample_size: Annotated[int, Meta(ge=1, le=MAX_CUSTOMERS)] | None = None

    @property
    def flow_key(self) -> str | None:
        """The published flow asked for."""
        return self.decision_flow_key or self.blueprint_key

    @property
    def routing(self) -> Routing:
        """Where the answers would be shown."""
        return Routing(
            channel=self.channel or self.channel_filter, channel_id=self.channel_id, placement=self.placement
        )

    def problems(self) -> Iterator[Problem]:
        """Yield what the types leave open."""
        if self.flow is not None and self.flow_key is not None:
            yield Problem(path="$.flow", message="send either flow or decisionFlowKey")
        if self.segment_id is not None:
            if self.customers:
                yield Problem(path="$.segmentId", message="send either customers or segmentId")
            return
        if self.sample_size is not None:
            yield Problem(path="$.sampleSize", message="is for a segment only: send segmentId, or leave it out")
        if not 0 < len(self.customers) <= MAX_CUSTOMERS:
            yield Problem(path="$.customers", message=f"must have 1 to {MAX_CUSTOMERS} customers")

    def requests(self) -> list[RecommendRequest]:
        """Return what to ask for each customer, in the order of first mention; a customer is decided once."""
        first = dict[str, DecideCustomer]()
        for customer in self.customers:
            first.setdefault(customer.customer_id, customer)
        return [
            RecommendRequest(
                customer_id=customer.customer_id,
                attributes=customer.attributes,
                context=customer.context,
                segments=customer.segments,
                channel=self.routing.channel,
                channel_id=self.channel_id,
                placement=self.placement,
                limit=self.limit,
            )
            for customer in first.values()
        ]


class TopScore(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One of the best candidates of a customer, chosen or not."""

    offer_id: str
    offer_key: str
    score: float


class TraceSummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How many candidates there were, how many were left, and the best of those that were scored."""

    total_candidates: int
    after_qualification: int
    after_contact_policy: int
    top_scores: list[TopScore]


class SimulatedCustomer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What would be decided for one customer; the items are those of /recommend."""

    customer_id: str
    decisions: list[DecisionItem]
    trace_summary: TraceSummary
    degraded_scoring: bool


class OfferCount(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How many customers would get an offer."""

    offer_id: str
    offer_key: str
    count: int


class Simulation(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What would be decided. `reachable_customers` get an offer; `average_score` is null when nobody does."""

    id: str
    status: Literal["completed"] = "completed"
    decision_flow_key: str | None
    reachable_customers: int
    offers_delivered: int
    average_score: float | None
    top_offers: list[OfferCount]
    results: list[SimulatedCustomer]
