"""An interaction as an item of DynamoDB, and back."""

from __future__ import annotations

import time
from typing import Any, TypeAlias
from uuid import UUID

from kaireon_application.customers.interaction_store import InteractionRecord
from kaireon_storage.interactions.details import packed_details, unpacked_details
from kaireon_storage.interactions.partitioned import (
    Span,
    expiry_seconds,
    instant_of_microseconds,
    microseconds_of,
)

Item: TypeAlias = dict[str, dict[str, Any]]

PARTITION_KEY = "tenant_customer"
SORT_KEY = "occurred_id"
EXPIRY = "expires_at"
# An item may have 400 KB, names included.
_DETAILS_BYTES = 380_000
_SEPARATOR = "#"
_AFTER_EVERYTHING = "~"
_TENANT_LENGTH = 36
_MICROSECONDS_LENGTH = 17
_TEXTS = ("kind", "outcome_key", "classification", "direction")
_IDS = ("offer_id", "creative_id", "channel_id", "placement_id", "recommendation_id")
# As text: DynamoDB's numbers do not reach as far as doubles do.
_FLOATS = ("score", "conversion_value")


def partition_of(tenant_id: UUID, customer_id: str) -> str:
    """Return the partition of a customer."""
    return f"{tenant_id}{_SEPARATOR}{customer_id}"


def sort_bounds(span: Span) -> tuple[str, str]:
    """Return the lowest and the highest sort key that a span may hold, both included."""
    low = _sortable(microseconds_of(span.since)) if span.since else "0"
    high = _sortable(microseconds_of(span.until)) + _AFTER_EVERYTHING if span.until else _AFTER_EVERYTHING
    return low, high


def _sortable(microseconds: int) -> str:
    return f"{max(0, microseconds):0{_MICROSECONDS_LENGTH}d}"


def item_of(record: InteractionRecord) -> Item:
    """Return the item; what is not known is left out."""
    item: Item = {
        PARTITION_KEY: {"S": partition_of(record.tenant_id, record.customer_id)},
        SORT_KEY: {"S": f"{_sortable(microseconds_of(record.occurred_at))}{_SEPARATOR}{record.id}"},
    }
    for name in (*_TEXTS, *_IDS, *_FLOATS):
        value = getattr(record, name)
        if value is not None:
            item[name] = {"S": repr(value) if isinstance(value, float) else str(value)}
    if record.rank is not None:
        item["rank"] = {"N": str(record.rank)}
    details = packed_details(record.details, _DETAILS_BYTES)
    if details is not None:
        item["details"] = {"B": details}
    expires_at = expiry_seconds(record)
    if expires_at is not None:
        item[EXPIRY] = {"N": str(expires_at)}
    return item


def key_of(item: Item) -> Item:
    """Return the item's key."""
    return {name: item[name] for name in (PARTITION_KEY, SORT_KEY)}


def record_of(item: Item) -> InteractionRecord | None:
    """Return the record, or None when it has had its time: DynamoDB deletes such items within days, not at once."""
    if EXPIRY in item and int(item[EXPIRY]["N"]) <= time.time():
        return None
    partition, (instant, _, id_) = item[PARTITION_KEY]["S"], item[SORT_KEY]["S"].partition(_SEPARATOR)
    values: dict[str, Any] = {name: item[name]["S"] for name in _TEXTS if name in item}
    values |= {name: UUID(item[name]["S"]) for name in _IDS if name in item}
    values |= {name: float(item[name]["S"]) for name in _FLOATS if name in item}
    return InteractionRecord(
        tenant_id=UUID(partition[:_TENANT_LENGTH]),
        customer_id=partition[_TENANT_LENGTH + len(_SEPARATOR) :],
        occurred_at=instant_of_microseconds(int(instant)),
        id=UUID(id_),
        rank=int(item["rank"]["N"]) if "rank" in item else None,
        details=unpacked_details(item["details"]["B"]) if "details" in item else None,
        **values,
    )
