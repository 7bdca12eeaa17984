"""Rates and how sure one may be of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaireon_core.decisioning.maturity import wilson_width
from kaireon_core.learning.analysis import rate_of, two_rates_gain, wilson_interval


def test_the_interval_is_the_published_one() -> None:
    # Newcombe, Stat. Med. 17 (1998), table I: 81/263, 15/148, 0/20, 1/29 by the score method.
    published = {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }
    for (positives, count), expected in published.items():
        assert wilson_interval(positives, count) == pytest.approx(expected, abs=5e-5)


@given(count=st.integers(1, 10**6), share=st.floats(0, 1), confidence=st.floats(0.5, 0.999))
def test_the_interval_holds_the_rate_and_is_that_of_the_maturity_ramp(
    count: int, share: float, confidence: float
) -> None:
    positives = round(count * share)
    lower, upper = wilson_interval(positives, count, confidence)
    assert 0 <= lower <= positives / count + 1e-12
    assert positives / count - 1e-12 <= upper <= 1
    width = wilson_width(np.array([float(positives)]), np.array([float(count)]), confidence)[0]
    assert upper - lower == pytest.approx(width, abs=1e-9)


def test_nothing_counted_says_nothing() -> None:
    rate = rate_of(0, 0)
    assert (rate.rate, rate.ci_lower, rate.ci_upper) == (None, 0, 1)


@given(
    st.integers(1, 1000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))),
    st.integers(1, 1000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))),
)
def test_two_rates_never_explain_less_than_one(left: tuple[int, int], right: tuple[int, int]) -> None:
    (n, k), (m, j) = left, right
    gain = two_rates_gain(np.array([float(k)]), np.array([float(n)]), k + j, n + m)[0]
    assert gain >= -1e-9
    if k * m == j * n:
        assert gain == pytest.approx(0, abs=1e-9)
