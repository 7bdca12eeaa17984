"""The events that leave the platform: what each type's payload holds.

A type's schema only grows: a new optional field is the same version, anything else is a new type (`.v2`). Fields that
a later release added are therefore let through here unread.
"""

from __future__ import annotations

from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias
from uuid import UUID

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

AwareInstant: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]
Rank: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]
Probability: TypeAlias = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
NonEmpty: TypeAlias = Annotated[str, msgspec.Meta(min_length=1)]


class DecidedOffer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One offer of a decision; `rank` is 1-based, `selection_probability` is that of the policy that chose it."""

    offer_id: NonEmpty
    creative_id: str | None = None
    rank: Rank
    score: float
    selection_probability: Probability | None


class DecisionMade(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`decision.made.v1`: a decision was made for one customer, with or without offers.

    `recommendation_id` is the public id, as answered (`rec_<uuid>`), so that consumers can join.
    """

    tenant_id: UUID
    customer_id: NonEmpty
    recommendation_id: NonEmpty
    offers_returned: Annotated[int, msgspec.Meta(ge=0)]
    top_offer_id: str | None = None
    top_propensity: float | None = None
    decision_flow_key: NonEmpty
    timestamp: AwareInstant
    decisions: tuple[DecidedOffer, ...]
    snapshot_version: str | int


class InteractionRecorded(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`interaction.recorded.v1`: something was shown to, or done by, one customer.

    `sequence` rises with every interaction of the customer.
    """

    tenant_id: UUID
    customer_id: NonEmpty
    offer_id: NonEmpty
    creative_id: str | None = None
    channel_id: str | None = None
    interaction_type: NonEmpty
    outcome_type_key: NonEmpty
    campaign_id: str | None = None
    recommendation_id: str | None = None
    timestamp: AwareInstant
    interaction_id: UUID
    rank: Rank | None = None
    classification: NonEmpty
    direction: NonEmpty
    conversion_value: float | None = None
    sequence: Annotated[int, msgspec.Meta(ge=1)]


class ChannelActionRequested(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`channel.action.requested.v1`: a journey asks whoever serves a channel for a delivery to one customer."""

    tenant_id: UUID
    customer_id: NonEmpty
    journey_id: UUID
    enrollment_id: UUID
    node_id: NonEmpty
    channel_id: NonEmpty
    offer_id: str | None = None
    creative_id: str | None = None
    recommendation_id: str | None = None
    content: dict[str, Any]
    timestamp: AwareInstant


DECISION_MADE = "decision.made.v1"
INTERACTION_RECORDED = "interaction.recorded.v1"
CHANNEL_ACTION = "channel.action.requested.v1"

EVENT_SCHEMAS: Mapping[str, type[DecisionMade | InteractionRecorded | ChannelActionRequested]] = MappingProxyType(
    {DECISION_MADE: DecisionMade, INTERACTION_RECORDED: InteractionRecorded, CHANNEL_ACTION: ChannelActionRequested}
)
