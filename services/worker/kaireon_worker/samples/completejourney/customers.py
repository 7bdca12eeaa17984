"""Households as customers: demographics, behaviour and segments as of the day of the seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from kaireon_worker.samples.completejourney.features import CATEGORICAL_FEATURES, COUNT_FEATURES, household_features
from kaireon_worker.samples.completejourney.source import customer_id

if TYPE_CHECKING:
    from kaireon_worker.samples.completejourney.source import Source

_LAPSING_AFTER_DAYS = 28
_HIGH_VALUE_QUANTILE = 0.8


def household_rows(source: Source) -> list[dict[str, Any]]:
    """Return one row of the schema `households` per household; unknown values are None."""
    frame = household_features(source, source.as_of)
    spend = source.transactions.groupby("household_id")["sales_value"].sum().round(2)
    baskets = source.transactions.groupby("household_id")["basket_id"].nunique()
    tags = segments(frame)
    frame = frame.assign(spend_52w=spend, baskets_52w=baskets)
    return [
        {"customer_id": customer_id(household), **row, "segment": segment}
        for household, row, segment in zip(frame.index, plain_records(frame), tags, strict=True)
    ]


def segments(features: pd.DataFrame) -> list[list[str]]:
    """Return the segment tags of each household, in a fixed order."""
    high_value = features["spend_8w"] >= features["spend_8w"].quantile(_HIGH_VALUE_QUANTILE)
    tests = {
        "high_value": high_value,
        "lapsing": features["recency_days"] > _LAPSING_AFTER_DAYS,
        "coupon_user": (features["coupons_redeemed"] > 0) | (features["coupon_items_8w"] > 0),
        "family": features["kids_count"].notna() & (features["kids_count"] != "0"),
    }
    members = pd.DataFrame(tests).to_numpy()
    return [[tag for tag, is_member in zip(tests, row, strict=True) if is_member] for row in members]


def plain_records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as plain Python values: None for missing, int for counts, str for categories."""
    columns = {name: _plain_column(name, frame[name]) for name in frame.columns}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _plain_column(name: str, column: pd.Series[Any]) -> list[Any]:
    if name in COUNT_FEATURES:
        return [None if pd.isna(value) else int(value) for value in column]
    if name in CATEGORICAL_FEATURES:
        return [None if pd.isna(value) else str(value) for value in column]
    return [None if isinstance(value, float) and pd.isna(value) else value for value in column.tolist()]
