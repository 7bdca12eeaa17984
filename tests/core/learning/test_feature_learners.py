"""Models that learn from features: what a response counts, and what the counts come to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaireon_core.learning.bayesian import BayesianState, ClassCounts
from kaireon_core.learning.bayesian_learner import BayesianLearner, bayesian_subjects
from kaireon_core.learning.configs import BayesianConfig
from kaireon_core.learning.learned import LearnedRows
from kaireon_core.learning.linear import LinearState
from kaireon_core.learning.model import RowTable
from kaireon_core.learning.online_learner import OnlineLearner, online_features


def test_features_are_named_as_weights_are() -> None:
    state = LinearState(weights={}, means={"income": 50_000.0}, scales={"income": 10_000.0})

    found = online_features(state, {"income": 70_000, "plan": "pro", "member": True, "gone": None, "off": False})

    assert found == {"income": 2.0, "plan=pro": 1.0, "member": 1.0}


def test_learnt_weights_stand_in_for_those_of_the_state() -> None:
    learner = OnlineLearner.of(LinearState(weights={"age": 1.0}, bias=0.5), ["age", "plan"])
    taught = learner.taught(LearnedRows(weights={"age": 0.0, "plan=pro": 2.0}, bias=-2.0))

    assert learner.fields == ("age", "plan")
    assert taught.score(RowTable([{"age": 9, "plan": "pro"}])).values[0, 0] == 0.5
    assert learner.shown(LearnedRows()) == {"weights": {"age": 1.0}, "bias": 0.5}


def test_numbers_fall_into_bins_and_what_is_no_number_into_none() -> None:
    edges = {"age": (20.0, 40.0)}

    assert bayesian_subjects(edges, {"age": 40, "plan": "pro"}) == ["", '["age", "2"]', '["plan", "pro"]']
    assert bayesian_subjects(edges, {"age": "40", "plan": "x" * 101}) == [""]


counts = st.dictionaries(
    st.sampled_from(["", '["plan", "pro"]', '["age", "1"]']), st.tuples(st.integers(0, 99), st.integers(0, 99))
)


@given(first=counts, second=counts)
def test_counts_add_up_in_any_order(
    first: dict[str, tuple[float, float]], second: dict[str, tuple[float, float]]
) -> None:
    state = BayesianState(priors=ClassCounts(positive=5, negative=7))
    learner = BayesianLearner.of(BayesianConfig(bin_edges={"age": (30.0,)}), state)
    one, other = LearnedRows(sums=first), LearnedRows(sums=second)

    there, back = learner.taught(one).taught(other), learner.taught(other).taught(one)

    assert there.shown(LearnedRows()) == back.shown(LearnedRows())
    row = RowTable([{"plan": "pro", "age": 50}])
    assert there.score(row).values[0, 0] == pytest.approx(back.score(row).values[0, 0])
