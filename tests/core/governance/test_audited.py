"""What the log keeps of a document is bounded, and tells what changed."""

from __future__ import annotations

import hashlib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kaireon_core.governance.audit_chain import canonical
from kaireon_core.governance.audited import MAX_DOCUMENT_BYTES, MAX_FIELD_BYTES, changed_fields, kept

documents = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.none(), max_size=6)


@given(documents)
def test_a_document_of_short_fields_is_kept_as_it_is(document: dict[str, Any]) -> None:
    assert kept(document) == document


def test_a_long_field_leaves_its_digest() -> None:
    trees = ["x" * 100] * 1000
    text = canonical(trees)
    found = kept({"name": "gold", "modelState": trees})
    assert found == {
        "name": "gold",
        "modelState": {"sha256": hashlib.sha256(text).hexdigest(), "bytes": len(text)},
    }


@given(st.integers(1, 400))
def test_many_fields_stay_within_the_limit_together(count: int) -> None:
    document = {f"f{place}": "x" * (MAX_FIELD_BYTES - 2) for place in range(count)}
    assert sum(len(canonical(value)) for value in kept(document).values()) <= MAX_DOCUMENT_BYTES


@given(documents, documents)
def test_changes_lead_from_the_one_document_to_the_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    changes = changed_fields(before, after)
    assert {name: before.get(name) for name in changes} == {name: one["from"] for name, one in changes.items()}
    moved = {**before, **{name: one["to"] for name, one in changes.items()}}
    assert {name: value for name, value in moved.items() if name in after} == after
    assert set(changes) >= set(before) - set(after)


@given(documents)
def test_an_equal_document_has_no_changes(document: dict[str, Any]) -> None:
    assert changed_fields(document, dict(document)) == {}
