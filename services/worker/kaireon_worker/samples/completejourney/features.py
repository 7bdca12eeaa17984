"""What is known about a household at an instant, from what happened strictly before it.

The same function computes the training columns (at a campaign's start) and the attributes that decisions read (now),
so that serving sees what training saw. Nothing at or after `as_of` is read: a household's purchases during a campaign
are partly its effect (the coupon discount above all), so they would tell the model the answer.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pandas as pd

from kaireon_worker.samples.completejourney.departments import DEPARTMENTS, share_column

if TYPE_CHECKING:
    from kaireon_worker.samples.completejourney.source import Source

# Behaviour is measured over the last eight weeks: long enough for monthly shoppers, short enough that the campaigns
# of March already have a full window.
WINDOW_DAYS = 56

DEMOGRAPHICS = (
    "age",
    "income",
    "home_ownership",
    "marital_status",
    "household_size",
    "household_comp",
    "kids_count",
)
CATEGORICAL_FEATURES = (*DEMOGRAPHICS, "preferred_department")
SHARES = tuple(share_column(department) for department in DEPARTMENTS)
COUNT_FEATURES = (
    "baskets_8w",
    "coupon_items_8w",
    "campaigns_received",
    "campaigns_redeemed",
    "coupons_redeemed",
    "recency_days",
    "days_since_redemption",
)
AMOUNT_FEATURES = ("spend_8w", "basket_value_8w", *SHARES)
CUSTOMER_FEATURES = (*CATEGORICAL_FEATURES, *COUNT_FEATURES, *AMOUNT_FEATURES)


def household_features(source: Source, as_of: datetime) -> pd.DataFrame:
    """Return one row per household (index `household_id`, columns `CUSTOMER_FEATURES`) as known just before `as_of`.

    Unknown is missing, never 0: demographics of households outside the survey, shares without spend, days since an
    event that never happened. A campaign counts as received once it has started.
    """
    households = pd.Index(source.household_ids, name="household_id")
    parts = [
        source.demographics.set_index("household_id")[list(DEMOGRAPHICS)],
        _shopping(source, as_of),
        _campaigns(source, as_of),
    ]
    frame = pd.concat([part.reindex(households) for part in parts], axis=1)
    for column in ("baskets_8w", "coupon_items_8w", "spend_8w", *_CAMPAIGN_COUNTS):
        frame[column] = frame[column].fillna(0)
    return frame[list(CUSTOMER_FEATURES)].astype(dict.fromkeys((*COUNT_FEATURES, *AMOUNT_FEATURES), "float64"))


_CAMPAIGN_COUNTS = ("campaigns_received", "campaigns_redeemed", "coupons_redeemed")


def _shopping(source: Source, as_of: datetime) -> pd.DataFrame:
    transactions = source.transactions
    past = transactions[transactions["transaction_timestamp"] < as_of]
    recent = past[past["transaction_timestamp"] >= as_of - timedelta(days=WINDOW_DAYS)]
    by_household = recent.groupby("household_id")
    frame = pd.DataFrame(
        {
            "recency_days": _days_before(as_of, past.groupby("household_id")["transaction_timestamp"].max()),
            "baskets_8w": by_household["basket_id"].nunique(),
            "spend_8w": by_household["sales_value"].sum().round(2),
            "coupon_items_8w": recent[recent["coupon_disc"] > 0].groupby("household_id").size(),
        }
    )
    frame["basket_value_8w"] = (frame["spend_8w"] / frame["baskets_8w"]).round(2)
    return pd.concat([frame, _department_shares(source, recent)], axis=1)


def _department_shares(source: Source, recent: pd.DataFrame) -> pd.DataFrame:
    department = recent["product_id"].map(source.products.set_index("product_id")["department"])
    spend = recent.assign(department=department).pivot_table(
        index="household_id", columns="department", values="sales_value", aggfunc="sum", fill_value=0
    )
    total = recent.groupby("household_id")["sales_value"].sum()
    spend = spend.reindex(columns=[entry.code for entry in DEPARTMENTS], fill_value=0.0)
    shares = spend.div(total.where(total > 0), axis=0).round(4)
    shares.columns = pd.Index(SHARES)
    bought = spend[spend.max(axis=1) > 0]
    return shares.assign(preferred_department=bought.idxmax(axis=1))


def _campaigns(source: Source, as_of: datetime) -> pd.DataFrame:
    starts = source.campaign_descriptions.set_index("campaign_id")["start_date"]
    received = source.campaigns[source.campaigns["campaign_id"].map(starts) < as_of]
    redemptions = source.coupon_redemptions
    redeemed = redemptions[redemptions["redemption_date"] < as_of].groupby("household_id")
    return pd.DataFrame(
        {
            "campaigns_received": received.groupby("household_id").size(),
            "campaigns_redeemed": redeemed["campaign_id"].nunique(),
            "coupons_redeemed": redeemed.size(),
            "days_since_redemption": _days_before(as_of, redeemed["redemption_date"].max()),
        }
    )


def _days_before(as_of: datetime, instants: pd.Series[pd.Timestamp]) -> pd.Series[int]:
    """Return whole calendar days between each instant's day and `as_of`."""
    return (as_of - instants.dt.normalize()).dt.days
