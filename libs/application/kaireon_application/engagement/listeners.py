"""What a tenant's journeys and triggers wait for: compiled once, asked about every event."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kaireon_application.engagement.behavioral_event import BehavioralEvent
from kaireon_application.engagement.condition import Holds, compile_holds, look_in
from kaireon_application.engagement.journey_graph import graph_of
from kaireon_application.engagement.journey_node import Wait
from kaireon_application.engagement.reactions import Firing, NewEnrollment, Reactions
from kaireon_application.engagement.trigger_action import ActionType
from kaireon_application.platform.identity import new_ids
from kaireon_core.catalog.document import Document

_ACTIVE = "active"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Door:
    """Where an event lets customers into a journey."""

    journey_id: str
    node_id: str
    max_days: int
    holds: Holds


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """A trigger that is active."""

    trigger_id: str
    action: str
    cooldown_ms: int
    holds: Holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Listeners:
    """Answers what follows from an event."""

    doors: Mapping[str, tuple[_Door, ...]] = field(default_factory=dict[str, tuple[_Door, ...]])
    # The triggers of each type of event, those of higher priority first.
    rules: Mapping[str, tuple[_Rule, ...]] = field(default_factory=dict[str, tuple[_Rule, ...]])
    # What some journey waits for.
    awaited: frozenset[str] = frozenset()

    def hears(self, event_type: str) -> bool:
        """Return whether anything may follow from events of a type."""
        return event_type in self.doors or event_type in self.rules or event_type in self.awaited

    def react(self, event: BehavioralEvent) -> Reactions:
        """Return what follows from an event, by the configuration alone."""
        told = event.told()
        look = look_in(told)
        open_doors = [door for door in self.doors.get(event.type, ()) if door.holds(look)]
        rules = self.rules.get(event.type, ())
        if event.is_caused:
            # What a trigger has set sets nothing again: no circle goes on for ever.
            rules = tuple([rule for rule in rules if rule.action != ActionType.UPDATE_ATTRIBUTE])
        fired = [rule for rule in rules if rule.holds(look)]
        ids = new_ids(event.occurred_at_ms, len(open_doors) + len(fired))
        return Reactions(
            event=event,
            enrollments=tuple(
                NewEnrollment(
                    id=id_,
                    journey_id=door.journey_id,
                    customer_id=event.customer_id,
                    node_id=door.node_id,
                    max_days=door.max_days,
                    context={"event": told},
                )
                for id_, door in zip(ids, open_doors, strict=False)
            ),
            firings=tuple(
                Firing(id=id_, trigger_id=rule.trigger_id, action=rule.action, cooldown_ms=rule.cooldown_ms)
                for id_, rule in zip(ids[len(open_doors) :], fired, strict=True)
            ),
            evaluated=len(rules),
        )


def build_listeners(journeys: Iterable[Document], triggers: Iterable[Document]) -> Listeners:
    """Return what these things of a tenant wait for."""
    doors, awaited = defaultdict[str, list[_Door]](list), set[str]()
    for journey in journeys:
        if journey.status == _ACTIVE:
            for event_type, door in _doors(journey):
                doors[event_type].append(door)
        nodes = graph_of(journey.body).definition.nodes
        waits = [node.config.wait_for_event for node in nodes if isinstance(node, Wait)]
        awaited |= {event_type for event_type in waits if event_type is not None}
    rules = defaultdict[str, list[_Rule]](list)
    for trigger in sorted(triggers, key=lambda one: (-one.body["priority"], one.key)):
        if trigger.status == _ACTIVE:
            rules[trigger.body["eventType"]].append(_rule(trigger))
    return Listeners(
        doors={type_: tuple(found) for type_, found in doors.items()},
        rules={type_: tuple(found) for type_, found in rules.items()},
        awaited=frozenset(awaited),
    )


def _rule(trigger: Document) -> _Rule:
    body = trigger.body
    return _Rule(
        trigger_id=trigger.id,
        action=body["actionType"],
        cooldown_ms=body["cooldownMs"],
        holds=compile_holds(body["condition"]),
    )


def _doors(journey: Document) -> Iterator[tuple[str, _Door]]:
    entry = graph_of(journey.body).entry
    assert entry is not None, journey.key  # noqa: S101 - an active journey has one
    ways: list[tuple[str | None, dict[str, Any]]] = [(entry.config.event_type, entry.config.condition)]
    given = journey.body["entryCondition"]
    ways.append((given["event"], given["condition"]))
    for event_type, condition in ways:
        if event_type is not None:
            yield (
                event_type,
                _Door(
                    journey_id=journey.id,
                    node_id=entry.id,
                    max_days=journey.body["maxDurationDays"],
                    holds=compile_holds(condition),
                ),
            )
