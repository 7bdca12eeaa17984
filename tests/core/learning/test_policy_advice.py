"""Policies that the past speaks for: planted ones are found, and where there is none none is found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kaireon_core.learning.contact_history import (
    DAY_MS,
    HOUR_MS,
    Happening,
    contact_history,
    hours_since_contact,
    months,
    ordinals,
    weeks,
)
from kaireon_core.learning.policy_advice import PolicyAdvice, advise_policies, has_evidence
from tests.core.learning.planted import (
    FIRST_DAY,
    Answer,
    capped_at_three,
    cooling_for_a_day,
    never_tired,
    offended_for_two_weeks,
    planted_happenings,
)


def happened(
    customer: str, hours: float, key: str | None = None, classification: str | None = None, **more: Any
) -> Happening:
    at = int(hours * HOUR_MS)
    return Happening(
        customer_id=customer,
        at_ms=at,
        local_day=FIRST_DAY + at // DAY_MS,
        is_contact=key is None,
        outcome_key=key,
        classification=classification,
        **{"offer_id": "o", "recommendation_id": None, **more},
    )


def test_an_answer_belongs_to_the_contact_of_its_decision() -> None:
    history = contact_history(
        [
            happened("a", 1, recommendation_id="first"),
            happened("a", 2, recommendation_id="second"),
            happened("a", 3, "click", "positive", recommendation_id="first"),
        ]
    )
    assert history.is_positive.tolist() == [True, False]


def test_an_answer_without_a_decision_belongs_to_the_last_contact_with_its_offer() -> None:
    history = contact_history(
        [
            happened("a", 1),
            happened("a", 2),
            happened("a", 3, offer_id="other"),
            happened("a", 4, "click", "positive"),
            happened("b", 1),
            happened("b", 1 + 31 * 24, "click", "positive"),
            happened("c", 1, "click", "positive"),
        ]
    )
    assert history.is_positive.tolist() == [False, True, False, False]


def test_contacts_know_their_place_and_what_came_before() -> None:
    history = contact_history(
        [
            happened("a", 8),
            happened("a", 9, "dismiss", "negative"),
            happened("a", 20),
            happened("a", 33),
            happened("a", 7 * 24),
            happened("b", 30 * 24),
        ]
    )
    assert hours_since_contact(history).tolist() == [np.inf, 12, 13, 7 * 24 - 33, np.inf]
    assert ordinals(history, history.days).tolist() == [1, 2, 1, 1, 1]
    assert ordinals(history, weeks(history.days)).tolist() == [1, 2, 3, 1, 1]
    assert ordinals(history, months(history.days)).tolist() == [1, 2, 3, 4, 1]
    assert history.since_days["dismiss"].tolist() == [np.inf, 11 / 24, 1, (7 * 24 - 9) / 24, np.inf]


def test_nothing_happened() -> None:
    history = contact_history([])
    assert len(history) == 0
    assert ordinals(history, history.days).tolist() == []
    assert advise_policies(history) == []


PLANTED: list[tuple[Answer, float, str, dict[str, Any]]] = [
    (capped_at_three, 4, "frequency_cap", {"maxPerDay": 3}),
    (cooling_for_a_day, 1, "cooldown", {"cooldownHours": 24}),
    (offended_for_two_weeks, 1, "outcome_based", {"afterOutcome": "dismiss", "suppressForDays": 14}),
]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("answer", "per_day", "rule_type", "config"), PLANTED, ids=[case[2] for case in PLANTED])
def test_a_planted_fatigue_is_found_and_nothing_else(
    answer: Answer, per_day: float, rule_type: str, config: dict[str, Any], seed: int
) -> None:
    advice = advise_policies(contact_history(planted_happenings(answer, seed=seed, per_day=per_day)))
    assert [(one.rule_type, one.config) for one in advice] == [(rule_type, config)]


def test_the_evidence_adds_up() -> None:
    history = contact_history(planted_happenings(capped_at_three, seed=5, per_day=4))
    (advice,) = advise_policies(history)
    evidence = advice.evidence
    assert evidence.blocked.count + evidence.kept.count == len(history)
    assert evidence.blocked.positives + evidence.kept.positives == history.is_positive.sum()
    assert evidence.blocked.count == int((ordinals(history, history.days) > 3).sum())
    assert evidence.same_customers.count <= evidence.kept.count
    assert evidence.blocked.ci_upper < evidence.same_customers.ci_lower
    assert evidence.risk_ratio == pytest.approx(0.2, abs=0.05)
    assert evidence.p_value < evidence.significance < 0.05
    assert sum(point.rate.count for point in evidence.curve) == len(history)
    assert [point.begin for point in evidence.curve] == [1, 2, 3, 4, 5, 6, 7]
    assert evidence.curve[-1].end is None


def test_customers_who_never_tire_get_no_policy() -> None:
    """At most one world in twenty may be misread; heavy customers answer no less for being contacted often."""
    misread = list[list[PolicyAdvice]]()
    for seed in range(40):
        history = contact_history(planted_happenings(never_tired, seed=seed, customers=80))
        misread += [advice] if (advice := advise_policies(history)) else []
    assert len(misread) <= 2


def test_customers_who_are_contacted_often_and_answer_little_prove_nothing() -> None:
    rng = np.random.default_rng(3)
    happenings = list[Happening]()
    for customer in range(200):
        # Half are contacted eight times a day and answer one in fifty, half once and answer one in five.
        is_heavy = customer % 2 == 0
        for day in range(20):
            for number in range(8 if is_heavy else 1):
                happenings.append(happened(f"c{customer}", day * 24 + 8 + number))
                if rng.random() < (0.02 if is_heavy else 0.2):
                    happenings.append(happened(f"c{customer}", day * 24 + 8 + number + 0.1, "click", "positive"))
    assert advise_policies(contact_history(happenings)) == []


def test_too_little_is_no_evidence() -> None:
    happenings = planted_happenings(capped_at_three, seed=1, customers=2, days=5)
    assert not has_evidence(contact_history(happenings))
    assert advise_policies(contact_history(happenings)) == []
