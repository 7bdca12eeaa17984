"""Comparing rates: known values, laws, and that looking all the time finds nothing where there is nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import chdtrc

from kaireon_core.experimentation.always_valid import UNDECIDED, compare_always
from kaireon_core.experimentation.proportion import Proportion, wilson_interval
from kaireon_core.experimentation.two_proportions import compare_once

_RUNS = 400
_CUSTOMERS = 6_000
_LOOKS = 150

proportions = st.integers(1, 5_000).flatmap(
    lambda trials: st.integers(0, trials).map(lambda successes: Proportion(successes, trials))
)


@pytest.mark.parametrize(
    ("successes", "trials", "expected"),
    # Newcombe, Two-sided confidence intervals for the single proportion, Statistics in Medicine 17 (1998), table I.
    [(81, 263, (0.2553, 0.3662)), (15, 148, (0.0624, 0.1605)), (0, 20, (0.0, 0.1611)), (1, 29, (0.0061, 0.1718))],
)
def test_wilson_intervals_are_those_of_the_literature(
    successes: int, trials: int, expected: tuple[float, float]
) -> None:
    assert wilson_interval(Proportion(successes, trials), 0.95) == pytest.approx(expected, abs=6e-5)


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    # Newcombe, Interval estimation for the difference between independent proportions (1998), table II, method 10.
    [
        ((56, 70), (48, 80), (0.0524, 0.3339)),
        ((9, 10), (3, 10), (0.1705, 0.8090)),
        ((10, 10), (0, 20), (0.6791, 1.0)),
        ((0, 10), (0, 20), (-0.1611, 0.2775)),
    ],
)
def test_intervals_of_differences_are_those_of_the_literature(
    mine: tuple[int, int], theirs: tuple[int, int], expected: tuple[float, float]
) -> None:
    found = compare_once(Proportion(*mine), Proportion(*theirs), 0.95)
    assert found is not None
    assert (found.ci_lower, found.ci_upper) == pytest.approx(expected, abs=6e-5)


@given(mine=proportions, theirs=proportions)
def test_law_the_z_test_is_the_chi_squared_test(mine: Proportion, theirs: Proportion) -> None:
    found = compare_once(mine, theirs, 0.95)
    assert found is not None
    table = np.array([[one.successes, one.trials - one.successes] for one in (mine, theirs)])
    if 0 in table.sum(axis=0):
        assert (found.z_score, found.p_value) == (0, 1)
        return
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    assert found.z_score**2 == pytest.approx(statistic, rel=1e-9, abs=1e-9)
    assert found.p_value == pytest.approx(float(chdtrc(1, statistic)), rel=1e-6, abs=1e-12)


@given(mine=proportions, theirs=proportions, deviation=st.floats(0.001, 1))
def test_law_a_p_value_is_small_just_where_the_interval_excludes_zero(
    mine: Proportion, theirs: Proportion, deviation: float
) -> None:
    found = compare_always(mine, theirs, 0.95, deviation)
    assert found is not None
    assert 0 <= found.p_value <= 1
    assert found.ci_lower <= found.ci_upper
    if abs(found.p_value - 0.05) > 1e-9:
        assert (found.p_value < 0.05) == (found.ci_lower > 0 or found.ci_upper < 0)
    once = compare_once(mine, theirs, 0.95)
    assert once is not None
    assert found == UNDECIDED or found.ci_upper - found.ci_lower > (once.ci_upper - once.ci_lower) * 0.9


@given(mine=proportions, theirs=proportions)
def test_law_the_comparison_has_no_side(mine: Proportion, theirs: Proportion) -> None:
    there, back = compare_always(mine, theirs, 0.95, 0.02), compare_always(theirs, mine, 0.95, 0.02)
    assert there is not None
    assert back is not None
    assert there.p_value == pytest.approx(back.p_value, rel=1e-9)
    assert (there.ci_lower, there.ci_upper) == pytest.approx((-back.ci_upper, -back.ci_lower), abs=1e-12)


def test_nothing_is_said_of_nobody() -> None:
    nobody, somebody = Proportion(0, 0), Proportion(1, 2)
    for one, other in ((nobody, somebody), (somebody, nobody)):
        assert compare_once(one, other, 0.95) is None
        assert compare_always(one, other, 0.95, 0.02) is None
    assert wilson_interval(nobody, 0.95) is None
    assert compare_always(Proportion(5, 5), Proportion(0, 5), 0.95, 0.02) == UNDECIDED


def _peeked(rate: float, uplift: float, share: float, seed: int) -> tuple[float, float]:
    """Return in which part of the runs somebody who looks all the time once finds p < 0.05: always valid, fixed."""
    chance = np.random.default_rng(seed)
    is_mine = chance.random((_RUNS, _CUSTOMERS)) < share
    converted = chance.random((_RUNS, _CUSTOMERS)) < rate + uplift * is_mine
    looks = np.linspace(_CUSTOMERS / _LOOKS, _CUSTOMERS, _LOOKS).astype(int)
    trials = np.cumsum(is_mine, axis=1)[:, looks - 1]
    mine = np.cumsum(is_mine & converted, axis=1)[:, looks - 1]
    theirs = np.cumsum(~is_mine & converted, axis=1)[:, looks - 1]
    found = [0, 0]
    for run in range(_RUNS):
        always, fixed = [1.0], [1.0]
        for at, look in enumerate(looks.tolist()):
            arms = (
                Proportion(int(mine[run, at]), int(trials[run, at])),
                Proportion(int(theirs[run, at]), look - int(trials[run, at])),
            )
            once, sequential = compare_once(*arms, 0.95), compare_always(*arms, 0.95, 0.02)
            if once is not None and sequential is not None:
                always.append(sequential.p_value)
                fixed.append(once.p_value)
        found = [found[0] + (min(always) < 0.05), found[1] + (min(fixed) < 0.05)]
    return found[0] / _RUNS, found[1] / _RUNS


@pytest.mark.parametrize(("rate", "share"), [(0.05, 0.5), (0.05, 0.2), (0.2, 0.1)])
def test_peeking_finds_nothing_where_there_is_nothing(rate: float, share: float) -> None:
    always, fixed = _peeked(rate, 0.0, share, seed=7)
    assert always <= 0.05
    # The harm that the always-valid one avoids.
    assert fixed > 0.2


def test_peeking_finds_what_there_is() -> None:
    always, _ = _peeked(0.05, 0.05, 0.5, seed=11)
    assert always > 0.95


def test_the_formula_is_the_mixture_of_likelihood_ratios() -> None:
    mine, theirs, deviation = Proportion(130, 1000), Proportion(100, 1100), 0.03
    found = compare_always(mine, theirs, 0.95, deviation)
    assert found is not None
    variance = sum(
        (one.successes + 2) / (one.trials + 4) * (1 - (one.successes + 2) / (one.trials + 4)) / (one.trials + 4)
        for one in (mine, theirs)
    )
    difference = 130 / 1000 - 100 / 1100
    effects = np.linspace(-0.5, 0.5, 200_001)
    prior = np.exp(-(effects**2) / (2 * deviation**2)) / (deviation * math.sqrt(2 * math.pi))
    ratio = np.exp((2 * difference * effects - effects**2) / (2 * variance))
    mixture = float(np.trapezoid(ratio * prior, effects))
    assert found.p_value == pytest.approx(min(1, 1 / mixture), rel=1e-6)
