"""Experiments: a champion, its challengers, and how the traffic is split between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta, Struct, field

from kaireon_application.catalog.entities import EntityReader
from kaireon_application.catalog.fields import EntityRef, Key, Name, Percentage, Text
from kaireon_application.catalog.kind import Change, Document, EntityKind, Reference
from kaireon_core.problems import Problem

_EVERYBODY = 100
_OVER = ("completed", "archived")


class TrafficSplit(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The champion's share of the traffic."""

    champion_pct: Percentage = 80


class Challenger(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A model that challenges, and its share of the traffic."""

    model_id: EntityRef
    traffic_pct: Percentage


class NewExperiment(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """An experiment as it is created; the shares add up to 100."""

    key: Key | None = None
    name: Name
    description: Text | None = None
    status: Literal["draft", "active", "paused", "completed", "archived"] = "draft"
    champion_model_id: EntityRef | None = None
    traffic_split: TrafficSplit = TrafficSplit()
    challengers: Annotated[list[Challenger], Meta(max_length=20)] = field(default_factory=list[Challenger])
    holdout_percent: Percentage = 0
    auto_promote: bool = False
    promote_threshold: Annotated[float, Meta(ge=0, le=1)] = 0.02
    promote_after_days: Annotated[int, Meta(ge=1, le=365)] = 14


def _problems(change: Change) -> Iterator[Problem]:
    challengers: list[dict[str, Any]] = change.document["challengers"]
    shares = [change.document["trafficSplit"]["championPct"], *(one["trafficPct"] for one in challengers)]
    if sum(shares) != _EVERYBODY:
        message = f"championPct and the challengers' trafficPct must add up to 100, not to {sum(shares)}"
        yield change.problem(message, "trafficSplit", "championPct")


async def _check(_reader: EntityReader, change: Change) -> Iterable[Problem]:
    """Return a problem for each challenger that takes part already: whose result would it be?"""
    seen = [change.document["championModelId"], *(one["modelId"] for one in change.document["challengers"])]
    return [
        change.problem("this model takes part already", "challengers", place, "modelId")
        for place, model in enumerate(seen[1:])
        if model in seen[: place + 1]
    ]


def _prepare(change: Change) -> Document:
    """Return the document with when it was started and ended; what is over and becomes active again begins anew."""
    previous: Document = dict(change.previous.body) if change.previous else {}
    before = change.previous.status if change.previous else None
    status, now = change.document["status"], change.caller.at.isoformat()
    started, completed = previous.get("startedAt"), previous.get("completedAt")
    if status == "active" and (started is None or before in _OVER):
        started = now
    if status not in _OVER:
        completed = None
    elif completed is None:
        completed = now
    promoted = previous.get("promotedModelId") if completed else None
    return {**change.document, "startedAt": started, "completedAt": completed, "promotedModelId": promoted}


def _shown(document: Document) -> Document:
    """Show what experiments of earlier releases lack."""
    return {"startedAt": None, "completedAt": None, "promotedModelId": None, **document}


def _references(document: Document) -> Iterable[Reference]:
    if document["championModelId"] is not None:
        yield Reference(path=("championModelId",), kind="algorithm_model")
    for place in range(len(document["challengers"])):
        yield Reference(path=("challengers", place, "modelId"), kind="algorithm_model")


EXPERIMENT = EntityKind(
    name="experiment",
    noun="experiment",
    path="experiments",
    create=NewExperiment,
    example={"name": "Spring", "key": "spring", "trafficSplit": {"championPct": 100}},
    derived_fields={
        "started_at": datetime | None,
        "completed_at": datetime | None,
        "promoted_model_id": UUID | None,
    },
    prepare=_prepare,
    problems=_problems,
    references=_references,
    check=_check,
    shown=_shown,
)
