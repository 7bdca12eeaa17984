"""The three estimators against sums over plain rows, and every reason for refusing."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaireon_core.column import Column
from kaireon_core.learning.off_policy.evaluate import evaluate
from kaireon_core.learning.off_policy.log import DecisionLog, Eligible
from kaireon_core.learning.off_policy.refusal import EvaluationRefused, Refusal
from kaireon_core.learning.off_policy.reward_model import fit_reward_model
from kaireon_core.learning.off_policy.target import NOTHING, DenseTarget, SampledTarget, TableTarget
from tests.core.learning.off_policy.worlds import log_of, world

TWO_EQUAL = np.array([[0.5, 0.5]])
NONE = np.zeros(1)


def uniform_log(seed: int = 0, rows: int = 2_000, actions: int = 4, slots: int = 1, rate: float = 0.2) -> DecisionLog:
    random = np.random.default_rng(seed)
    shown = random.integers(0, actions, rows)
    rewards = (random.random(rows) < rate * (1 + shown) / actions).astype(float)
    return log_of(shown, np.full(rows, 1 / actions), rewards, actions, np.arange(rows) % slots)


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), slots=st.integers(1, 3))
def test_ips_and_snips_are_the_plain_sums(seed: int, slots: int) -> None:
    log = uniform_log(seed, slots=slots)
    table = np.random.default_rng(seed).dirichlet(np.ones(4), slots)
    found = evaluate(log, TableTarget(table, np.zeros(slots)))
    weights = [table[slot, action] / 0.25 for slot, action in zip(log.slots, log.actions, strict=True)]
    earned = math.fsum(weight * reward for weight, reward in zip(weights, log.rewards, strict=True))
    assert found.row_count == 2_000
    assert found.ips.value == pytest.approx(earned / 2_000, rel=1e-9)
    assert found.snips.value == pytest.approx(earned / math.fsum(weights), rel=1e-9)
    size = math.fsum(weights) ** 2 / math.fsum(weight**2 for weight in weights)
    assert found.effective_sample_size == pytest.approx(size, rel=1e-9)
    assert found.largest_weight == pytest.approx(max(weights))
    assert found.mean_weight == pytest.approx(math.fsum(weights) / 2_000)
    deviations = [weight * reward - found.ips.value for weight, reward in zip(weights, log.rewards, strict=True)]
    error = math.sqrt(math.fsum(one**2 for one in deviations) / (1_999 * 2_000))
    assert found.ips.standard_error == pytest.approx(error, rel=1e-9)


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000))
def test_a_table_is_the_dense_target_that_says_the_same_of_every_row(seed: int) -> None:
    log = uniform_log(seed, slots=3)
    log = replace(log, attributes={"age": Column.from_values(np.random.default_rng(seed).random(2_000).tolist())})
    shares = np.random.default_rng(seed).dirichlet(np.ones(5), 3)
    rewards = fit_reward_model(log)
    table = TableTarget(shares[:, :4], shares[:, 4]).assess(log, rewards)
    dense = DenseTarget(lambda start, stop: shares[log.slots[start:stop], :4], shares[log.slots, 4]).assess(
        log, rewards
    )
    for name in ("weights", "direct", "mass", "unshown"):
        np.testing.assert_allclose(getattr(table, name), getattr(dense, name), atol=1e-12)


def test_the_logging_policy_itself_earns_the_mean_reward() -> None:
    log = uniform_log()
    found = evaluate(log, TableTarget(np.full((1, 4), 0.25), NONE))
    for estimate in (found.ips, found.snips):
        assert estimate.value == pytest.approx(log.rewards.mean(), rel=1e-12)
        assert estimate.ci_lower < estimate.value < estimate.ci_upper
    assert found.dr.value == pytest.approx(log.rewards.mean(), abs=found.dr.standard_error)
    assert found.effective_sample_size == pytest.approx(2_000)
    assert (found.largest_weight, found.mean_weight, found.unshown_mass) == (1.0, 1.0, 0.0)


def test_doubly_robust_is_steadier_where_attributes_tell_rewards_apart() -> None:
    made = world(kinds=6, actions=8, level=0.0)
    log, kinds = made.log(1, 20_000)
    gain = np.array([0.0, 3.0, 6.0, 9.0, 12.0, 15.0])[kinds]
    known = replace(
        log, rewards=log.rewards + gain, attributes={"kind": Column.from_values([f"k{kind}" for kind in kinds])}
    )
    found = evaluate(known, made.target_on(kinds))
    truth = made.truth + 7.5
    assert found.dr.standard_error < 0.7 * found.snips.standard_error < found.ips.standard_error
    assert found.dr.ci_lower <= truth <= found.dr.ci_upper


def test_no_row_is_predicted_from_its_own_cluster() -> None:
    """A cluster that alone was rewarded is expected to earn nothing: its fold was left out."""
    customers = np.repeat(np.arange(50), 40)
    log = replace(uniform_log(), customers=customers, rewards=(customers == 7).astype(float))
    rewards = fit_reward_model(log)
    expected = rewards.of_actions(log, log.actions)
    assert expected[customers == 7].max() == 0
    assert len({*rewards.folds[customers == 7].tolist()}) == 1


def test_a_target_that_may_show_nothing_is_paid_for_what_it_shows() -> None:
    log = uniform_log()
    table = np.full((1, 4), 0.125)
    half, whole = evaluate(log, TableTarget(table, NONE)), evaluate(log, TableTarget(2 * table, NONE))
    for one, other in ((half.ips, whole.ips), (half.snips, whole.snips), (half.dr, whole.dr)):
        assert one.value == pytest.approx(other.value / 2, rel=1e-9)
        assert one.standard_error == pytest.approx(other.standard_error / 2, rel=1e-6)


def test_clipping_happens_only_when_asked_for_and_is_counted() -> None:
    log = uniform_log()
    target = TableTarget(np.array([[0.7, 0.1, 0.1, 0.1]]), NONE)
    free, clipped = evaluate(log, target), evaluate(log, target, clip=2.0)
    assert (free.clipped_count, clipped.clipped_count) == (0, int((log.actions == 0).sum()))
    assert clipped.ips.value < free.ips.value
    assert clipped.largest_weight == free.largest_weight == pytest.approx(2.8)


def test_wider_confidence_is_a_wider_interval_around_the_same_value() -> None:
    log = uniform_log()
    target = TableTarget(np.array([[0.7, 0.1, 0.1, 0.1]]), NONE)
    narrow, wide = evaluate(log, target, 0.8).dr, evaluate(log, target, 0.99).dr
    assert wide.ci_lower < narrow.ci_lower < narrow.value == wide.value < narrow.ci_upper < wide.ci_upper


def refusal(log: DecisionLog, table: np.ndarray, outside: float = 0.0) -> Refusal | None:
    try:
        evaluate(log, TableTarget(table, np.full(len(log.slot_names), outside)))
    except EvaluationRefused as refused:
        return refused.refusal
    return None


def test_too_few_effective_rows_are_refused() -> None:
    greedy = np.array([[1.0, 0.0, 0.0, 0.0]])
    assert refusal(uniform_log(rows=360, rate=0.9), greedy) is Refusal.INSUFFICIENT_OVERLAP
    assert refusal(uniform_log(rows=480, rate=0.9), greedy) is None


def test_one_percent_of_the_rows_is_needed_of_a_long_log() -> None:
    log = uniform_log(rows=30_000, actions=130, rate=0.9)
    table = np.zeros((1, 130))
    table[0, 5] = 1.0
    assert np.count_nonzero(log.actions == 5) > 100
    assert refusal(log, table) is Refusal.INSUFFICIENT_OVERLAP


@pytest.mark.parametrize(("outside", "expected"), [(0.0099, None), (0.0101, Refusal.INSUFFICIENT_OVERLAP)])
def test_a_target_may_show_one_percent_that_the_log_never_shows(outside: float, expected: Refusal | None) -> None:
    log = uniform_log()
    assert refusal(log, np.full((1, 4), (1 - outside) / 4), outside) is expected
    # The same mass on an action that is eligible in the log, but was shown in the other slot only.
    apart = log_of(np.arange(2_000) % 2, np.full(2_000, 1.0), np.ones(2_000), 2, np.arange(2_000) % 2)
    table = np.array([[1 - outside, outside], [outside, 1 - outside]])
    assert refusal(apart, table) is expected


def test_too_few_rewards_with_a_weight_are_refused() -> None:
    rewards = np.zeros(2_000)
    log = log_of(np.arange(2_000) % 2, np.full(2_000, 0.5), rewards, 2)
    rewards[[0, 2, 4, 6, 1, 3, 5]] = 1.0
    assert refusal(log, np.array([[1.0, 0.0]])) is Refusal.INSUFFICIENT_REWARDS
    rewards[8] = -1.0
    assert refusal(log, np.array([[1.0, 0.0]])) is None


def test_weights_beyond_numbers_are_refused_not_divided_by() -> None:
    probabilities = np.full(2_000, 0.5)
    probabilities[3] = 5e-324
    log = log_of(np.arange(2_000) % 2, probabilities, np.ones(2_000), 2)
    assert refusal(log, TWO_EQUAL) is Refusal.INSUFFICIENT_OVERLAP


def test_one_decision_has_nothing_to_be_compared_with() -> None:
    log = uniform_log(rate=0.9)
    assert refusal(replace(log, decisions=np.zeros(2_000, np.int64)), np.full((1, 4), 0.25)) is (
        Refusal.INSUFFICIENT_OVERLAP
    )


def test_a_sampled_target_agrees_with_its_probabilities() -> None:
    """Many runs of a target that is drawn, against the same target written as a table."""
    log = uniform_log(rows=4_000)
    table = np.array([[0.4, 0.3, 0.2, 0.1]])
    runs = np.random.default_rng(0).choice(4, (400, 4_000), p=table[0])
    sampled = evaluate(log, SampledTarget(runs, np.ones((400, 4_000)), np.ones(4_000)))
    exact = evaluate(log, TableTarget(table, NONE))
    for one, other in ((sampled.ips, exact.ips), (sampled.dr, exact.dr)):
        assert one.value == pytest.approx(other.value, abs=0.15 * other.standard_error)


def test_later_slots_weigh_by_what_was_followed_before() -> None:
    """Two slots, two actions: only decisions whose first slot agrees tell anything about the second."""
    firsts = np.arange(4_000) // 2 % 2
    slots = np.arange(4_000) % 2
    log = replace(log_of(firsts, np.full(4_000, 0.5), np.ones(4_000), 2, slots), decisions=np.arange(4_000) // 2)
    choices = np.zeros((1, 4_000), np.int64)
    followed = np.where(slots == 0, 1.0, firsts == 0)[None, :].astype(float)
    prior = np.where(slots == 0, 1.0, 0.5)
    assessed = SampledTarget(choices, followed, prior).assess(log, fit_reward_model(log))
    np.testing.assert_allclose(assessed.weights[:4], [2.0, 4.0, 0.0, 0.0])
    np.testing.assert_allclose(assessed.weights.mean(), 1.5)


def test_a_run_that_chose_nothing_or_something_unknown_is_told_apart() -> None:
    log = uniform_log(rows=400)
    choices = np.full((1, 400), NOTHING)
    choices[0, :100] = -1
    assessed = SampledTarget(choices, np.ones((1, 400)), np.ones(400)).assess(log, fit_reward_model(log))
    assert (assessed.mass.sum(), assessed.unshown.sum(), assessed.weights.sum()) == (100, 100, 0)


def test_eligible_actions_become_a_mask() -> None:
    eligible = Eligible(np.array([0, 2, 2, 5]), np.array([0, 3, 1, 2, 0]))
    np.testing.assert_array_equal(eligible.mask(0, 3, 4).astype(int), [[1, 0, 0, 1], [0, 0, 0, 0], [1, 1, 1, 0]])
    np.testing.assert_array_equal(eligible.mask(2, 3, 4).astype(int), [[1, 1, 1, 0]])
