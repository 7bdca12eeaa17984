"""What creatives say, and how often what says so was answered."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec
import numpy as np

from kaireon_core.column import Mask
from kaireon_core.learning.analysis import AnalysisRefusal, AnalysisRefused, Rate, rate_of

LEAST_CREATIVES = 20
LEAST_IMPRESSIONS = 20
LEAST_POSITIVES = 50
_MOST_CHARACTERS = 20_000
_ADDRESS = re.compile(r"^(https?:|www\.|mailto:|data:|/)\S*$")
# What stands for a customer's own data, and what tells a browser how to show it.
_NO_WORDS = re.compile(r"\{\{[^{}]*\}\}|<[^<>]*>|https?://\S+")


class ShownCreative(msgspec.Struct, frozen=True, kw_only=True):
    """What a creative says, how often it was shown and how often answered positively."""

    id: str
    text: str
    impressions: int
    positives: int


class TermEvidence(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How creatives with a term were answered, beside those without it.

    `importance` is the term's share of what the forest explains; `direction` says whether the creatives with it did
    better (`higher`) or worse (`lower`); `isClear`: the two Wilson intervals are apart.
    """

    term: str
    importance: float
    direction: str
    is_clear: bool
    support: int
    with_term: Rate
    without_term: Rate


def text_of(content: object) -> str:
    """Return every text in a creative's content, in order; no addresses, placeholders or markup."""
    words = " \n ".join(_texts(content))[:_MOST_CHARACTERS]
    return " ".join(_NO_WORDS.sub(" ", words).split())


def _texts(content: object) -> Iterator[str]:
    if isinstance(content, str):
        if not _ADDRESS.match(content):
            yield content
    elif isinstance(content, Mapping):
        fields = cast("Mapping[str, Any]", content)
        for key in sorted(fields):
            yield from _texts(fields[key])
    elif isinstance(content, Sequence) and not isinstance(content, bytes):
        for part in cast("Sequence[Any]", content):
            yield from _texts(part)


def comparable_creatives(creatives: Sequence[ShownCreative]) -> list[ShownCreative]:
    """Return the creatives that say something and were shown often enough. Raises `AnalysisRefused`."""
    # A response may be counted without its impression.
    kept = [
        msgspec.structs.replace(one, positives=min(one.positives, one.impressions))
        for one in creatives
        if one.text and one.impressions >= LEAST_IMPRESSIONS
    ]
    if len(kept) < LEAST_CREATIVES:
        message = (
            f"{len(kept)} creatives have text and at least {LEAST_IMPRESSIONS} impressions;"
            f" at least {LEAST_CREATIVES} are needed"
        )
        raise AnalysisRefused(AnalysisRefusal.TOO_FEW_CREATIVES, message)
    positives = sum(one.positives for one in kept)
    if positives < LEAST_POSITIVES:
        message = f"{positives} positive outcomes are too few; at least {LEAST_POSITIVES} are needed"
        raise AnalysisRefused(AnalysisRefusal.TOO_FEW_OUTCOMES, message)
    return kept


def term_evidence(creatives: Sequence[ShownCreative], term: str, importance: float, has_term: Mask) -> TermEvidence:
    """Return how the creatives of a mask (n,) were answered, beside all others; both kinds must be there."""
    impressions = np.array([one.impressions for one in creatives])
    positives = np.array([one.positives for one in creatives])
    with_term = rate_of(int(positives[has_term].sum()), int(impressions[has_term].sum()))
    without = rate_of(int(positives[~has_term].sum()), int(impressions[~has_term].sum()))
    is_higher = (with_term.rate or 0.0) >= (without.rate or 0.0)
    lower, upper = (without, with_term) if is_higher else (with_term, without)
    return TermEvidence(
        term=term,
        importance=importance,
        direction="higher" if is_higher else "lower",
        is_clear=lower.ci_upper < upper.ci_lower,
        support=int(np.count_nonzero(has_term)),
        with_term=with_term,
        without_term=without,
    )
