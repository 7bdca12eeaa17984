"""What a model was given and has answered of late, from the traces of decisions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, Self
from uuid import UUID

import numpy as np

from kaireon_application.catalog.entities import ListPosition
from kaireon_application.decisioning.explain_trace import StoredTrace
from kaireon_application.decisioning.trace import TraceContent
from kaireon_application.learning.drift_check import SkippedFeature
from kaireon_core.column import Column, Floats
from kaireon_core.table import CANDIDATE_NAMESPACES, CustomerFacts, Table, split_name

# How many decisions are looked at, the newest ones; enough for a distance of 0.03 to be significant.
MOST_DECISIONS = 5_000
_BATCH = 250


class TracedDecisions(Protocol):
    """Reads traces without counting them. Raises `Unavailable` while the storage is away."""

    async def recent(
        self, tenant_id: UUID, since: datetime, after: ListPosition | None, limit: int
    ) -> Sequence[StoredTrace]:
        """Return traces from `since` on, newest first, from the one behind `after` on."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a model was given (one value per decision) and has answered; the scores of one decision weigh 1 together."""

    features: Mapping[str, Column]
    scores: Floats
    weights: Floats
    skipped: list[SkippedFeature] = field(default_factory=list[SkippedFeature])

    @classmethod
    def of_snapshot(cls, features: Mapping[str, Column], scores: Sequence[float]) -> Self:
        """Return what a caller has seen."""
        return cls(features=features, scores=np.array(scores, np.float64), weights=np.ones(len(scores)))


async def seen_since(
    traces: TracedDecisions,
    tenant_id: UUID,
    model_key: str,
    names: Sequence[str],
    since: datetime,
    report: Callable[[int, int | None], Awaitable[None]],
) -> Seen:
    """Return what a model has seen since an instant, in the newest decisions that it scored, as active or as shadow.

    What is about the offer is not in a trace: such features are skipped. Raises what `report` raises.
    """
    facts: list[CustomerFacts] = []
    scores: list[Floats] = []
    after: ListPosition | None = None
    while len(facts) < MOST_DECISIONS:
        batch = await traces.recent(tenant_id, since, after, _BATCH)
        for trace in batch:
            answered = _answered(trace, model_key)
            if answered is not None:
                facts.append(_facts(trace.content))
                scores.append(answered)
        await report(len(facts), None)
        if len(batch) < _BATCH:
            break
        after = ListPosition(rank=0, at=batch[-1].decided_at, id=batch[-1].recommendation_id)
    told = [name for name in names if split_name(name)[0] not in CANDIDATE_NAMESPACES]
    table = Table.of(facts, {}, 0, told)
    given = [one for one in scores if len(one)]
    return Seen(
        features={name: table.column(name)[0] for name in told} if facts else {},
        scores=np.concatenate(given) if given else np.array([]),
        weights=np.concatenate([np.full(len(one), 1 / len(one)) for one in given]) if given else np.array([]),
        skipped=[_skipped(name, name in told) for name in names if name not in told or not facts],
    )


def _skipped(name: str, is_told: bool) -> SkippedFeature:  # noqa: FBT001 - which of two reasons
    reason = "no decision of this time was scored by the model" if is_told else "is no fact of the customer"
    return SkippedFeature(feature=name, reason=reason)


def _answered(trace: StoredTrace, model_key: str) -> Floats | None:
    """Return the scores that a model gave in a decision, stand-ins left out; None where it had no part in it."""
    content = trace.content
    shadow = content.shadows.get(model_key)
    if shadow is not None:
        return _without_stand_ins(shadow.scores, shadow.reasons)
    if trace.legend.model_key != model_key or content.propensities is None:
        return None
    return _without_stand_ins(content.propensities, content.fallbacks)


def _without_stand_ins(scores: bytes | None, reasons: bytes | None) -> Floats:
    values = np.frombuffer(scores or b"", np.float64)
    if reasons is not None and len(values):
        values = values[np.frombuffer(reasons, np.int8) == 0]
    return values[np.isfinite(values)]


def _facts(content: TraceContent) -> CustomerFacts:
    facts = content.facts
    return CustomerFacts(
        customer=facts["customer"], attributes=facts["attributes"], context=facts["context"], request=content.request
    )
