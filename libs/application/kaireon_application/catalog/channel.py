"""Channels and their placements: where an offer may appear."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from kaireon_application.catalog.fields import EntityRef, Key, Label, Name, OpenObject, PositiveCount, Status, Text
from kaireon_application.catalog.kind import Cascade, EntityKind, Filter, Inline, refers

ChannelType = Literal["email", "push", "sms", "in_app", "web", "webhook", "whatsapp", "direct_mail"]


class ChannelPlacement(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A placement as it is created with its channel; `maxSlots` is how many offers it shows."""

    key: Key | None = None
    name: Name
    status: Status = "active"
    description: Text | None = None
    slot_type: Label = "banner"
    max_slots: PositiveCount = 1
    schema: OpenObject = field(default_factory=dict)
    targeting: OpenObject = field(default_factory=dict)


class NewPlacement(ChannelPlacement, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A placement as it is created on its own."""

    channel_id: EntityRef


class NewChannel(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A channel as it is created.

    With `impressionMode` explicit the client reports impressions; with implicit a decision is one.
    """

    key: Key | None = None
    name: Name
    status: Status = "draft"
    channel_type: ChannelType = "email"
    description: Text | None = None
    delivery_mode: Literal["api", "file", "integration", "manual"] = "api"
    impression_mode: Literal["explicit", "implicit"] = "explicit"
    coupling_mode: Literal["partial", "atomic"] = "partial"
    provider_config: OpenObject = field(default_factory=dict)
    file_config: OpenObject = field(default_factory=dict)
    placements: Annotated[list[ChannelPlacement], Meta(max_length=100)] = field(default_factory=list)


PLACEMENT = EntityKind(
    name="placement",
    noun="placement",
    path="placements",
    create=NewPlacement,
    example={"name": "Hero banner", "key": "hero_banner", "channelId": "web"},
    filters=(Filter(parameter="channelId", field="channelId", type=EntityRef, kind="channel"),),
    references=refers(channelId="channel"),
)

CHANNEL = EntityKind(
    name="channel",
    noun="channel",
    path="channels",
    create=NewChannel,
    example={
        "name": "Web",
        "channelType": "web",
        "status": "active",
        "impressionMode": "implicit",
        "placements": [{"name": "Hero banner", "key": "hero_banner", "slotType": "banner"}],
    },
    fixed_fields=frozenset({"placements"}),
    cascades=(Cascade(kind=PLACEMENT, field="channelId"),),
    inline=Inline(field="placements", kind=PLACEMENT, parent_field="channelId"),
)
