"""The pack's offers: one for each campaign and each department that the campaign's coupons are for."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import msgspec
import pandas as pd

from kaireon_worker.samples.completejourney.departments import BY_CODE, Department, coupon_departments

if TYPE_CHECKING:
    from kaireon_worker.samples.completejourney.source import Source


class OfferFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the data says about one offer; dates are those of 2017.

    `redeemed_ratio` is households that redeemed one of its coupons over households that received the campaign.
    `sales_per_redemption` is the average sales value of the products bought with one of its coupons, or None where no
    purchase could be matched. `value_rank` and `redeemed_rank` are percentile ranks in [0, 1] among the offers.
    """

    campaign_id: int
    campaign_type: str
    department: Department
    starts_on: date
    ends_on: date
    is_running: bool
    coupon_count: int
    product_count: int
    redeemed_ratio: float
    redeemed_rank: float
    sales_per_redemption: float | None
    value_rank: float

    @property
    def key(self) -> str:
        """The stable key, such as `cj-18-grocery`."""
        return offer_key(self.campaign_id, self.department)

    @property
    def duration_days(self) -> int:
        """How long the coupons could be redeemed."""
        return (self.ends_on - self.starts_on).days


def offer_key(campaign_id: int, department: Department) -> str:
    """Return the key of the offer of a campaign and a department."""
    return f"cj-{campaign_id}-{department.slug}"


def offer_facts(source: Source, redemptions: pd.DataFrame) -> list[OfferFacts]:
    """Return the offers in the order of campaign and department.

    `redemptions` is what `history.redemptions` returns. All coupons of a campaign and department make one offer.
    """
    coupons = coupon_departments(source.coupons, source.products)
    group = ["campaign_id", "department"]
    table = coupons.groupby(group).agg(coupon_count=("coupon_upc", "nunique"))
    listed = coupons.merge(source.coupons, on=["campaign_id", "coupon_upc"])
    table["product_count"] = listed.groupby(group)["product_id"].nunique()
    redeemers = redemptions.groupby(group)["household_id"].nunique().reindex(table.index, fill_value=0)
    receipts = source.campaigns.groupby("campaign_id").size()
    table["redeemed_ratio"] = redeemers / receipts.reindex(table.index.get_level_values(0)).to_numpy()
    table["redeemed_rank"] = table["redeemed_ratio"].rank(pct=True)
    table["sales"] = redemptions.groupby(group)["sales_value"].mean()
    # Offers without a matched purchase stand in the middle: nothing is known for or against them.
    table["value_rank"] = table["sales"].rank(pct=True).fillna(0.5)
    campaigns = source.campaign_descriptions.set_index("campaign_id")
    facts = table.reset_index().merge(campaigns, on="campaign_id").sort_values(group)
    running = source.running_campaign_ids
    return [
        OfferFacts(
            campaign_id=int(row["campaign_id"]),
            campaign_type=row["campaign_type"].removeprefix("Type "),
            department=BY_CODE[row["department"]],
            starts_on=row["start_date"].date(),
            ends_on=row["end_date"].date(),
            is_running=row["campaign_id"] in running,
            coupon_count=int(row["coupon_count"]),
            product_count=int(row["product_count"]),
            redeemed_ratio=round(float(row["redeemed_ratio"]), 6),
            redeemed_rank=float(row["redeemed_rank"]),
            sales_per_redemption=None if pd.isna(row["sales"]) else round(float(row["sales"]), 2),
            value_rank=float(row["value_rank"]),
        )
        for row in facts.to_dict("records")
    ]


def lead_offers(offers: list[OfferFacts]) -> dict[int, OfferFacts]:
    """Return for each campaign the offer with most coupons: the one that its mailing is counted as a contact for."""
    ordered = sorted(offers, key=lambda offer: (offer.coupon_count, offer.product_count, offer.key))
    return {offer.campaign_id: offer for offer in ordered}
