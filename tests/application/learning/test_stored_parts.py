"""A part of a decision log is read as it was stored, and nothing larger than a part may be."""

from __future__ import annotations

import pytest

from kaireon_application.compression import zstd
from kaireon_application.learning import decision_log
from kaireon_application.learning.decision_log import read_part, stored_part
from kaireon_application.learning.logged_row import LogPart

PART = LogPart(
    decisions=["d1", "d2"],
    customers=["c1", None],
    slots=[None, None],
    actions=["a", "b"],
    probabilities=b"\0" * 16,
    rewards=b"\0" * 16,
    attributes={"age": [1, None]},
    eligible=None,
    first_at=None,
    last_at=None,
)


def test_a_part_is_read_as_it_was_stored() -> None:
    assert read_part(stored_part(PART)) == PART


@pytest.mark.parametrize(
    "stored",
    [zstd.compress(b"\0" * 4097), stored_part(PART)[:-1], zstd.ZstdCompressor().compress(b"\0" * 4097, mode=1) * 2],
    ids=["larger", "cut off", "of unknown size"],
)
def test_a_part_that_is_larger_than_any_is_refused(monkeypatch: pytest.MonkeyPatch, stored: bytes) -> None:
    monkeypatch.setattr(decision_log, "_MOST_PART_BYTES", 4096)
    with pytest.raises(zstd.ZstdError):
        read_part(stored)
