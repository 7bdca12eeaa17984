"""What an outcome is about: found from a recommendation and rank, a creative, or an offer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias
from uuid import UUID

import msgspec

from kaireon_application.customers.outcome_form import OutcomeForm
from kaireon_application.decisioning.decided_customer import PUBLIC_PREFIX
from kaireon_application.decisioning.snapshot import TenantSnapshot
from kaireon_application.errors import InvalidInput, NotFound
from kaireon_application.platform.identity import instant_of
from kaireon_core.decisioning.calendar import DAY_MS

ANSWERABLE_DAYS = 30
# No answer is longer.
_MAX_RANK = 1_000


class Recommended(msgspec.Struct, frozen=True, kw_only=True):
    """What was recommended at a rank of a decision."""

    offer_id: str
    creative_id: str | None
    channel_id: str | None
    placement_id: str | None
    # What models that learn from features read then, by name; None where that was not kept.
    features: dict[str, Any] | None = None


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What an outcome is about; names are null for what has been deleted since."""

    offer_id: str
    offer_name: str | None
    category_name: str | None
    creative_id: str | None = None
    creative_name: str | None = None
    channel_id: str | None = None
    channel_name: str | None = None
    placement_id: str | None = None
    decision_id: str | None = None
    rank: int | None = None
    features: dict[str, Any] | None = None


FindRecommended: TypeAlias = Callable[[str, str, str, int], Awaitable[Recommended | None]]


async def resolve_target(
    find: FindRecommended, snapshot: TenantSnapshot, tenant_id: str, form: OutcomeForm, now_ms: int
) -> Target:
    """Return what the form names. Raises `InvalidInput` when it names nothing, `NotFound` when that does not exist."""
    if form.recommendation_id is not None:
        if form.rank is None:
            raise InvalidInput.at("$.rank", "is required with recommendationId")
        decision_id = _answerable(form.recommendation_id, now_ms) if form.rank <= _MAX_RANK else None
        found = await find(tenant_id, form.customer_id, decision_id, form.rank) if decision_id else None
        if found is None:
            message = f"nothing was recommended to this customer at rank {form.rank} of '{form.recommendation_id}'"
            raise NotFound.reference("$.recommendationId", message)
        return _named(snapshot, found, decision_id, form.rank)
    if form.creative is not None:
        return _of_creative(snapshot, form.creative)
    if form.offer_id is not None:
        return _of_offer(snapshot, form)
    raise InvalidInput.at("$.recommendationId", "is required with rank, unless creativeId says what was shown")


def decision_id_of(public_id: str) -> str | None:
    """Return the UUID of a recommendation id (`rec_<uuid>` or the UUID alone), None for any other text."""
    try:
        return str(UUID(public_id.removeprefix(PUBLIC_PREFIX)))
    except ValueError:
        return None


def _answerable(public_id: str, now_ms: int) -> str | None:
    """Return the UUID of a recommendation id that may still be answered."""
    decision_id = decision_id_of(public_id)
    if decision_id is None or now_ms - instant_of(decision_id) > ANSWERABLE_DAYS * DAY_MS:
        return None
    return decision_id


def _of_creative(snapshot: TenantSnapshot, reference: str) -> Target:
    creative = snapshot.find("creatives", reference)
    if creative is None:
        raise NotFound.reference("$.creativeId", f"there is no creative '{reference}'")
    body = creative.body
    shown = Recommended(
        offer_id=body["offerId"],
        creative_id=creative.id,
        channel_id=body.get("channelId"),
        placement_id=body.get("placementId"),
    )
    return _named(snapshot, shown, None, None)


def _of_offer(snapshot: TenantSnapshot, form: OutcomeForm) -> Target:
    offer = snapshot.find("offers", form.offer_id)
    if offer is None:
        raise NotFound.reference("$.offerId", f"there is no offer '{form.offer_id}'")
    channel = snapshot.find("channels", form.channel_id)
    if form.channel_id is not None and channel is None:
        raise NotFound.reference("$.channelId", f"there is no channel '{form.channel_id}'")
    shown = Recommended(
        offer_id=offer.id, creative_id=None, channel_id=channel.id if channel else None, placement_id=None
    )
    return _named(snapshot, shown, None, None)


def _named(snapshot: TenantSnapshot, shown: Recommended, decision_id: str | None, rank: int | None) -> Target:
    offer = snapshot.find("offers", shown.offer_id)
    category = snapshot.find("categories", offer.body.get("categoryId") if offer else None)
    creative = snapshot.find("creatives", shown.creative_id)
    channel = snapshot.find("channels", shown.channel_id)
    return Target(
        offer_id=shown.offer_id,
        offer_name=offer.name if offer else None,
        category_name=category.name if category else None,
        creative_id=shown.creative_id,
        creative_name=creative.name if creative else None,
        channel_id=shown.channel_id,
        channel_name=channel.name if channel else None,
        placement_id=shown.placement_id,
        decision_id=decision_id,
        rank=rank,
        features=shown.features,
    )
