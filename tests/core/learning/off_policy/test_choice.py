"""Scores as policies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaireon_core.learning.beta_order import largest_probabilities
from kaireon_core.learning.off_policy.choice import Choice, Epsilon, Softmax, ThompsonChoice, greedy

ARMS = (np.array([2.0, 5.0, 1.0, 30.0]), np.array([8.0, 9.0, 1.0, 90.0]))
CHOICES: list[Choice] = [greedy, Softmax(0.3), Softmax(1e-300), Epsilon(0.2), ThompsonChoice(*ARMS)]
SCORES = st.lists(
    st.lists(st.floats(-1e9, 1e9) | st.sampled_from([0.0, 1.0]), min_size=4, max_size=4), min_size=1, max_size=5
)


@pytest.mark.parametrize("choice", CHOICES, ids=["greedy", "softmax", "cold softmax", "epsilon", "thompson"])
@given(scores=SCORES, bits=st.lists(st.integers(0, 15), min_size=5, max_size=5))
def test_probabilities_are_those_of_eligible_actions_and_add_up(
    choice: Choice, scores: list[list[float]], bits: list[int]
) -> None:
    eligible = np.array([[bool(bit >> place & 1) for place in range(4)] for bit in bits[: len(scores)]])
    found = choice(np.array(scores), eligible)
    assert np.all(found[~eligible] == 0)
    assert np.all(found >= 0)
    np.testing.assert_allclose(found.sum(axis=1), eligible.any(axis=1).astype(float), atol=1e-12)


def test_greedy_shares_among_equals() -> None:
    found = greedy(np.array([[1.0, 3.0, 3.0], [9.0, 3.0, 3.0]]), np.array([[True, True, True], [False, True, True]]))
    np.testing.assert_allclose(found, [[0, 0.5, 0.5], [0, 0.5, 0.5]])


def test_softmax_is_the_ratio_of_exponentials() -> None:
    found = Softmax(2.0)(np.array([[0.0, 2.0, 4.0]]), np.ones((1, 3), np.bool_))
    np.testing.assert_allclose(found, [np.exp([0, 1, 2]) / np.exp([0, 1, 2]).sum()])


def test_epsilon_explores_all_that_is_eligible() -> None:
    found = Epsilon(0.3)(np.array([[0.0, 2.0, 4.0]]), np.array([[True, True, False]]))
    np.testing.assert_allclose(found, [[0.15, 0.85, 0.0]])


def test_thompson_gives_each_set_of_arms_its_exact_probabilities() -> None:
    eligible = np.array([[True, True, False, False], [True, True, True, True], [True, True, False, False]])
    found = ThompsonChoice(*ARMS)(np.zeros((3, 4)), eligible)
    np.testing.assert_allclose(found[1], largest_probabilities(*ARMS))
    np.testing.assert_allclose(found[0, :2], largest_probabilities(ARMS[0][:2], ARMS[1][:2]))
    np.testing.assert_array_equal(found[0], found[2])
