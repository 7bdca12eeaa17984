"""Reading what a service answered: a score for each candidate, or why there is none."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias, cast

import msgspec

from kaireon_application.learning.scores_path import found_at
from kaireon_core.decisioning.external import OfferScores
from kaireon_core.learning.external_config import ResponseMapping
from kaireon_core.learning.fallback import FallbackReason

_ABSENT = object()
# What stands for a score that is none; two of them are the same.
_UNUSABLE = object()
_Entries: TypeAlias = dict[str, list[object]]


def read_answer(body: bytes, mapping: ResponseMapping, offers: Sequence[str]) -> OfferScores | FallbackReason:
    """Return the scores of these offers, or the one reason that holds for all of them.

    A score is any finite JSON number, and passes as it is. An offer that stands there more than once has a score when
    it is the same each time. Entries of other offers are ignored.
    """
    try:
        document = _decode(body)
    except (ValueError, RecursionError):
        return FallbackReason.NOT_JSON
    entries = _entries(found_at(mapping.scores_path, document), mapping, offers)
    if not entries:
        return FallbackReason.MAPPING
    scores, reasons = dict[str, float](), dict[str, FallbackReason]()
    for offer in offers:
        score = _settled(entries.get(offer, [_ABSENT]))
        if isinstance(score, FallbackReason):
            reasons[offer] = score
        else:
            scores[offer] = score
    return OfferScores(scores=scores, reasons=reasons)


def _decode(body: bytes) -> object:
    """Return decoded JSON; numbers that no float64 holds, NaN and Infinity become floats that are not finite."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        # Slower, and more patient: what Python's own encoder writes for NaN is read, and is no score.
        return json.loads(body.decode("utf-8-sig"), parse_int=float)


def _entries(found: Sequence[object], mapping: ResponseMapping, offers: Iterable[str]) -> _Entries:
    """Return what is said of each of the offers, in the order of the answer."""
    one = found[0] if len(found) == 1 else None
    listed = cast("list[object]", one) if isinstance(one, list) else found
    wanted, entries = frozenset(offers), _Entries()
    for entry in listed:
        if not isinstance(entry, dict):
            continue
        fields = cast("dict[str, Any]", entry)
        offer = fields.get(mapping.offer_id_field)
        if isinstance(offer, str) and offer in wanted:
            entries.setdefault(offer, []).append(_usable(fields.get(mapping.score_field, _ABSENT)))
    return entries


def _usable(score: object) -> object:
    """Return a score as a finite float, `_ABSENT` where there is none, else `_UNUSABLE`."""
    if score is _ABSENT:
        return score
    if isinstance(score, bool) or not isinstance(score, (int, float)):
        return _UNUSABLE
    try:
        number = float(score)
    except OverflowError:
        return _UNUSABLE
    return number if math.isfinite(number) else _UNUSABLE


def _settled(said: Sequence[object]) -> float | FallbackReason:
    """Return the one thing that was said of an offer."""
    first = said[0]
    if any(other is not first and other != first for other in said[1:]):
        return FallbackReason.DUPLICATE
    if first is _ABSENT:
        return FallbackReason.MISSING
    return first if isinstance(first, float) else FallbackReason.MALFORMED
