"""Which JSON values fit a column, and what a lookup makes of any value."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaireon_application.customers.schema_table import Column, DataType, cast_for_lookup, stored_form, value_problem

JSON = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.dates().map(str)
TYPES = [type_ for type_ in get_args(DataType) if type_ != "json"]


@pytest.mark.parametrize("data_type", TYPES)
@given(value=JSON)
def test_a_value_that_fits_is_found_by_itself(data_type: DataType, value: object) -> None:
    column = Column(name="c", data_type=data_type)

    found = cast_for_lookup(column, value)

    if value is not None and value_problem(column, value) is None:
        assert found is not None
        assert stored_form(column, value) is not None


@pytest.mark.parametrize(
    ("data_type", "value"),
    [
        ("integer", "1.0"),
        ("integer", " 1"),
        ("integer", "\u0661"),
        ("integer", 2**31),
        ("integer", True),
        ("bigint", "9" * 19),
        ("bigint", 1.5),
        ("double", "nan"),
        ("double", "1e999"),
        ("boolean", 1),
        ("boolean", "True"),
        ("date", "2026-13-01"),
        ("date", 20260101),
        ("timestamp", "0001-01-01T00:00:00+23:59"),
        ("varchar", True),
        ("varchar", ["a"]),
        ("json", "x"),
    ],
)
def test_an_impossible_cast_has_no_value(data_type: DataType, value: object) -> None:
    assert cast_for_lookup(Column(name="c", data_type=data_type), value) is None
