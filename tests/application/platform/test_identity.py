"""Ids that carry their instant."""

from __future__ import annotations

from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from kaireon_application.platform.identity import instant_of, new_ids

INSTANTS = st.integers(0, 2**48 - 1)


@given(now_ms=INSTANTS, count=st.integers(0, 50))
def test_ids_are_uuids_of_version_7_that_carry_their_instant(now_ms: int, count: int) -> None:
    ids = new_ids(now_ms, count)

    assert len(set(ids)) == count
    for id_ in ids:
        parsed = UUID(id_)
        assert (str(parsed), parsed.version, parsed.variant) == (id_, 7, RFC_4122)
        assert instant_of(id_) == now_ms


@given(first=INSTANTS, second=INSTANTS)
def test_ids_sort_by_time(first: int, second: int) -> None:
    (one,), (other,) = new_ids(first, 1), new_ids(second, 1)

    if first != second:
        assert (one < other) is (first < second)
