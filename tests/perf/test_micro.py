"""The measurement of deciding: it compares what gives the same answers, and measures every ratio."""

from __future__ import annotations

import math

import pytest

from perf.micro import world, zen
from perf.micro.kaireon import Shop
from perf.micro.ratios import Ratio, Size, measure
from perf.micro.timing import race

TINY = Size(candidates=40, many_candidates=80, customers=3, rounds=1, seconds=1e-6)


def test_every_ratio_is_measured_and_is_a_number() -> None:
    ratios = list(measure(TINY))

    assert [ratio.name for ratio in ratios] == [
        "narrowing",
        "zen",
        "zen-expression",
        "candidates",
        "customers",
        "customers-recorded",
        "explaining",
        "explaining-customers",
        "logistic",
        "trees",
    ]
    assert [ratio.name for ratio in ratios if ratio.most is not None or ratio.least is not None] == [
        "narrowing",
        "zen",
        "candidates",
        "customers",
        "customers-recorded",
        "logistic",
        "trees",
    ]
    for ratio in ratios:
        assert all(math.isfinite(value) and value > 0 for value in (ratio.ratio, *ratio.decisions_per_second.values()))


@pytest.mark.parametrize("number", range(4))
def test_the_other_engine_gives_the_same_answers(number: int) -> None:
    customer = world.customers(number + 1, 40)[number]
    shop = Shop.of(number + 1, 40, with_policies=False)
    expected = shop.failed_rules(number)

    assert zen.Table(40, customer).failed_rules() == expected
    assert zen.Expression(40, customer).failed_rules() == expected


def test_every_rule_and_policy_does_something() -> None:
    shop = Shop.of(100, 100)
    reasons = shop.live.compiled.reasons
    told = {reasons[code - 1].entity_id for code in set(shop.decide().reasons.ravel().tolist()) if code}

    catalogue = shop.live.compiled.candidates.catalogue
    assert {rule.id for rule in catalogue.qualification_rules} <= told
    assert len(shop.record()) == 100


def test_a_race_calls_everybody_and_takes_the_best() -> None:
    calls = dict.fromkeys("ab", 0)

    def work(name: str) -> None:
        calls[name] += 1

    best = race({name: lambda name=name: work(name) for name in calls}, rounds=3, seconds=0.0)

    assert calls == {"a": 7, "b": 7}
    assert set(best) == {"a", "b"}


@pytest.mark.parametrize(("ratio", "is_kept"), [(5.0, True), (4.9, False)])
def test_a_budget_is_kept_or_not(ratio: float, *, is_kept: bool) -> None:
    measured = Ratio(name="n", of="o", ratio=ratio, least=5, decisions_per_second={}, microseconds={})
    assert measured.is_kept is is_kept
