"""Buckets are those of FNV-1a, and even."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaireon_core.experimentation.bucket import BUCKETS, arm_of, bucket_of, fnv1a_32

# From the test vectors of the reference implementation (isthe.com/chongo/src/fnv/test_fnv.c).
VECTORS = [("", 0x811C9DC5), ("a", 0xE40C292C), ("b", 0xE70C2DE5), ("foobar", 0xBF9CF968)]


@pytest.mark.parametrize(("text", "hash_"), VECTORS)
def test_the_hash_is_fnv1a(text: str, hash_: int) -> None:
    assert fnv1a_32(text) == hash_


def test_the_bucket_is_the_hash_of_experiment_and_customer() -> None:
    assert bucket_of("spring", "c1") == fnv1a_32("spring:c1") % 100


@given(st.lists(st.integers(0, 100), min_size=1, max_size=6), st.integers(0, 99))
def test_law_each_arm_has_as_many_buckets_as_it_weighs(weights: list[int], last: int) -> None:
    weights = [min(weight, 100 // len(weights)) for weight in weights]
    weights[last % len(weights)] += BUCKETS - sum(weights)
    counted = Counter(arm_of(bucket, weights) for bucket in range(BUCKETS))
    assert [counted[arm] for arm in range(len(weights))] == weights
    assert [arm_of(bucket, weights) for bucket in range(BUCKETS)] == sorted(
        arm_of(bucket, weights) for bucket in range(BUCKETS)
    )


@pytest.mark.parametrize("prefix", ["c", "SBX-00", ""])
def test_who_is_held_out_and_whose_arm_they_would_be_are_independent(prefix: str) -> None:
    customers = [f"{prefix}{number}" for number in range(40_000)]
    held_out = [bucket_of(one, "spring:__holdout__") for one in customers]
    arms = [bucket_of("spring", one) for one in customers]
    observed = np.histogram2d(held_out, arms, bins=(10, 20))[0]
    expected = np.outer(observed.sum(axis=1), observed.sum(axis=0)) / len(customers)
    # Chi-squared of 171 degrees of freedom: its deviation is 18.5.
    assert ((observed - expected) ** 2 / expected).sum() < 171 + 4 * 18.5
