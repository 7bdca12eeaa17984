"""Keys derived from names: always valid, always free."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaireon_application.catalog.fields import Key
from kaireon_application.catalog.key import free_key, key_problem, stem_of

UUID_TEXTS = ("4f1c2a5e-8a55-4f0e-9f50-6f3c8e0f9a11", "4F1C2A5E8A554F0E9F506F3C8E0F9A11")


@given(name=st.text(min_size=1, max_size=300) | st.uuids().map(str), separator=st.sampled_from("-_"))
def test_any_name_stands_for_a_valid_key(name: str, separator: str) -> None:
    stem = stem_of(name, "offer", separator)

    assert msgspec.convert(free_key(stem, separator, {stem}), Key)
    assert key_problem(stem) is None


@given(names=st.lists(st.sampled_from(["gold", "gold-2", "Gold", "iron"]), max_size=30))
def test_keys_chosen_one_after_another_are_unique(names: list[str]) -> None:
    taken: set[str] = set()
    for name in names:
        key = free_key(stem_of(name, "offer", "-"), "-", taken)
        assert key not in taken
        taken.add(key)


@pytest.mark.parametrize("text", UUID_TEXTS)
def test_a_key_that_looks_like_an_id_is_refused(text: str) -> None:
    assert key_problem(text) == "must not look like a UUID"
    assert key_problem(text + "0") is None
