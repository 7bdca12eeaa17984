"""Experiments: a champion, its challengers, and how the traffic is split between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from kaireon_application.catalog.fields import EntityRef, Key, Name, Percentage, Text
from kaireon_application.catalog.kind import Change, Document, EntityKind, Reference
from kaireon_core.problems import Problem

_EVERYBODY = 100


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
    problems=_problems,
    references=_references,
)
