"""Cursors: what was encoded comes back, and everything else is refused."""

from __future__ import annotations

from datetime import UTC
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaireon_application.catalog.entities import ListPosition
from kaireon_application.errors import InvalidInput
from kaireon_application.platform.cursor import Offset, decode_cursor, encode_cursor

POSITIONS: st.SearchStrategy[Any] = st.one_of(
    st.uuids(),
    st.builds(Offset, count=st.integers(0, 2**53)),
    st.builds(
        ListPosition,
        rank=st.floats(allow_nan=False, allow_infinity=False),
        at=st.datetimes(timezones=st.just(UTC)),
        id=st.uuids(),
    ),
)


@given(position=POSITIONS)
def test_position_comes_back_from_text_that_needs_no_escape(position: Any) -> None:
    cursor = encode_cursor(position)
    assert cursor is not None
    assert cursor.replace("-", "").replace("_", "").isalnum()
    declared = cast("type[object]", type(position))
    assert decode_cursor(cursor, declared) == position


def test_no_position_is_no_cursor() -> None:
    assert encode_cursor(None) is None
    assert decode_cursor(None, Offset) is None


@given(text=st.text(max_size=40))
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        decode_cursor(f"{text}!", UUID)


def test_position_of_another_list_is_refused() -> None:
    for foreign in (UUID(int=1), [-1], [2**53 + 1], "o5"):
        with pytest.raises(InvalidInput):
            decode_cursor(encode_cursor(foreign), Offset)
