"""Training rows of the redemption model: one per household and offer that was mailed to it.

Label: did the household redeem a coupon of this offer? Features: what was known before the campaign started. Left out,
because each would tell the answer or what became known later:

- purchases, discounts and redemptions from the campaign's first day on, the campaign's own included;
- redemption ratios, business value and priority of the offer, which are computed over the whole year;
- campaigns that had not ended on the last day (their labels are not final), which are the ones decided about now;
- campaigns that started before eight weeks of purchases were on record (their features would mean something else).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd

from kaireon_worker.samples.completejourney.customers import plain_records
from kaireon_worker.samples.completejourney.features import CUSTOMER_FEATURES, WINDOW_DAYS, household_features
from kaireon_worker.samples.completejourney.source import customer_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kaireon_worker.samples.completejourney.offers import OfferFacts
    from kaireon_worker.samples.completejourney.source import Source

# Where a decision finds an offer's custom fields; the training columns carry the same names.
OFFER_NAMESPACE = "offer.customFields."


def offer_features(offer: OfferFacts) -> dict[str, Any]:
    """Return what was known about an offer before it was mailed; the same values stand in its `customFields`."""
    return {
        "campaign_type": offer.campaign_type,
        "department": offer.department.code,
        "coupon_count": offer.coupon_count,
        "product_count": offer.product_count,
        "duration_days": offer.duration_days,
    }


def trainable_campaigns(source: Source) -> list[int]:
    """Return the campaigns with a full window before their start and an end in the data, by start."""
    campaigns = source.campaign_descriptions
    first_day = source.transactions["transaction_timestamp"].min().normalize()
    has_history = campaigns["start_date"] >= first_day + pd.Timedelta(days=WINDOW_DAYS)
    is_over = ~campaigns["campaign_id"].isin(source.running_campaign_ids)
    chosen = campaigns[has_history & is_over].sort_values(["start_date", "campaign_id"])
    return [int(value) for value in chosen["campaign_id"]]


def training_row_count(source: Source, offers: list[OfferFacts]) -> int:
    """Return how many rows `training_rows` yields."""
    members = source.campaigns.groupby("campaign_id").size().to_dict()
    campaigns = set(trainable_campaigns(source))
    return sum(int(members[offer.campaign_id]) for offer in offers if offer.campaign_id in campaigns)


def training_rows(
    source: Source, offers: list[OfferFacts], redeemed: pd.DataFrame, shift: timedelta
) -> Iterator[dict[str, Any]]:
    """Yield the rows of the schema `campaign_redemptions`, by campaign start, household and department."""
    starts = source.campaign_descriptions.set_index("campaign_id")["start_date"]
    positives = set(redeemed[["household_id", "campaign_id", "department"]].itertuples(index=False, name=None))
    for campaign in trainable_campaigns(source):
        started = starts[campaign].to_pydatetime()
        members = source.campaigns.loc[source.campaigns["campaign_id"] == campaign, "household_id"].sort_values()
        known = plain_records(household_features(source, started).loc[members, list(CUSTOMER_FEATURES)])
        for household, features in zip(members, known, strict=True):
            for offer in (offer for offer in offers if offer.campaign_id == campaign):
                yield {
                    "row_key": f"{customer_id(household)}/{offer.key}",
                    "customer_id": customer_id(household),
                    "offer_key": offer.key,
                    "campaign_start": (started + shift).date(),
                    "redeemed": (household, campaign, offer.department.code) in positives,
                    **features,
                    **{OFFER_NAMESPACE + name: value for name, value in offer_features(offer).items()},
                }
