from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaireon_core.learning.definitions import RollbackThresholds
from kaireon_core.learning.lifecycle import TRANSITIONS, RegistryStatus, check_rollback_guard, split_weight

# As the product's page prints it.
DOCUMENTED = {
    "draft": {"shadow", "challenger", "archived"},
    "shadow": {"challenger", "champion", "archived", "draft"},
    "challenger": {"champion", "shadow", "archived", "draft"},
    "champion": {"challenger", "shadow", "archived"},
    "archived": {"draft"},
}


@pytest.mark.parametrize(("before", "after"), list(product(RegistryStatus, RegistryStatus)))
def test_transitions_are_the_documented_ones(before: RegistryStatus, after: RegistryStatus) -> None:
    assert (after in TRANSITIONS[before]) == (after.value in DOCUMENTED[before.value])


GUARD_CASES: list[tuple[dict[str, Any], dict[str, Any], list[str], list[str]]] = [
    ({"auc": 0.85}, {"auc": 0.90}, [], ["errorRate", "psi"]),
    ({"auc": 0.8499}, {"auc": 0.90}, ["auc"], ["errorRate", "psi"]),
    ({"auc": 0.95}, {"auc": 0.90}, [], ["errorRate", "psi"]),
    ({"auc": 0.5}, {}, [], ["auc", "errorRate", "psi"]),
    ({"errorRate": 0.04}, {"errorRate": 0.02}, [], ["auc", "psi"]),
    ({"errorRate": 0.0401}, {"errorRate": 0.02}, ["errorRate"], ["auc", "psi"]),
    ({"psi": 0.2499}, {}, [], ["auc", "errorRate"]),
    ({"psi": 0.25}, {}, ["psi"], ["auc", "errorRate"]),
    ({"auc": "0.1", "psi": True}, {"auc": 0.9}, [], ["auc", "errorRate", "psi"]),
    (
        {"auc": 0.5, "errorRate": 0.5, "psi": 1},
        {"auc": 0.9, "errorRate": 0.1},
        ["auc", "errorRate", "psi"],
        [],
    ),
    ({}, {"auc": 0.9}, [], ["auc", "errorRate", "psi"]),
]


@pytest.mark.parametrize(("candidate", "champion", "breached", "skipped"), GUARD_CASES)
def test_rollback_guard(
    candidate: dict[str, Any], champion: dict[str, Any], breached: list[str], skipped: list[str]
) -> None:
    result = check_rollback_guard(candidate, champion, RollbackThresholds())
    assert [breach.split()[0] for breach in result.breaches] == breached
    assert list(result.skipped) == skipped


def test_thresholds_of_the_model_override() -> None:
    loose = RollbackThresholds(max_auc_drop=0.5, max_error_rate=0.5, max_psi=0.5)
    metrics = {"auc": 0.5, "errorRate": 0.5, "psi": 0.4}
    assert check_rollback_guard(metrics, {"auc": 0.9, "errorRate": 0.1}, loose).breaches == ()


@given(total=st.integers(1, 99), count=st.integers(1, 20))
def test_challenger_weights_are_even_and_add_up(total: int, count: int) -> None:
    weights = split_weight(total, [str(number) for number in range(count)])
    assert sum(weights) == total
    assert len(weights) == count
    assert max(weights) - min(weights) <= 1


def test_without_challengers_there_are_no_weights() -> None:
    assert split_weight(20, []) == ()
