"""Contact history holds each mailing and each redemption once, at the shifted day."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pandas as pd

from kaireon_worker.samples.completejourney.history import contacts
from kaireon_worker.samples.completejourney.offers import OfferFacts
from kaireon_worker.samples.completejourney.source import Source, shift_from
from kaireon_worker.samples.definition import Identities

_IDS = Identities(UUID(int=7), "completejourney")
_SEED_DAY = date(2026, 3, 10)


def test_history_has_every_receipt_and_every_redemption(
    source: Source, facts: list[OfferFacts], redeemed: pd.DataFrame
) -> None:
    rows = list(contacts(source, facts, redeemed, timedelta(0), _IDS))
    assert Counter(row.outcome_key for row in rows) == {"impression": 6_589, "convert": 2_102}
    assert len({row.id for row in rows}) == len(rows)
    assert {row.offer_id for row in rows} <= {_IDS.of("offer", offer.key) for offer in facts}
    assert rows == list(contacts(source, facts, redeemed, timedelta(0), _IDS))


def test_history_ends_on_the_day_before_the_seed(
    source: Source, facts: list[OfferFacts], redeemed: pd.DataFrame
) -> None:
    shift = shift_from(source.last_day, _SEED_DAY)
    rows = list(contacts(source, facts, redeemed, shift, _IDS))
    assert shift.seconds == 0
    assert max(row.occurred_at for row in rows).date() == _SEED_DAY - timedelta(days=1)
    assert max(row.occurred_at for row in rows) < datetime(2026, 3, 10, tzinfo=UTC)
    unshifted = contacts(source, facts, redeemed, timedelta(0), _IDS)
    assert all(
        row.id == was.id and row.occurred_at - was.occurred_at == shift
        for row, was in zip(rows, unshifted, strict=True)
    )


def test_a_redemption_is_worth_what_was_bought_with_it(redeemed: pd.DataFrame) -> None:
    matched = redeemed["sales_value"].notna()
    assert matched.sum() == 1_128
    same_day = redeemed["redeemed_at"].dt.normalize() == redeemed["redemption_date"]
    assert same_day.all()
    assert (redeemed.loc[matched, "sales_value"] >= 0).all()
