"""A damaged decision log as Parquet is refused, or read; it never ends the process that reads it."""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as untyped_pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaireon_application.errors import InvalidInput
from kaireon_storage import decision_log_file
from kaireon_storage.decision_log_file import parquet_parts

pq: Any = untyped_pq
ROWS = [
    {
        "decisionId": f"d{number}",
        "customerId": f"c{number % 7}",
        "action": "ab"[number % 2],
        "selectionProbability": 0.5,
        "reward": float(number % 2),
        "attributes": {"age": number, "tier": "gold"},
        "eligible": ["a", "b"],
    }
    for number in range(60)
]


def written(compression: str) -> bytes:
    file = BytesIO()
    pq.write_table(cast("Any", pa.Table).from_pylist(ROWS), file, compression=compression, row_group_size=25)
    return file.getvalue()


FILES = {compression: written(compression) for compression in ("zstd", "snappy", "none")}


def rows_of(content: bytes) -> int:
    return sum(part.row_count for part in parquet_parts(BytesIO(content)))


@pytest.mark.parametrize("compression", FILES)
def test_a_whole_file_is_read(compression: str) -> None:
    assert rows_of(FILES[compression]) == len(ROWS)


@given(
    content=st.sampled_from(list(FILES.values())),
    edits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4),
    is_at_end=st.booleans(),
    kept=st.just(1.0) | st.floats(0, 1),
)
def test_a_damaged_file_is_refused_or_read(
    content: bytes, edits: list[tuple[float, int]], is_at_end: bool, kept: float
) -> None:
    damaged = bytearray(content)
    # What a file is made of stands at its end.
    first = len(damaged) // 2 if is_at_end else 0
    for place, value in edits:
        damaged[first + int(place * (len(damaged) - first))] = value
    with suppress(InvalidInput):
        rows_of(bytes(damaged[: int(kept * len(damaged))]))


@pytest.mark.parametrize(("bound", "value"), [("MOST_ROWS", 59), ("_MOST_BYTES", 1_000)])
def test_a_file_that_is_too_large_is_refused_unread(monkeypatch: pytest.MonkeyPatch, bound: str, value: int) -> None:
    monkeypatch.setattr(decision_log_file, bound, value)
    cut = bytearray(FILES["zstd"])
    # Its first pages are unreadable: whoever looked at them would say something else.
    cut[4:40] = bytes(36)
    with pytest.raises(InvalidInput, match="A log may have"):
        rows_of(bytes(cut))
