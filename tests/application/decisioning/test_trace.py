"""A trace is read as it was written."""

from __future__ import annotations

from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kaireon_application.decisioning.trace import TraceCodec, TraceContent, reasons_of, scores_of

CONTENT = TraceContent(
    engine_version="1",
    snapshot_hash=b"\x00\xff",
    reasons=np.zeros(3, np.int16).tobytes(),
    scores=None,
    propensities=None,
    fits=None,
    bare=None,
    picks=[],
    is_degraded=True,
    request={},
    facts={},
    duration_ms=1.5,
    durations_ms={"rank": 0.25},
)
# As earlier releases wrote it, with another library.
WORDS = b"offer-1 offer-2 offer-3 customerId"
STORED = b64decode(
    "KLUv/WA6ANUIABQQ3gAWrmVuZ2luZV92ZXJzaW9uoTGtc25hcHNob3RfaGFzaMQCAP+ncmVhc29uc8QGAKZzY29yZXPArHByb3BlbnNpdGllc8CkZml0"
    "c8CkYmFyZcClcGlja3OQq2lzX2RlZ3JhZGVkw6dyZXF1ZXN0gqq3MaVsaW1pdAOlZmFjdHOAq2R1cmF0aW9uX21zyz/4rHNfbXOBpHJhbmvLP9CndmFy"
    "aWFudMCuZXhwZXJpbWVudF9rZXnAqHdhcm5pbmdzkKlzZWxlY3Rpb27AqW1hbmRhdG9yecCqcGxhY2VtZW50c8CoY291cGxpbmeQqWZhbGxiYWNrc8Cn"
    "c2hhZG93c4AIAD/H4xAW4keaTFmQxWPjgIHZEy3YAw=="
)
FLOATS = st.lists(st.floats(allow_nan=False), max_size=30)


@given(scores=FLOATS, codes=st.lists(st.integers(0, 2**15 - 1), max_size=30), text=st.text(), words=st.binary())
def test_a_trace_is_read_as_it_was_written(scores: list[float], codes: list[int], text: str, words: bytes) -> None:
    content = replace(
        CONTENT,
        reasons=np.array(codes, np.int16).tobytes(),
        scores=np.array(scores, np.float64).tobytes(),
        picks=[0, 2],
        request={"limit": 3, "text": text},
        facts={"customer": {text: [1, 2.5, None, True]}},
    )

    read = TraceCodec(words).decode(TraceCodec(words).encode(content))

    assert read == content
    assert reasons_of(read).tolist() == codes
    assert scores_of(read, np.ones(len(scores), np.bool_)).tolist() == scores


def test_scores_that_are_left_out_are_propensity_times_fit() -> None:
    content = replace(CONTENT, propensities=np.array([0.1, 0.3]).tobytes(), fits=np.array([1.0, 0.7]).tobytes())

    assert scores_of(content, np.array([True, False, True])).tolist() == pytest.approx(
        [0.1, np.nan, 0.3 * 0.7], rel=0, nan_ok=True
    )


def test_a_trace_of_an_earlier_release_is_read() -> None:
    content = replace(CONTENT, request={"customerId": "offer-1 offer-2 offer-3", "limit": 3})

    assert TraceCodec(WORDS).decode(STORED) == content


def test_one_codec_serves_many_threads() -> None:
    codec = TraceCodec(WORDS)
    contents = [replace(CONTENT, request={"text": f"offer-{number} " * number}) for number in range(400)]

    with ThreadPoolExecutor(8) as threads:
        read = list(threads.map(codec.decode, threads.map(codec.encode, contents)))

    assert read == contents
