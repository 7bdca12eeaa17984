"""The probability that one Beta draw is the largest of several: against closed forms, other integrals and draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import betainc, betaincinv

from kaireon_core.learning.beta_order import largest_probabilities

PARAMETERS = st.one_of(st.floats(0.03, 5.0), st.floats(1.0, 1e4), st.floats(1.0, 1e9))
ARMS = st.lists(st.tuples(PARAMETERS, PARAMETERS), min_size=1, max_size=12)


def found(*arms: tuple[float, float]) -> np.ndarray:
    return largest_probabilities(*np.array(arms, float).T)


def second_beats_first(first: tuple[int, int], second: tuple[int, int]) -> float:
    """Evan Miller's sum (Formulas for Bayesian A/B testing, 2015), for a whole number of successes."""

    def log_beta(a: float, b: float) -> float:
        return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)

    (a1, b1), (a2, b2) = first, second
    return math.fsum(
        math.exp(log_beta(a1 + i, b1 + b2) - math.log(b2 + i) - log_beta(1 + i, b2) - log_beta(a1, b1))
        for i in range(a2)
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [((2, 3), (4, 5)), ((1, 1), (1000, 1000)), ((20, 400), (30, 500)), ((1, 1000), (1, 1)), ((1, 10**5), (2, 10**5))],
)
def test_two_arms_agree_with_the_closed_form(first: tuple[int, int], second: tuple[int, int]) -> None:
    assert found(first, second)[1] == pytest.approx(second_beats_first(first, second), abs=1e-8)


@given(powers=st.lists(st.floats(0.1, 50.0), min_size=1, max_size=8))
def test_arms_that_never_failed_win_in_proportion_to_their_successes(powers: list[float]) -> None:
    """With beta = 1, F(x) = x^alpha, and the integral is alpha_i / sum of all alpha."""
    shares = np.array(powers) / sum(powers)
    np.testing.assert_allclose(found(*((power, 1.0) for power in powers)), shares, atol=1e-8)


@given(arms=ARMS)
def test_probabilities_sum_to_one_and_do_not_depend_on_the_order(arms: list[tuple[float, float]]) -> None:
    shares = found(*arms)
    assert shares.sum() == pytest.approx(1.0, abs=1e-12)
    assert shares.min() >= 0
    np.testing.assert_allclose(found(*reversed(arms))[::-1], shares, atol=1e-7)


@given(arms=ARMS, seed=st.integers(0, 5))
def test_a_copy_of_an_arm_gets_the_same_probability(arms: list[tuple[float, float]], seed: int) -> None:
    shares = found(*arms, arms[seed % len(arms)])
    assert shares[-1] == shares[seed % len(arms)]


@settings(max_examples=8)
@given(arms=st.lists(st.tuples(st.floats(0.3, 400.0), st.floats(0.3, 400.0)), min_size=2, max_size=4))
def test_integral_agrees_with_a_fine_grid_of_quantiles(arms: list[tuple[float, float]]) -> None:
    """E[prod F_j(X_i)] over 200,001 midpoints of X_i's quantiles: monotone in [0, 1], so off by 2.5e-6 at most."""
    parameters = np.array(arms)
    levels = (np.arange(200_001) + 0.5) / 200_001
    for index, share in enumerate(found(*arms)):
        quantiles = betaincinv(*parameters[index], levels)
        others = np.delete(parameters, index, axis=0)
        product = np.prod([betainc(a, b, quantiles) for a, b in others], axis=0)
        assert share == pytest.approx(product.mean(), abs=4e-6)


def test_monte_carlo_agrees_for_a_shop_of_34_arms() -> None:
    random = np.random.default_rng(7)
    alphas = random.integers(1, 60, 34).astype(float)
    betas = random.integers(3000, 9000, 34).astype(float)
    shares = largest_probabilities(alphas, betas)
    draws = 200_000
    wins = np.bincount(random.beta(alphas, betas, (draws, 34)).argmax(axis=1), minlength=34) / draws
    assert np.all(np.abs(wins - shares) <= 5 * np.sqrt(shares * (1 - shares) / draws) + 1e-6)


@pytest.mark.parametrize(
    ("arms", "expected"),
    [
        ([(1e10, 1.0), (1.0, 1e10)], [1.0, 0.0]),
        ([(0.03, 1e10), (1e10, 0.03)], [0.0, 1.0]),
        ([(1e10, 1e10), (1e10, 1e10 - 1e5)], [0.30853754, 0.69146246]),  # Phi(-1/2): two normal draws
        ([(30.0, 1e10)] * 1000, [1e-3] * 1000),
    ],
    ids=["apart", "at the ends", "two needles", "a thousand equals"],
)
def test_extreme_arms(arms: list[tuple[float, float]], expected: list[float]) -> None:
    np.testing.assert_allclose(found(*arms), expected, atol=1e-6)


@pytest.mark.parametrize("bad", [0.0, -1.0, 0.02, 2e10, math.inf, math.nan])
def test_impossible_parameters_are_refused(bad: float) -> None:
    for arms in ([(bad, 1.0), (1.0, 1.0)], [(1.0, bad)]):
        with pytest.raises(ValueError, match="must be from"):
            found(*arms)


def test_no_arms_or_uneven_arms_are_refused() -> None:
    with pytest.raises(ValueError, match="same length"):
        largest_probabilities(np.array([]), np.array([]))
    with pytest.raises(ValueError, match="same length"):
        largest_probabilities(np.array([1.0]), np.array([1.0, 2.0]))
