"""Selection probabilities of drawn scores: they are what happens, and they add up, whatever the ranking does."""

from __future__ import annotations

import math
from collections import Counter
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaireon_core.decisioning.answer_order import AnswerOrder, arranged_order, ranked_order
from kaireon_core.decisioning.decide import decide
from kaireon_core.decisioning.flow import RankConfig
from kaireon_core.learning.bandit import Bandit
from kaireon_core.learning.contest import Contest
from kaireon_core.learning.epsilon_greedy import EpsilonArm, EpsilonGreedy, EpsilonState
from kaireon_core.learning.learner_configs import EpsilonConfig, ThompsonConfig
from kaireon_core.learning.score_axis import score_axis
from kaireon_core.learning.score_laws import Laws
from kaireon_core.learning.thompson import ThompsonArm, ThompsonBandit, ThompsonState
from tests.core.decisioning.cases import compile_case, facts_of, request_of

MANY = 1000
ARMS = {"o0": (3, 7), "o1": (5, 5), "o2": (2, 9), "o3": (30, 40), "o4": (1, 1)}
THOMPSON = ThompsonBandit.of(
    ThompsonConfig(),
    ThompsonState(arms={name: ThompsonArm(alpha=alpha, beta=beta) for name, (alpha, beta) in ARMS.items()}),
)
EPSILON = EpsilonGreedy.of(
    EpsilonConfig(epsilon=0.4, decay_rate=0),
    EpsilonState(arms={name: EpsilonArm(total_reward=good, pulls=10) for name, (good, _) in ARMS.items()}),
)
PROPENSITY = {"method": "propensity", "modelKey": "bandit"}
FORMULA = {
    "method": "formula",
    "modelKey": "bandit",
    "formula": {"propensityWeight": 0.5, "relevanceWeight": 0, "impactWeight": 0.5, "emphasisWeight": 0},
}
TOP: dict[str, Any] = {"method": "topN"}


def case_of(score: dict[str, Any], rank: dict[str, Any], **catalogue: Any) -> dict[str, Any]:
    offers = [
        {"id": name, "categoryId": f"c{number % 2}", "businessValue": 40 + 15 * number, "priority": 50 + number}
        for number, name in enumerate(ARMS)
    ]
    nodes = [
        {"id": "i", "type": "inventory"},
        {"id": "q", "type": "qualify"},
        {"id": "s", "type": "score", "config": score},
        {"id": "r", "type": "rank", "config": rank},
        {"id": "z", "type": "response"},
    ]
    return {
        "catalogue": {"offers": offers, "categories": [{"id": "c0"}, {"id": "c1"}], **catalogue},
        "flow": {"version": 2, "nodes": nodes},
        "request": {"now": "2026-01-05T12:00:00+00:00", "limit": 3},
    }


FIT = {
    "id": "fit",
    "stage": "fit",
    "ruleType": "offer_attribute",
    "scope": "global",
    "config": {"attribute": "businessValue", "operator": "lt", "value": 60, "fitMultiplier": 0.7},
}
CASES: list[tuple[str, Bandit, dict[str, Any]]] = [
    ("by score", THOMPSON, case_of(PROPENSITY, TOP)),
    ("with fit", THOMPSON, case_of(PROPENSITY, TOP, qualification_rules=[FIT])),
    ("with a floor", THOMPSON, case_of({**PROPENSITY, "propensityFloor": 0.4}, TOP)),
    ("by formula", THOMPSON, case_of({**FORMULA, "propensityFloor": 0.2}, TOP)),
    ("diversity", THOMPSON, case_of(PROPENSITY, {"method": "diversity"})),
    ("in turn", THOMPSON, case_of(PROPENSITY, {"method": "round_robin"})),
    ("epsilon", EPSILON, case_of(PROPENSITY, TOP)),
    ("epsilon with fit", EPSILON, case_of(PROPENSITY, {"method": "diversity"}, qualification_rules=[FIT])),
]


@pytest.mark.parametrize(("bandit", "case"), [one[1:] for one in CASES], ids=[one[0] for one in CASES])
def test_answers_come_as_often_as_their_probabilities_say(bandit: Bandit, case: dict[str, Any]) -> None:
    flow = compile_case(case, {"bandit": bandit})
    customers = [{"seed": (seed * 0x9E3779B97F4A7C15) % 2**64} for seed in range(MANY)]

    decisions = decide(flow, request_of(case), facts_of(case, flow, customers))

    assert decisions.probabilities is not None
    answers = [tuple(picks.tolist()) for picks in decisions.picks]
    expected = dict(zip(answers, (float(np.prod(one)) for one in decisions.probabilities), strict=True))
    for answer, count in Counter(answers).items():
        chance = expected[answer]
        assert abs(count / MANY - chance) < 5 * math.sqrt(chance * (1 - chance) / MANY) + 1e-3
    assert sum(expected.values()) <= 1 + 1e-6


