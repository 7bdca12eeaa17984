"""Synthetic data whose structure is known, because it was put there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np

from kaireon_core.column import Column
from kaireon_core.learning.cluster_matrix import ClusterField
from kaireon_core.learning.contact_history import DAY_MS, HOUR_MS, Happening
from kaireon_core.learning.creative_text import ShownCreative
from kaireon_core.learning.feature import FeatureKind

FIRST_DAY = date(2026, 1, 5).toordinal()  # a Monday

TIERS = ("bronze", "gold", "silver")
_AGES, _INCOMES = (25.0, 45.0, 70.0), (30_000.0, 90_000.0, 50_000.0)

_TEXT = (
    "save now card travel points free hurry exclusive member reward bonus today online family secure easy simple"
    " trusted cash back loan credit offer deal summer winter night home"
)
WORDS = _TEXT.split()

# Rates of (positive, negative) for the n-th contact of a day, at an instant, after the last contact and the last
# negative outcome of this customer (-inf: none).
Answer = Callable[[float, int, int, float, float], tuple[float, float]]


def planted_rows(count: int, seed: int = 1) -> tuple[list[dict[str, Any]], list[int]]:
    """Customers of three kinds, with some values missing, and the kind of each."""
    rng = np.random.default_rng(seed)
    kinds: list[int] = rng.integers(0, 3, count).tolist()
    rows: list[dict[str, Any]] = [
        {
            "customer_id": f"c{number}",
            "age": None if rng.random() < 0.03 else round(float(rng.normal(_AGES[kind], 4))),
            "income": float(rng.normal(_INCOMES[kind], 5_000)),
            "tier": TIERS[kind] if rng.random() < 0.95 else "bronze",
            "owner": bool(rng.random() < (0.9 if kind == 1 else 0.1)),
        }
        for number, kind in enumerate(kinds)
    ]
    return rows, kinds


def cluster_fields(rows: list[dict[str, Any]]) -> list[ClusterField]:
    kinds = {
        "age": FeatureKind.NUMERIC,
        "income": FeatureKind.NUMERIC,
        "tier": FeatureKind.TEXT,
        "owner": FeatureKind.BOOLEAN,
    }
    return [
        ClusterField(name=name, kind=kind, column=Column.from_values([row[name] for row in rows]))
        for name, kind in kinds.items()
    ]


def capped_at_three(base: float, number: int, _at: int, _contact: float, _negative: float) -> tuple[float, float]:
    return (base if number <= 3 else base / 5), 0.05


def cooling_for_a_day(base: float, _number: int, at: int, contact: float, _negative: float) -> tuple[float, float]:
    return (base if at - contact >= DAY_MS else base / 5), 0.05


def offended_for_two_weeks(base: float, _number: int, at: int, _contact: float, negative: float) -> tuple[float, float]:
    return (base / 10 if at - negative < 14 * DAY_MS else base), 0.02


def never_tired(base: float, _number: int, _at: int, _contact: float, _negative: float) -> tuple[float, float]:
    return base, 0.05


def planted_happenings(
    answer: Answer, *, seed: int, customers: int = 300, days: int = 40, per_day: float = 2.0, rate: float = 0.15
) -> list[Happening]:
    """Contacts of customers who differ in how often they are contacted and in how gladly they answer."""
    rng = np.random.default_rng(seed)
    found = list[Happening]()
    for customer in range(customers):
        often, base = per_day * rng.gamma(2, 0.5), rate * rng.gamma(4, 0.25)
        contact = negative = -np.inf
        for day in range(days):
            times = np.sort(rng.integers(8 * HOUR_MS, 20 * HOUR_MS, rng.poisson(often))).tolist()
            for number, time in enumerate(times, 1):
                at = day * DAY_MS + time
                good, bad = answer(base, number, at, contact, negative)
                shown = _happening(f"c{customer}", at, FIRST_DAY + day)
                found.append(shown)
                contact, chance = at, rng.random()
                if chance < good:
                    found.append(_answer(shown, "click", "positive"))
                elif chance > 1 - bad:
                    negative = at + 1_000
                    found.append(_answer(shown, "dismiss", "negative"))
    return found


def _happening(customer_id: str, at: int, day: int) -> Happening:
    return Happening(
        customer_id=customer_id,
        at_ms=at,
        local_day=day,
        is_contact=True,
        outcome_key="impression",
        classification="neutral",
        offer_id="offer",
        recommendation_id=f"{customer_id}-{at}",
    )


def _answer(shown: Happening, key: str, classification: str) -> Happening:
    return Happening(
        customer_id=shown.customer_id,
        at_ms=shown.at_ms + 1_000,
        local_day=shown.local_day,
        is_contact=False,
        outcome_key=key,
        classification=classification,
        offer_id=shown.offer_id,
        recommendation_id=shown.recommendation_id,
    )


def planted_creatives(count: int, seed: int = 1, *, free: float = 0.05, hurry: float = -0.035) -> list[ShownCreative]:
    """Creatives of eight words; `free` adds to the rate of a positive answer, `hurry` takes away."""
    rng = np.random.default_rng(seed)
    found = list[ShownCreative]()
    for number in range(count):
        words: list[str] = rng.choice(WORDS, 8, replace=False).tolist()
        rate = 0.05 + free * ("free" in words) + hurry * ("hurry" in words)
        impressions = int(rng.integers(200, 600))
        found.append(
            ShownCreative(
                id=str(number),
                text=" ".join(words),
                impressions=impressions,
                positives=int(rng.binomial(impressions, rate)),
            )
        )
    return found
