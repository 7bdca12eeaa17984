"""Contact history: campaign receipts as impressions, coupon redemptions as conversions."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import pandas as pd

from kaireon_storage.postgres.sample_history import PastContact
from kaireon_worker.samples.completejourney.catalogue import DIRECT_MAIL, MAILER, mail_creative_key
from kaireon_worker.samples.completejourney.departments import BY_CODE, coupon_departments
from kaireon_worker.samples.completejourney.offers import OfferFacts, lead_offers, offer_key
from kaireon_worker.samples.completejourney.source import customer_id
from kaireon_worker.samples.definition import Identities

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kaireon_worker.samples.completejourney.source import Source

# The data has days only: mail is taken to arrive at 08:00, a redemption without a matching purchase to be at noon.
_MAIL_ARRIVES = time(8)
_NOON = timedelta(hours=12)


def redemptions(source: Source) -> pd.DataFrame:
    """Return the redemptions with `department`, `redeemed_at` and `sales_value`.

    A redemption is matched with the household's purchases of that day that carry a coupon discount on a product the
    coupon covers: their first instant and their sum. Where none matches, `sales_value` is missing.
    """
    coupons = coupon_departments(source.coupons, source.products)
    redeemed = source.coupon_redemptions.merge(coupons, on=["campaign_id", "coupon_upc"])
    redeemed = redeemed.reset_index(names="redemption")
    matched = (
        _matching_purchases(source, redeemed)
        .groupby("redemption")
        .agg(sales_value=("sales_value", "sum"), bought_at=("transaction_timestamp", "min"))
    )
    table = redeemed.merge(matched, on="redemption", how="left")
    table["redeemed_at"] = table["bought_at"].fillna(table["redemption_date"] + _NOON)
    return table.drop(columns=["redemption", "bought_at"])


def _matching_purchases(source: Source, redeemed: pd.DataFrame) -> pd.DataFrame:
    transactions = source.transactions
    paid = transactions[transactions["coupon_disc"] > 0]
    paid = paid.assign(redemption_date=paid["transaction_timestamp"].dt.normalize())
    pairs = redeemed.merge(paid, on=["household_id", "redemption_date"])
    covered = source.coupons.drop_duplicates()
    return pairs.merge(covered, on=["campaign_id", "coupon_upc", "product_id"])


def contacts(
    source: Source, offers: list[OfferFacts], redeemed: pd.DataFrame, shift: timedelta, ids: Identities
) -> Iterator[PastContact]:
    """Yield the history, shifted by `shift`: one impression per mailing received, one conversion per coupon redeemed.

    A mailing is one contact, counted for the offer with most of its coupons.
    """
    starts = source.campaign_descriptions.set_index("campaign_id")["start_date"].dt.date.to_dict()
    leads = lead_offers(offers)
    for campaign, household in source.campaigns[["campaign_id", "household_id"]].itertuples(index=False):
        yield PastContact(
            id=ids.of("interaction", f"mailing/{campaign}/{household}"),
            occurred_at=datetime.combine(starts[campaign], _MAIL_ARRIVES, UTC) + shift,
            customer_id=customer_id(household),
            **_on_mail(leads[campaign].key, ids),
            outcome_key="impression",
            classification="neutral",
            is_impression=True,
            conversion_value=None,
        )
    what = ["campaign_id", "household_id", "coupon_upc", "redemption_date", "department", "redeemed_at", "sales_value"]
    for campaign, household, coupon, day, department, at, value in redeemed[what].itertuples(index=False):
        yield PastContact(
            id=ids.of("interaction", f"redemption/{campaign}/{household}/{coupon}/{day:%Y-%m-%d}"),
            occurred_at=at.to_pydatetime().replace(tzinfo=UTC) + shift,
            customer_id=customer_id(household),
            **_on_mail(offer_key(campaign, BY_CODE[department]), ids),
            outcome_key="convert",
            classification="positive",
            is_impression=False,
            conversion_value=None if pd.isna(value) else round(float(value), 2),
        )


def _on_mail(offer: str, ids: Identities) -> dict[str, UUID]:
    return {
        "offer_id": ids.of("offer", offer),
        "creative_id": ids.of("creative", mail_creative_key(offer)),
        "channel_id": ids.of("channel", DIRECT_MAIL),
        "placement_id": ids.of("placement", MAILER),
    }
