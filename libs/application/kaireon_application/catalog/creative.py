"""Creatives: how an offer appears on one channel and placement."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from kaireon_application.catalog.entities import EntityReader
from kaireon_application.catalog.fields import EntityRef, Key, Label, Name, OpenObject, Percentage, Status
from kaireon_application.catalog.kind import Change, EntityKind, Filter, refers
from kaireon_core.problems import Problem

TemplateType = Literal[
    "email_html",
    "email_text",
    "push_notification",
    "sms_text",
    "in_app_banner",
    "in_app_modal",
    "in_app_card",
    "web_banner",
    "web_overlay",
    "webhook_payload",
    "whatsapp_template",
]


class NewCreative(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A creative as it is created; `weight` is in percent."""

    key: Key | None = None
    name: Name
    status: Status = "draft"
    offer_id: EntityRef
    channel_id: EntityRef
    placement_id: EntityRef | None = None
    content_item_id: Label | None = None
    template_type: TemplateType = "email_html"
    content: OpenObject = field(default_factory=dict)
    personalization: Annotated[list[OpenObject], Meta(max_length=500)] = field(default_factory=list)
    constraints: OpenObject = field(default_factory=dict)
    ab_test_variant: Label | None = None
    weight: Percentage = 100
    metrics: OpenObject = field(default_factory=dict)


async def _check(reader: EntityReader, change: Change) -> Iterable[Problem]:
    """A placement is a slot of the creative's own channel."""
    placement_id = change.document["placementId"]
    if placement_id is None or change.given.isdisjoint({"placementId", "channelId"}):
        return []
    placement = (await reader.find("placement", [placement_id])).get(placement_id)
    if placement and placement.body["channelId"] == change.document["channelId"]:
        return []
    return [change.problem("must be a placement of the creative's channel", "placementId")]


CREATIVE = EntityKind(
    name="creative",
    noun="creative",
    path="creatives",
    create=NewCreative,
    example={
        "name": "Gold card email",
        "offerId": "gold-card",
        "channelId": "email",
        "status": "active",
        "content": {"subject": "Your card is waiting", "ctaUrl": "https://example.com/gold"},
    },
    filters=(
        Filter(parameter="offerId", field="offerId", type=EntityRef, kind="offer"),
        Filter(parameter="channelId", field="channelId", type=EntityRef, kind="channel"),
        Filter(parameter="placementId", field="placementId", type=EntityRef, kind="placement"),
    ),
    references=refers(offerId="offer", channelId="channel", placementId="placement"),
    check=_check,
)