def laws_of(arms: list[tuple[float, float]], floor: float) -> Laws:
    count = len(arms)
    return Laws.of(
        alpha=np.array([arm[0] for arm in arms]),
        beta=np.array([arm[1] for arm in arms]),
        scale=np.linspace(1.0, 0.8, count),
        exponent=np.ones(count),
        floor=floor,
        sure=np.linspace(0.3, 0.6, count),
        tie=np.arange(count, 0, -1).astype(np.float64),
    )


def contest_of(laws: Laws) -> Contest:
    return Contest(axis=score_axis(laws), kind=range(len(laws.alpha)))


def order_of(method: str, categories: list[int], picks: list[int]) -> AnswerOrder:
    if method == "topN":
        return ranked_order(len(categories), picks, [])
    return arranged_order(RankConfig(method=method), categories, picks)  # pyright: ignore[reportArgumentType]


def answer_of(method: str, categories: list[int], ranking: tuple[int, ...], limit: int) -> tuple[int, ...]:
    """Return the answer to a ranking by score, in the words of the reference documentation."""
    seen = Counter[int]()
    rounds = list[tuple[int, int, int]]()
    first = {categories[row]: place for place, row in reversed(list(enumerate(ranking)))}
    for place, row in enumerate(ranking):
        earlier = seen[categories[row]]
        seen[categories[row]] += 1
        if method == "diversity":
            rounds.append((int(earlier >= 1), place, row))
        elif method == "round_robin":
            rounds.append((earlier, first[categories[row]], row))
        else:
            rounds.append((0, place, row))
    return tuple(row for *_, row in sorted(rounds))[:limit]


# Nothing at all is certain: alpha 0 is a score that is no matter of chance.
arms = st.lists(st.tuples(st.one_of(st.just(0.0), st.floats(0.2, 200)), st.floats(0.2, 200)), min_size=3, max_size=4)


@settings(max_examples=40)
@given(
    arms=arms,
    floor=st.sampled_from([0.0, 0.3]),
    method=st.sampled_from(["topN", "diversity", "round_robin"]),
    data=st.data(),
)
def test_the_probabilities_of_all_answers_sum_to_one(
    arms: list[tuple[float, float]], floor: float, method: str, data: st.DataObject
) -> None:
    categories = data.draw(st.lists(st.integers(0, 1), min_size=len(arms), max_size=len(arms)))
    contest = contest_of(laws_of(arms, floor))
    answers = {answer_of(method, categories, ranking, 3) for ranking in permutations(range(len(arms)))}

    joint = {answer: order_of(method, categories, list(answer)).joint(contest) for answer in answers}

    assert sum(one[-1] for one in joint.values()) == pytest.approx(1.0, abs=1e-7)
    for answer, chances in joint.items():
        # What follows a beginning adds up to that beginning.
        beginnings = {other[:2]: found[1] for other, found in joint.items() if other[0] == answer[0]}
        assert sum(beginnings.values()) == pytest.approx(chances[0], abs=1e-7)


def test_a_panel_that_finds_its_mass_by_chance_is_halved_all_the_same() -> None:
    arms = [(187.43616831588776, 156.53824233709042), (153.54645807048593, 163.10210722580757), (70.0, 53.0)]
    contest = contest_of(laws_of(arms, 0.0))

    orders = [contest.order(ranking) for ranking in permutations(range(3))]

    assert sum(orders) == pytest.approx(1.0, abs=1e-9)


@settings(max_examples=20)
@given(arms=arms, data=st.data())
def test_the_order_in_which_arms_are_listed_changes_nothing(
    arms: list[tuple[float, float]], data: st.DataObject
) -> None:
    laws = laws_of(arms, 0.2)
    places = data.draw(st.permutations(range(len(arms))))
    shuffled = Laws.from_columns(laws.columns()[:, places])

    one = contest_of(laws).order([places[0], places[1]])
    other = contest_of(shuffled).order([0, 1])

    assert one == pytest.approx(other, abs=1e-10)


@pytest.mark.parametrize("config", [{"method": "explore", "epsilon": 0.1}, {"method": "explore", "temperature": 0.1}])
def test_what_is_not_known_is_not_said(config: dict[str, Any]) -> None:
    case = case_of(PROPENSITY, config)
    flow = compile_case(case, {"bandit": THOMPSON})

    decisions = decide(flow, request_of(case), facts_of(case, flow, [{"seed": 1}]))

    assert decisions.probabilities is not None
    assert np.isnan(decisions.probabilities[0]).all()
