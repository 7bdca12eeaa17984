"""Interactions to store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zlib import crc32

from kaireon_application.customers.interaction_store import InteractionRecord

NOW = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
TENANT, OTHER_TENANT = UUID(int=0x7A1), UUID(int=0x7A2)
OFFERS = [UUID(int=0x0FFE00 + number) for number in range(4)]
CREATIVES = [UUID(int=0xC0 + number) for number in range(4)]
DECISION = UUID("019ab0c5-7d5e-7c3a-9a54-0f4d0f3f9a11")
# Text that a careless statement or key would trip over.
TRICKY = 'O\'Brien, "{NULL}" \\ é😀 #|~ %s'


def record(number: int, customer_id: str = "c1", **fields: Any) -> InteractionRecord:
    """Return an interaction, `number` seconds ago unless it says otherwise."""
    given: dict[str, Any] = {
        "tenant_id": TENANT,
        "occurred_at": NOW - timedelta(seconds=number),
        "id": UUID(int=(0x019AB0C5 << 96) + (crc32(customer_id.encode()) << 32) + number),
        "kind": "outcome",
        "outcome_key": "click",
        "classification": "positive",
        "direction": "inbound",
        **fields,
    }
    return InteractionRecord(customer_id=customer_id, **given)


def full(customer_id: str = "c1") -> InteractionRecord:
    """Return an interaction that says everything."""
    return record(
        0,
        customer_id,
        offer_id=OFFERS[0],
        creative_id=CREATIVES[0],
        channel_id=UUID(int=1),
        placement_id=UUID(int=2**128 - 1),
        recommendation_id=DECISION,
        rank=3,
        score=0.1 + 0.2,
        conversion_value=-1e-300,
        details={"context": {"text": TRICKY, "nested": [1, 2.5, None, True]}, "outcomeDetails": {}},
    )


def bare(customer_id: str = "c1") -> InteractionRecord:
    """Return an interaction that says as little as it may."""
    return record(1, customer_id, outcome_key=None, classification=None, direction=None)
