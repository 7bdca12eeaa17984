"""Features of households hold what was known, and nothing of what came later."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from kaireon_worker.samples.completejourney.customers import household_rows
from kaireon_worker.samples.completejourney.features import CUSTOMER_FEATURES, household_features
from kaireon_worker.samples.completejourney.offers import OfferFacts
from kaireon_worker.samples.completejourney.schemas import HOUSEHOLD_FIELDS, REDEMPTION_FIELDS
from kaireon_worker.samples.completejourney.source import Source
from kaireon_worker.samples.completejourney.training_rows import trainable_campaigns, training_row_count, training_rows

_CAMPAIGNS = (1, 8, 13, 18, 19)


def _start(source: Source, campaign: int) -> pd.Timestamp:
    return source.campaign_descriptions.set_index("campaign_id")["start_date"][campaign]


def _with_another_future(source: Source, start: pd.Timestamp, *, is_erased: bool) -> Source:
    """Return the source with everything from `start` on erased, or done to excess."""
    transactions, redemptions = source.transactions, source.coupon_redemptions
    later = transactions["transaction_timestamp"] >= start
    redeemed_later = redemptions["redemption_date"] >= start
    if is_erased:
        return replace(source, transactions=transactions[~later], coupon_redemptions=redemptions[~redeemed_later])
    changed = transactions.copy()
    changed.loc[later, ["sales_value", "coupon_disc"]] = [1e6, 99.0]
    changed.loc[later, "basket_id"] = range(int(later.sum()))
    changed.loc[later, "household_id"] = 1
    again = redemptions[redeemed_later].assign(household_id=1)
    return replace(source, transactions=changed, coupon_redemptions=pd.concat([redemptions, again]))


@pytest.mark.parametrize("is_erased", [True, False])
@pytest.mark.parametrize("campaign", _CAMPAIGNS)
def test_features_at_a_campaigns_start_ignore_what_happens_from_then_on(
    source: Source, campaign: int, is_erased: bool
) -> None:
    start = _start(source, campaign)
    before = household_features(source, start.to_pydatetime())
    after = household_features(_with_another_future(source, start, is_erased=is_erased), start.to_pydatetime())
    known = before.index.intersection(after.index)
    assert set(source.campaigns.loc[source.campaigns["campaign_id"] == campaign, "household_id"]) & set(known)
    assert_frame_equal(before.loc[known], after.loc[known])


def test_features_do_not_count_a_campaign_that_starts_on_that_day(source: Source) -> None:
    start = _start(source, 1).to_pydatetime()
    receivers = source.campaigns.loc[source.campaigns["campaign_id"] == 1, "household_id"].tolist()
    at_start = household_features(source, start).loc[receivers, "campaigns_received"]
    day_later = household_features(source, start + timedelta(days=1)).loc[receivers, "campaigns_received"]
    assert (day_later - at_start == 1).all()


def test_training_rows_are_earlier_campaigns_in_order_with_their_labels(
    source: Source, facts: list[OfferFacts], redeemed: pd.DataFrame
) -> None:
    rows = list(training_rows(source, facts, redeemed, timedelta(0)))
    assert list(rows[0]) == [name for name, _ in REDEMPTION_FIELDS]
    assert len({row["row_key"] for row in rows}) == len(rows) == training_row_count(source, facts) == 36_098
    assert sum(row["redeemed"] for row in rows) == 1_072
    starts = [row["campaign_start"] for row in rows]
    assert starts == sorted(starts)
    offers = {offer.key: offer for offer in facts}
    assert not {offers[row["offer_key"]].campaign_id for row in rows} & source.running_campaign_ids
    assert max(offers[row["offer_key"]].ends_on for row in rows) <= source.last_day


def test_trainable_campaigns_have_eight_weeks_before_them_and_are_over(source: Source) -> None:
    assert trainable_campaigns(source) == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 18, 19]


def test_training_and_serving_share_their_columns(source: Source) -> None:
    served = household_rows(source)[0]
    assert list(served) == [name for name, _ in HOUSEHOLD_FIELDS]
    trained = [name for name, _ in REDEMPTION_FIELDS]
    assert set(CUSTOMER_FEATURES) <= set(served)
    assert set(CUSTOMER_FEATURES) <= set(trained)


def test_households_carry_null_where_nothing_is_known(source: Source) -> None:
    rows = household_rows(source)
    assert len(rows) == 2_469
    assert sum(row["age"] is not None for row in rows) == 801
    assert not any(value != value for row in rows for value in row.values() if isinstance(value, float))  # noqa: PLR0124 - NaN
    silent = [row for row in rows if row["baskets_8w"] == 0]
    assert silent
    assert all(row["share_grocery"] is None and row["preferred_department"] is None for row in silent)
