"""The chain: its hash is anybody's to compute, and every change of a row shows."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kaireon_core.governance.audit_chain import GENESIS, BrokenReason, broken_reason, canonical, row_hash

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)
rows = st.dictionaries(st.text(), values, max_size=5).map(
    lambda fields: {**fields, "id": "r1", "prevHash": GENESIS, "integrityHash": ""}
)


def sealed(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "integrityHash": row_hash(row)}


@given(rows)
def test_the_hash_is_what_three_lines_of_python_compute(row: dict[str, Any]) -> None:
    told = {name: value for name, value in row.items() if name != "integrityHash"}
    text = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert row_hash(row) == hashlib.sha256(text.encode()).hexdigest()


@given(values)
def test_canonical_json_survives_being_read_and_written_again(value: Any) -> None:
    text = canonical(value)
    assert canonical(json.loads(text)) == text


@given(rows, st.sampled_from(["id", "prevHash", "after", "timestamp"]), values)
def test_any_other_value_of_any_field_is_a_hash_mismatch(row: dict[str, Any], name: str, value: Any) -> None:
    told = sealed(row)
    assert broken_reason(told, GENESIS) is None
    changed = {**told, name: value}
    if canonical(changed) != canonical(told):
        assert broken_reason(changed, GENESIS) is BrokenReason.HASH_MISMATCH


def test_a_row_that_names_another_row_before_it_is_a_broken_link() -> None:
    row = sealed({"id": "r2", "prevHash": "a" * 64})
    assert broken_reason(row, "b" * 64) is BrokenReason.CHAIN_LINK_MISMATCH
    assert broken_reason(row, "a" * 64) is None
    assert broken_reason(row, None) is None
