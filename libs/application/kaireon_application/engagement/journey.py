"""Journeys: graphs of steps that customers are taken through over days."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from kaireon_application.catalog.fields import Key, Name, Status
from kaireon_application.catalog.kind import Change, Document, EntityKind, Reference
from kaireon_application.engagement.behavioral_event import EventType
from kaireon_application.engagement.condition import condition_problems
from kaireon_application.engagement.journey_graph import graph_of, graph_problems
from kaireon_application.engagement.journey_node import Definition, Open
from kaireon_core.problems import Problem

KIND = "journey"
# The fields of nodes that name other things, with the kinds of these.
_REFERRED = {
    "segmentId": "segment",
    "decisionFlowKey": "decision_flow",
    "channelId": "channel",
    "creativeId": "creative",
}


class EntryCondition(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Events that let customers in, beside those of the entry node."""

    event: EventType | None = None
    condition: Open = {}


class NewJourney(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A journey as it is created; after `max_duration_days` an enrolment is over, wherever it stands."""

    key: Key | None = None
    name: Name
    status: Status = "draft"
    description: Annotated[str, Meta(max_length=2_000)] | None = None
    definition: Definition = msgspec.field(default_factory=Definition)
    entry_condition: EntryCondition = EntryCondition()
    max_duration_days: Annotated[int, Meta(ge=1, le=365)] = 30


def _problems(change: Change) -> Iterator[Problem]:
    graph = graph_of(change.document)
    yield from graph_problems(graph, f"{change.path}.definition")
    condition = change.document["entryCondition"]["condition"]
    yield from condition_problems(condition, f"{change.path}.entryCondition.condition")
    if change.document["status"] == "active" and graph.entry is None:
        yield change.problem("must have an entry_trigger before the journey can be active", "definition")


def _references(document: Document) -> Iterable[Reference]:
    for place, node in enumerate(document["definition"]["nodes"]):
        for field, kind in _REFERRED.items():
            if node.get("config", {}).get(field) is not None:
                yield Reference(path=("definition", "nodes", place, "config", field), kind=kind)


JOURNEY = EntityKind(
    name=KIND,
    noun="journey",
    path="journeys",
    create=NewJourney,
    example={
        "name": "Welcome",
        "key": "welcome",
        "definition": {
            "nodes": [
                {"id": "start", "type": "entry_trigger", "config": {"eventType": "account.opened"}},
                {"id": "pause", "type": "wait", "config": {"delayHours": 24, "waitForEvent": "app.opened"}},
                {"id": "end", "type": "exit", "config": {"reason": "welcomed"}},
            ],
            "edges": [{"source": "start", "target": "pause"}, {"source": "pause", "target": "end"}],
        },
        "maxDurationDays": 14,
    },
    problems=_problems,
    references=_references,
)
