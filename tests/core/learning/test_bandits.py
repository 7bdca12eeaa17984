"""Bandits: what they draw, what they expect, and what responses add to them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaireon_core.decisioning.draws import name_hash, uniform
from kaireon_core.learning.epsilon_greedy import EpsilonArm, EpsilonGreedy, EpsilonState
from kaireon_core.learning.learned import LearnedArms, LearnedRows
from kaireon_core.learning.learner_configs import EpsilonConfig, ThompsonConfig
from kaireon_core.learning.model import RowTable
from kaireon_core.learning.thompson import ThompsonArm, ThompsonBandit, ThompsonState

MANY = 20_000
NOTHING = LearnedArms.none(0)


def draws_of(count: int) -> np.ndarray:
    return uniform(np.arange(count, dtype=np.uint64), np.array(name_hash("x"), np.uint64))


@pytest.mark.parametrize(("alpha", "beta"), [(1, 1), (0.5, 0.5), (30, 70), (2, 900), (100_000, 300_000)])
def test_a_thompson_score_is_a_draw_from_the_beta_distribution(alpha: float, beta: float) -> None:
    bandit = ThompsonBandit.of(ThompsonConfig(), ThompsonState())
    uniforms = draws_of(MANY)[:, None]

    drawn = bandit.draws(NOTHING, np.array([[alpha, beta]]), uniforms, uniforms[:, 0])[:, 0]

    mean, variance = alpha / (alpha + beta), alpha * beta / ((alpha + beta) ** 2 * (alpha + beta + 1))
    assert drawn.mean() == pytest.approx(mean, abs=5 * np.sqrt(variance / MANY))
    assert drawn.var() == pytest.approx(variance, rel=0.1)


def test_an_epsilon_greedy_decision_explores_as_often_as_it_should() -> None:
    bandit = EpsilonGreedy.of(EpsilonConfig(epsilon=0.2, decay_rate=0.01), EpsilonState(total_pulls=100))
    sums, chances = np.array([[3.0, 10.0], [0.0, 0.0]]), draws_of(MANY)
    uniforms = uniform(np.arange(MANY, dtype=np.uint64)[:, None], np.array([1, 2], np.uint64))

    drawn = bandit.draws(LearnedArms(sums=sums, totals=np.array([0.0, 0.0])), sums, uniforms, chances)

    is_greedy = (drawn == [0.3, 1.0]).all(axis=1)
    assert 1 - is_greedy.mean() == pytest.approx(0.1, abs=0.01)
    explored = drawn[~is_greedy]
    assert explored.mean(axis=0) == pytest.approx([0.5, 0.5], abs=0.05)


def test_exploring_decays_with_the_pulls_of_all_arms() -> None:
    bandit = EpsilonGreedy.of(EpsilonConfig(), EpsilonState(arms={"a": EpsilonArm(total_reward=1, pulls=400)}))

    assert bandit.exploring(NOTHING) == pytest.approx(0.1 / 1.4)
    later = LearnedArms(sums=np.zeros((0, 2)), totals=np.array([0.0, 600.0]))
    assert bandit.exploring(later) == pytest.approx(0.05)


def test_an_offer_that_is_no_arm_counts_as_a_new_one() -> None:
    bandit = ThompsonBandit.of(ThompsonConfig(prior_alpha=1, prior_beta=3), ThompsonState())
    rows = RowTable([{"offerId": "new"}, {"offer": {"id": "other"}}, {}])

    assert bandit.score(rows).values[:, 0].tolist() == [0.25, 0.25, 0.25]


counts = st.integers(0, 1000).map(float)
lessons = st.dictionaries(st.sampled_from("abc"), st.tuples(counts, counts))


@given(first=lessons, second=lessons)
def test_responses_add_up_in_any_order(
    first: dict[str, tuple[float, float]], second: dict[str, tuple[float, float]]
) -> None:
    bandit = ThompsonBandit.of(ThompsonConfig(), ThompsonState(arms={"a": ThompsonArm(alpha=3, beta=4)}))
    one, other = LearnedRows(sums=first), LearnedRows(sums=second)

    there, back = bandit.taught(one).taught(other), bandit.taught(other).taught(one)

    assert there.shown(LearnedRows()) == back.shown(LearnedRows())
    assert there.shown(LearnedRows()) == bandit.taught(one).shown(other)
