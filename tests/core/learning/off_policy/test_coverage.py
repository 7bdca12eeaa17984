"""The confidence intervals mean what they say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kaireon_core.learning.off_policy.evaluate import evaluate
from kaireon_core.learning.off_policy.log import DecisionLog
from kaireon_core.learning.off_policy.target import TableTarget
from tests.core.learning.off_policy.worlds import log_of, world

LOGS = 2_000
ROWS = 10_000


@pytest.mark.slow
def test_95_percent_intervals_cover_the_truth_in_93_to_97_percent_of_2000_logs() -> None:
    made = world()
    covered = np.zeros(3)
    for seed in range(LOGS):
        log, kinds = made.log(seed, ROWS)
        found = evaluate(log, made.target_on(kinds))
        estimates = (found.ips, found.snips, found.dr)
        covered += [estimate.ci_lower <= made.truth <= estimate.ci_upper for estimate in estimates]
    assert np.all((covered / LOGS >= 0.93) & (covered / LOGS <= 0.97)), covered / LOGS


def test_intervals_hold_for_rare_rewards_and_heavy_weights() -> None:
    """Less than one row in a hundred is rewarded and weights reach 20: symmetrical intervals fall below 0.9."""
    made = world(level=-4.5, greed=-2.0)
    covered, symmetrical = np.zeros(3), np.zeros(3)
    for seed in range(300):
        log, kinds = made.log(seed, ROWS)
        found = evaluate(log, made.target_on(kinds))
        estimates = (found.ips, found.snips, found.dr)
        covered += [one.ci_lower <= made.truth <= one.ci_upper for one in estimates]
        symmetrical += [abs(one.value - made.truth) <= 1.96 * one.standard_error for one in estimates]
    assert np.all(covered / 300 >= 0.9), covered
    assert np.all(covered > symmetrical)


def shop_logs(seed: int) -> tuple[DecisionLog, DecisionLog, TableTarget]:
    """Return the shape of the Open Bandit Dataset: 34 items in 3 positions, a random log and that of another policy."""
    random = np.random.default_rng(seed)
    policy = random.dirichlet(np.full(34, 0.6), 3) * 0.9 + 0.1 / 34
    rates = np.random.default_rng(seed + 1).uniform(0.002, 0.012, (3, 34))
    logs: list[DecisionLog] = []
    for chances in (np.full((3, 34), 1 / 34), policy):
        slots = random.integers(0, 3, ROWS)
        actions = (random.random(ROWS)[:, None] > chances.cumsum(axis=1)[slots, :-1]).sum(axis=1)
        clicks = (random.random(ROWS) < rates[slots, actions]).astype(float)
        logs.append(log_of(actions, chances[slots, actions], clicks, 34, slots))
    return logs[0], logs[1], TableTarget(policy, np.zeros(3))


def test_a_random_log_tells_what_the_other_policys_own_log_says() -> None:
    """Both are uncertain: the two intervals overlap, and the difference is within their errors."""
    for seed in range(20):
        uniform, own, target = shop_logs(seed)
        found, truth = evaluate(uniform, target), evaluate(own, target)
        for one in (found.ips, found.snips, found.dr):
            assert truth.ips.value == pytest.approx(own.rewards.mean())
            error = np.hypot(one.standard_error, truth.ips.standard_error)
            assert abs(one.value - truth.ips.value) <= 4 * error
            assert one.ci_lower <= truth.ips.ci_upper
            assert truth.ips.ci_lower <= one.ci_upper


def test_rows_of_one_customer_are_not_counted_as_independent() -> None:
    """Twenty rows of a customer with one taste: the errors are those of 500 customers, not of 10,000 rows."""
    random = np.random.default_rng(3)
    truth, covered, naive = 0.3, 0, 0
    kinds, customers = np.zeros(10_000, np.int64), np.repeat(np.arange(500), 20)
    for seed in range(200):
        made = world(seed, kinds=1, actions=4, greed=1.0)
        log, _ = made.log(seed, 10_000)
        taste = (random.random(500) < truth).astype(float)[customers]
        anonymous = replace(log, rewards=taste)
        one = evaluate(replace(anonymous, customers=customers), made.target_on(kinds)).snips
        other = evaluate(anonymous, made.target_on(kinds)).snips
        covered += one.ci_lower <= truth <= one.ci_upper
        naive += other.ci_lower <= truth <= other.ci_upper
    assert covered >= 0.9 * 200
    assert naive <= 0.7 * 200


def test_slots_of_one_decision_are_one_unit_where_no_customer_is_known() -> None:
    log, _ = world().log(0, 100)
    paired = replace(log, decisions=np.arange(100) // 4)
    np.testing.assert_array_equal(paired.clusters, np.arange(100) // 4)
    few = replace(paired, customers=np.arange(100) % 3)
    np.testing.assert_array_equal(few.clusters, np.arange(100) // 4)
    many = replace(paired, customers=np.arange(100) // 2)
    assert len(np.unique(many.clusters)) == 50
