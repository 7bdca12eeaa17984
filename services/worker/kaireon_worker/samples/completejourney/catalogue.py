"""Categories, channels, placements, offers and creatives of the pack."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from kaireon_application.platform.sample_packs import COMPLETE_JOURNEY
from kaireon_worker.samples.completejourney.departments import CATEGORIES, DEPARTMENTS
from kaireon_worker.samples.completejourney.training_rows import offer_features
from kaireon_worker.samples.definition import Definition, Identities

if TYPE_CHECKING:
    from datetime import date

    from kaireon_worker.samples.completejourney.offers import OfferFacts

# Keys and names carry the pack's mark, so that they stay out of the way of what a tenant calls its own.
DIRECT_MAIL, EMAIL, WEB = "cj-direct-mail", "cj-email", "cj-web"
MAILER = "cj-mailer"

# An email section needs something to list; an offer of one single coupon is mailed and shown on the site only.
_FEWEST_COUPONS_IN_EMAIL = 2

_TEMPLATES = {DIRECT_MAIL: "webhook_payload", EMAIL: "email_html", WEB: "web_banner"}


def hierarchy(ids: Identities) -> list[Definition]:
    """Return the categories (groups of departments) and sub-categories (departments)."""
    categories = [
        Definition(kind="category", key=group.key, name=group.name, wire={"ordinal": number})
        for number, group in enumerate(CATEGORIES)
    ]
    departments = [
        Definition(
            kind="sub_category",
            key=department.key,
            name=department.name,
            wire={"categoryId": ids.text("category", department.category), "ordinal": number},
        )
        for number, department in enumerate(DEPARTMENTS)
    ]
    return [*categories, *departments]


def channels(ids: Identities) -> list[Definition]:
    """Return three channels and their placements. The data has one channel, the mail; the others are made up.

    What is posted is seen (implicit impression), and so is what a page shows; an email is seen when it is opened,
    which the sender learns later (explicit).
    """
    rows = (
        (DIRECT_MAIL, "Grocery direct mail", "direct_mail", "file", "implicit"),
        (EMAIL, "Grocery email", "email", "integration", "explicit"),
        (WEB, "Grocery web", "web", "api", "implicit"),
    )
    made = [
        Definition(
            kind="channel",
            key=key,
            name=name,
            wire={"channelType": type_, "deliveryMode": delivery, "impressionMode": impression},
        )
        for key, name, type_, delivery, impression in rows
    ]
    places = (
        (DIRECT_MAIL, MAILER, "Mailer page", "card", 8),
        (EMAIL, "cj-email-hero", "Email hero", "banner", 1),
        (EMAIL, "cj-email-shelf", "Email coupon shelf", "card", 4),
        (WEB, "cj-home-banner", "Home page banner", "banner", 1),
        (WEB, "cj-coupon-shelf", "Coupon shelf", "card", 6),
    )
    return [
        *made,
        *(
            Definition(
                kind="placement",
                key=key,
                name=name,
                wire={"channelId": ids.text("channel", channel), "slotType": slot, "maxSlots": slots},
            )
            for channel, key, name, slot, slots in places
        ),
    ]


def offers(facts: list[OfferFacts], shift: timedelta, ids: Identities) -> list[Definition]:
    """Return the offers; see `docs/sample-data.md` for where each number comes from."""
    return [_offer(offer, shift, ids) for offer in facts]


def _offer(offer: OfferFacts, shift: timedelta, ids: Identities) -> Definition:
    department = offer.department
    wire: dict[str, Any] = {
        "categoryId": ids.text("category", department.category),
        "subCategoryId": ids.text("sub_category", department.key),
        "priority": _percent(offer.redeemed_rank),
        "businessValue": _percent(offer.value_rank),
        "description": _sentence(offer),
        "shortDesc": f"{department.name} coupons",
        "tags": [COMPLETE_JOURNEY.key, f"type-{offer.campaign_type.lower()}", department.slug],
        "productType": department.slug,
        "customFields": {
            **offer_features(offer),
            "campaign_id": offer.campaign_id,
            "campaign_start": (offer.starts_on + shift).isoformat(),
            "campaign_end": (offer.ends_on + shift).isoformat(),
            "redeemed_ratio": offer.redeemed_ratio,
        },
    }
    if offer.sales_per_redemption is not None:
        wire["revenueValue"] = offer.sales_per_redemption
    if offer.is_running:
        # Only campaigns that had not ended keep their dates: the others could never be decided for again.
        last_moment = offer.ends_on + timedelta(days=1)
        wire["schedule"] = {"startDate": _midnight(offer.starts_on + shift), "endDate": _midnight(last_moment + shift)}
    name = f"{department.name} coupons, campaign {offer.campaign_id} (type {offer.campaign_type})"
    return Definition(kind="offer", key=offer.key, name=name, wire=wire)


def creatives(facts: list[OfferFacts], ids: Identities) -> list[Definition]:
    """Return each offer's creatives: always by mail and on the site, by email where there is enough to list."""
    made: list[Definition] = []
    for offer in facts:
        made.append(_creative(offer, DIRECT_MAIL, MAILER, ids))
        made.append(_creative(offer, WEB, None, ids))
        if offer.coupon_count >= _FEWEST_COUPONS_IN_EMAIL:
            made.append(_creative(offer, EMAIL, None, ids))
    return made


def mail_creative_key(key: str) -> str:
    """Return the key of an offer's creative for direct mail."""
    return _creative_key(key, DIRECT_MAIL)


def _creative_key(offer: str, channel: str) -> str:
    return f"{offer}-{channel.removeprefix('cj-')}"


def _creative(offer: OfferFacts, channel: str, placement: str | None, ids: Identities) -> Definition:
    department = offer.department.name
    wire: dict[str, Any] = {
        "offerId": ids.text("offer", offer.key),
        "channelId": ids.text("channel", channel),
        "templateType": _TEMPLATES[channel],
        "content": {
            "subject": f"Your {department.lower()} coupons",
            "headline": f"{_coupons(offer)} for {department.lower()}",
            "body": _sentence(offer),
            "ctaText": "See the coupons",
        },
    }
    if placement is not None:
        wire["placementId"] = ids.text("placement", placement)
    key = _creative_key(offer.key, channel)
    return Definition(kind="creative", key=key, name=key, wire=wire)


def _sentence(offer: OfferFacts) -> str:
    products = f"{offer.product_count} {offer.department.name.lower()} products"
    return f"{_coupons(offer)} on {products}, for {offer.duration_days} days."


def _coupons(offer: OfferFacts) -> str:
    return "1 coupon" if offer.coupon_count == 1 else f"{offer.coupon_count} coupons"


def _percent(rank: float) -> int:
    return max(1, round(rank * 100))


def _midnight(day: date) -> str:
    return datetime.combine(day, time(), UTC).isoformat().replace("+00:00", "Z")
