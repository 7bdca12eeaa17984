"""Why a candidate was dropped: an int16 code per candidate, and the legend that says what each code means.

Code 0 means kept. Codes rise in the order of the stages, so the funnel of a decision is a count over this column.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from kaireon_core.column import Mask

Reasons: TypeAlias = NDArray[np.int16]
KEPT = 0


class Reason(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What one code means: the stage and node that dropped the candidate, and the rule, policy or setting behind it."""

    stage: str
    node_id: str
    type: str
    message: str
    entity_id: str | None = None
    entity_name: str | None = None
    detail: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])


class StageCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many candidates entered and left a stage."""

    stage: str
    in_: int = msgspec.field(name="in")
    out: int


class StageSpan(msgspec.Struct, frozen=True, kw_only=True):
    """The codes of one stage: `first` included, `end` excluded; a stage that drops nothing has none."""

    stage: str
    node_id: str
    first: int
    end: int


@dataclass(slots=True)
class LegendBuilder:
    """Hands out codes while a flow is compiled, stage by stage."""

    reasons: list[Reason] = field(default_factory=list[Reason])
    spans: list[StageSpan] = field(default_factory=list[StageSpan])
    _stage: str = ""
    _node_id: str = ""

    @contextmanager
    def stage(self, stage: str, node_id: str) -> Generator[None]:
        """Begin a stage, and end it; the codes added meanwhile are its own."""
        self._stage, self._node_id, first = stage, node_id, len(self.reasons) + 1
        yield
        self.spans.append(StageSpan(stage=stage, node_id=node_id, first=first, end=len(self.reasons) + 1))

    def add(self, type_: str, message: str, **more: Any) -> int:
        """Return the code of a new reason of the current stage."""
        self.reasons.append(Reason(stage=self._stage, node_id=self._node_id, type=type_, message=message, **more))
        return len(self.reasons)


SCORING = "score"


def is_scored(spans: tuple[StageSpan, ...], reasons: Reasons) -> Mask:
    """Return which candidates reached the score stage; codes rise from stage to stage."""
    first = next(span.first for span in spans if span.stage == SCORING)
    return (reasons == KEPT) | (reasons >= first)


def funnel(spans: tuple[StageSpan, ...], reasons: Reasons) -> list[StageCount]:
    """Return how many of these candidates entered and left each stage, from their reason codes alone."""
    dropped = np.bincount(reasons, minlength=(spans[-1].end if spans else 1))
    left, counts = len(reasons), list[StageCount]()
    for span in spans:
        entered, left = left, left - int(dropped[span.first : span.end].sum())
        counts.append(StageCount(stage=span.stage, in_=entered, out=left))
    return counts
