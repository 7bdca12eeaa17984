"""Comparing two decisions for one customer, candidate by candidate: what was recorded, and what was decided again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import msgspec
import numpy as np

from kaireon_application.decisioning.explain_trace import StoredTrace
from kaireon_application.decisioning.snapshot import CandidateEntry
from kaireon_application.decisioning.trace import TraceContent, reasons_of, scores_of
from kaireon_core.decisioning.reasons import KEPT, is_scored

# What is compared elsewhere, or says who decided and not what.
_ELSEWHERE: dict[str, Any] = {
    "engine_version": "",
    "snapshot_hash": b"",
    "request": dict[str, Any](),
    "facts": dict[str, Any](),
    "variant": None,
    "experiment_key": None,
    "shadows": dict[str, Any](),
}
_MEASURED = {"duration_ms": 0.0, "durations_ms": dict[str, float]()}

# The answer: (offer key, creative id) by rank; and every candidate's reason and score.
Candidate: TypeAlias = tuple[str, str | None]
Seen: TypeAlias = tuple[str | None, float | None]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not the same: where, what the trace says, and what was decided again."""

    path: str
    recorded: Any
    replayed: Any


def differences_between(recorded: StoredTrace, replayed: StoredTrace) -> list[Difference]:
    """Return what differs, the answer first; nothing when every byte of the columns is the same."""
    if _columns(recorded.content) == _columns(replayed.content) and _meaning(recorded) == _meaning(replayed):
        return []
    found = [
        *_of_answers(recorded, replayed),
        *_of_candidates(recorded, replayed),
        *_of_degradation(recorded, replayed),
    ]
    return [*_of_engines(recorded, replayed), *found] if found else []


def _columns(content: TraceContent) -> TraceContent:
    return msgspec.structs.replace(content, **_MEASURED, **_ELSEWHERE)


def _meaning(trace: StoredTrace) -> tuple[list[CandidateEntry], list[Any]]:
    return trace.legend.candidates, trace.legend.reasons


def _of_engines(recorded: StoredTrace, replayed: StoredTrace) -> Iterator[Difference]:
    """Another engine, or other libraries, may be why."""
    engines = recorded.content.engine_version, replayed.content.engine_version
    libraries = recorded.legend.libraries, replayed.legend.libraries
    for path, (before, after) in (("engineVersion", engines), ("libraries", libraries)):
        if before != after:
            yield Difference(path=path, recorded=before, replayed=after)


def _of_degradation(recorded: StoredTrace, replayed: StoredTrace) -> Iterator[Difference]:
    before, after = recorded.content.is_degraded, replayed.content.is_degraded
    if before != after:
        yield Difference(path="degradedScoring", recorded=before, replayed=after)


def _of_answers(recorded: StoredTrace, replayed: StoredTrace) -> Iterator[Difference]:
    before, after = _answer(recorded), _answer(replayed)
    for place in range(max(len(before), len(after))):
        was, is_ = (answer[place] if place < len(answer) else None for answer in (before, after))
        if was != is_:
            yield Difference(path=f"decisions[{place}]", recorded=was, replayed=is_)


def _answer(trace: StoredTrace) -> list[dict[str, Any]]:
    picks, chances = trace.content.picks, trace.content.selection
    answer: list[dict[str, Any]] = [
        {"offerKey": entry.offer_key, "creativeId": entry.creative_id}
        for entry in (trace.legend.candidates[pick] for pick in picks)
    ]
    if chances is None:
        return answer
    return [{**one, "selectionProbability": chance} for one, chance in zip(answer, chances, strict=True)]


def _of_candidates(recorded: StoredTrace, replayed: StoredTrace) -> Iterator[Difference]:
    before, after = _seen(recorded), _seen(replayed)
    for candidate in dict.fromkeys([*before, *after]):
        was, is_ = before.get(candidate, (None, None)), after.get(candidate, (None, None))
        path = f"candidates[{'/'.join(one for one in candidate if one)}]"
        for name, then, now in zip(("reason", "score"), was, is_, strict=True):
            if then != now:
                yield Difference(path=f"{path}.{name}", recorded=then, replayed=now)


def _seen(trace: StoredTrace) -> dict[Candidate, Seen]:
    """Return each candidate's reason, null when it was chosen, and its score, null when it was not scored."""
    legend, codes = trace.legend, reasons_of(trace.content)
    scored = is_scored(tuple(legend.spans), codes)
    scores = np.where(scored, scores_of(trace.content, scored), np.nan).tolist()
    return {
        (entry.offer_key, entry.creative_id): (
            None if code == KEPT else legend.reasons[code - 1].message,
            score if is_one else None,
        )
        for entry, code, score, is_one in zip(legend.candidates, codes.tolist(), scores, scored.tolist(), strict=True)
    }
