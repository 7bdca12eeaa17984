"""The pack's two schemas: households (read by every decision) and campaign redemptions (read by training)."""

from __future__ import annotations

from typing import Any

from kaireon_worker.samples.completejourney.features import (
    AMOUNT_FEATURES,
    CATEGORICAL_FEATURES,
    COUNT_FEATURES,
    CUSTOMER_FEATURES,
)
from kaireon_worker.samples.completejourney.training_rows import OFFER_NAMESPACE
from kaireon_worker.samples.definition import Definition

HOUSEHOLDS, REDEMPTIONS = "households", "campaign_redemptions"

_TYPES = {
    **dict.fromkeys(CATEGORICAL_FEATURES, "varchar"),
    **dict.fromkeys(COUNT_FEATURES, "integer"),
    **dict.fromkeys(AMOUNT_FEATURES, "double"),
}
_CUSTOMER_FIELDS = tuple((name, _TYPES[name]) for name in CUSTOMER_FEATURES)

OFFER_FIELDS = (
    (OFFER_NAMESPACE + "campaign_type", "varchar"),
    (OFFER_NAMESPACE + "department", "varchar"),
    (OFFER_NAMESPACE + "coupon_count", "integer"),
    (OFFER_NAMESPACE + "product_count", "integer"),
    (OFFER_NAMESPACE + "duration_days", "integer"),
)

HOUSEHOLD_FIELDS = (
    ("customer_id", "varchar"),
    *_CUSTOMER_FIELDS,
    ("spend_52w", "double"),
    ("baskets_52w", "integer"),
    ("segment", "json"),
)
REDEMPTION_FIELDS = (
    ("row_key", "varchar"),
    ("customer_id", "varchar"),
    ("offer_key", "varchar"),
    ("campaign_start", "date"),
    ("redeemed", "boolean"),
    *_CUSTOMER_FIELDS,
    *OFFER_FIELDS,
)


def schemas() -> list[Definition]:
    """Return both schemas."""
    return [
        Definition(
            kind="schema",
            key=HOUSEHOLDS,
            name=HOUSEHOLDS,
            wire={
                "displayName": "Households",
                "description": "Demographics where known, and behaviour up to the day before the seed.",
                "entityType": "customer",
                "fields": _fields(HOUSEHOLD_FIELDS),
            },
        ),
        Definition(
            kind="schema",
            key=REDEMPTIONS,
            name=REDEMPTIONS,
            wire={
                "displayName": "Campaign redemptions",
                "description": "Per household and mailed offer: what was known before, and whether it was redeemed.",
                "entityType": "custom",
                "fields": _fields(REDEMPTION_FIELDS),
            },
        ),
    ]


def _fields(columns: tuple[tuple[str, str], ...]) -> list[dict[str, Any]]:
    """Return the wire's fields; the first one is the primary key."""
    return [
        {"name": name, "dataType": type_, "isPrimaryKey": number == 0, "isNullable": number > 0, "ordinal": number}
        for number, (name, type_) in enumerate(columns)
    ]
