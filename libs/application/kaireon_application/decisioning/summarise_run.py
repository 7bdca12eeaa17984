"""What a batch run has decided, in numbers."""

from __future__ import annotations

from kaireon_application.decisioning.decision_run import ChannelCount, OfferCount, RunCounts, RunSummary
from kaireon_application.decisioning.snapshot import TenantSnapshot


def summarise_run(counts: RunCounts, snapshot: TenantSnapshot) -> RunSummary:
    """Return the summary, with the names that things have now (null where they are gone)."""
    total = counts.recommendations
    return RunSummary(
        customers_processed=counts.processed,
        customers_failed=counts.failed,
        customers_with_recommendations=counts.with_recommendations,
        total_recommendations=total,
        average_offers_per_customer=total / counts.processed if counts.processed else 0.0,
        by_offer=[_offer_count(snapshot, id_, count, total) for id_, count in counts.offers],
        by_channel=[_channel_count(snapshot, id_, count, total) for id_, count in counts.channels],
    )


def _offer_count(snapshot: TenantSnapshot, id_: str, count: int, total: int) -> OfferCount:
    found = snapshot.find("offers", id_)
    return OfferCount(
        offer_id=id_,
        offer_key=found.key if found else None,
        offer_name=found.name if found else None,
        count=count,
        percentage=100 * count / total,
    )


def _channel_count(snapshot: TenantSnapshot, id_: str, count: int, total: int) -> ChannelCount:
    found = snapshot.find("channels", id_)
    return ChannelCount(
        channel_id=id_,
        channel_key=found.key if found else None,
        channel_name=found.name if found else None,
        count=count,
        percentage=100 * count / total,
    )
