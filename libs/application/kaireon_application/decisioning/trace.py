"""A decision trace: the columns of a decision with the inputs it was made from, compressed against its legend."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import msgspec
import numpy as np

from kaireon_application.compression import zstd
from kaireon_application.decisioning.shadow_columns import ShadowColumns
from kaireon_core.column import Floats, Mask
from kaireon_core.decisioning.reasons import Reasons
from kaireon_core.learning.fallback import Fallbacks

# A fast level: with the words of the legend a trace of 100 candidates shrinks to a third, and stays in its row.
_LEVEL = -1
# Zstandard takes no heed of a shorter dictionary, and its binding refuses one.
_LEAST_WORDS = 8


class TraceContent(msgspec.Struct, frozen=True, kw_only=True):
    """What a trace stores.

    `reasons`, int16, runs over the candidates of its legend; `scores`, `propensities` and `fits`, float64, over those
    that were scored (`is_scored` of the core's reasons). `fits` is None where nothing fitted badly; `scores` is None
    where they are propensity times fit.

    `request` and `facts` are the inputs; `picks` the chosen candidates in rank order; `durations_ms` per stage when
    they were measured. `engine_version` and `snapshot_hash` say what decided.
    """

    engine_version: str
    snapshot_hash: bytes
    reasons: bytes
    scores: bytes | None
    propensities: bytes | None
    fits: bytes | None
    bare: bytes | None
    picks: list[int]
    is_degraded: bool
    request: dict[str, Any]
    facts: dict[str, Any]
    duration_ms: float
    durations_ms: dict[str, float]
    # For which variant the flow decided: see `experimentation.variant`.
    variant: str | None = None
    experiment_key: str | None = None
    # The keys of the soft guardrails that did not hold.
    warnings: list[str] = []
    # With which probability each pick was put at its rank, None where that is not known; None: each is 1.
    selection: list[float | None] | None = None
    # Which of the picks had to be shown; None where no offer is mandatory.
    mandatory: list[int] | None = None
    # With several placements: where each pick goes, None where that is its creative's own, and emptied channels.
    placements: list[str | None] | None = None
    coupling: list[dict[str, Any]] = []
    # int8 over the scored candidates: which scores stand in for their model's, and why; None where none does.
    fallbacks: bytes | None = None
    # What the shadows said, by key; no decision depends on it.
    shadows: dict[str, ShadowColumns] = {}


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(TraceContent).decode


class TraceCodec:
    """Reads and writes the traces of one legend.

    Stored is MessagePack in one Zstandard frame whose dictionary are the words that these traces share.
    """

    def __init__(self, words: bytes) -> None:
        """Take what traces repeat, as it is encoded in them."""
        self._dictionary = zstd.ZstdDict(words, is_raw=True) if len(words) >= _LEAST_WORDS else None

    @cached_property
    def _compress(self) -> Callable[[bytes], bytes]:
        """Digest the dictionary for writing only where something is written: most codecs only read one page.

        One compressor writes frame after frame, behind a lock of its own: making one costs more than a frame does.
        """
        compressor = zstd.ZstdCompressor(_LEVEL, zstd_dict=self._dictionary)
        return partial(compressor.compress, mode=compressor.FLUSH_FRAME)

    def encode(self, content: TraceContent) -> bytes:
        """Return the stored form."""
        return self._compress(_encode(content))

    def decode(self, stored: bytes) -> TraceContent:
        """Return what was stored."""
        return _decode(zstd.decompress(stored, self._dictionary))


def reasons_of(content: TraceContent) -> Reasons:
    """Return the reason codes, shape (C,)."""
    return np.frombuffer(content.reasons, np.int16)


def scores_of(content: TraceContent, scored: Mask) -> Floats:
    """Return the scores over all candidates, shape (C,), NaN where they were not scored."""
    if content.scores is not None:
        return floats_of(content.scores, scored)
    assert content.propensities is not None  # noqa: S101 - scores are left out where they follow from these
    propensities = floats_of(content.propensities, scored)
    return propensities if content.fits is None else propensities * floats_of(content.fits, scored)


def fallbacks_of(content: TraceContent, scored: Mask) -> Fallbacks:
    """Return the codes of the stand-in scores over all candidates, shape (C,)."""
    codes = np.zeros(len(scored), np.int8)
    if content.fallbacks is not None:
        codes[scored] = np.frombuffer(content.fallbacks, np.int8)
    return codes


def floats_of(column: bytes, scored: Mask) -> Floats:
    """Return a float column over all candidates, shape (C,), NaN where they were not scored."""
    floats = np.full(len(scored), np.nan)
    floats[scored] = np.frombuffer(column, np.float64)
    return floats
