"""What an interaction adds to the counts over all customers: caps, stock, budgets, evidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from kaireon_application.customers.tally import CAP, EVER, SPENT, STOCK, period_key
from kaireon_application.decisioning.changes import EvidenceRow, InteractionRow, TallyRow
from kaireon_application.decisioning.snapshot import TenantSnapshot
from kaireon_core.catalog.document import Document
from kaireon_core.decisioning.calendar import Period, instant_ms
from kaireon_core.decisioning.constraints import PERIODS, is_enabled

_ANSWERS = ("positive", "negative")


def reserved_tallies(rows: Sequence[InteractionRow], snapshot: TenantSnapshot) -> list[TallyRow]:
    """Return what impressions that a decision makes take from system-wide caps: never more than there is."""
    return [
        _cap_tally(cap, row, snapshot.zone, int(cap.body["maxVolume"]))
        for row in rows
        for cap in _caps_of(row, snapshot)
    ]


def recorded_tallies(row: InteractionRow, snapshot: TenantSnapshot) -> list[TallyRow]:
    """Return what an interaction that has happened counts, whatever the maximum is."""
    if row.outcome_key == "impression":
        return [_cap_tally(cap, row, snapshot.zone, None) for cap in _caps_of(row, snapshot)]
    if row.classification != "positive" or row.offer_id is None:
        return []
    offer = snapshot.find("offers", row.offer_id)
    return [] if offer is None else list(_consumed(offer, row, snapshot.zone))


def evidence_of(row: InteractionRow) -> list[EvidenceRow]:
    """Return what an interaction says of its offer: a positive or a negative answer, or nothing."""
    if row.classification not in _ANSWERS or row.offer_id is None:
        return []
    is_positive = row.classification == "positive"
    return [
        EvidenceRow(
            offer_id=row.offer_id, channel_id=row.channel_id, positive=int(is_positive), negative=int(not is_positive)
        )
    ]


def _caps_of(row: InteractionRow, snapshot: TenantSnapshot) -> Iterator[Document]:
    """Yield the system-wide caps that count an impression: those of its offer, category and channel, once there."""
    caps = snapshot.configuration.catalogue.frequency_caps
    if not caps:
        return
    offer = snapshot.find("offers", row.offer_id)
    places = {
        "offer": row.offer_id,
        "category": offer.body.get("categoryId") if offer else None,
        "channel": row.channel_id,
    }
    for cap in caps:
        is_covered = places.get(str(cap.body["scope"])) == cap.body["scopeId"]
        if is_enabled(cap) and is_covered and row.occurred_at_ms >= (instant_ms(cap.created_at) or 0):
            yield cap


def _cap_tally(cap: Document, row: InteractionRow, zone: ZoneInfo, maximum: int | None) -> TallyRow:
    period = period_key(PERIODS[str(cap.body["period"])], row.occurred_at_ms, zone)
    return TallyRow(kind=CAP, subject_id=cap.id, period=period, amount=1, maximum=maximum)


def _consumed(offer: Document, row: InteractionRow, zone: ZoneInfo) -> Iterator[TallyRow]:
    """Yield one unit of stock and the cost of an outcome, where the offer has a stock or a cost."""
    budget: dict[str, Any] = offer.body.get("budget") or {}
    inventory: dict[str, Any] = offer.body.get("inventory") or {}
    if inventory.get("remainingStock") is not None:
        yield TallyRow(kind=STOCK, subject_id=offer.id, period=EVER, amount=1)
    cost = int(budget.get("costPerOutcomeCents") or 0)
    if cost:
        for period in (EVER, period_key(Period.DAY, row.occurred_at_ms, zone)):
            yield TallyRow(kind=SPENT, subject_id=offer.id, period=period, amount=cost)
