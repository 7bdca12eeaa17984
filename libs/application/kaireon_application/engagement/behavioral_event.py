"""Behavioural events: what customers do outside decisions, as callers tell of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta

from kaireon_application.customers.outcome_form import CustomerId

MAX_EVENTS = 100
EventType: TypeAlias = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$")]
# What only the platform itself tells of: its own facts, for triggers and journeys.
OUTCOME_RECORDED = "outcome.recorded"
CUSTOMER_CREATED = "customer.created"
CUSTOMER_UPDATED = "customer.updated"
OWN_TYPES = frozenset({OUTCOME_RECORDED, CUSTOMER_CREATED, CUSTOMER_UPDATED})


class EventForm(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What a customer did. The same `event_id` again is the same event; `timestamp` is now when absent.

    Without `customer_id` the session tells who it was, as in /recommend.
    """

    event_type: EventType
    event_id: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    customer_id: CustomerId | None = None
    session_id: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    timestamp: Annotated[str, Meta(max_length=64)] | None = None
    properties: Annotated[dict[str, Any], Meta(max_length=100)] = {}


EventsForm: TypeAlias = EventForm | Annotated[list[EventForm], Meta(min_length=1, max_length=MAX_EVENTS)]


class EventResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One event: `stream_id` is its id here, the first one for an `event_id` that was known already."""

    event_type: str
    stream_id: str
    triggers_evaluated: int


class EventsAccepted(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is durable now, in the order of the request."""

    accepted: int
    results: list[EventResult]


class BehavioralEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event as it is kept. `key` tells repeats apart; None where none was given: then each is an event of its own.

    The platform's own events are facts that are kept elsewhere: they have no row, `is_kept` is false.
    """

    id: str
    key: str | None
    type: str
    customer_id: str
    session_id: str | None
    occurred_at_ms: int
    properties: dict[str, Any]
    is_kept: bool = True
    # Whether a trigger brought it about.
    is_caused: bool = False

    def told(self) -> dict[str, Any]:
        """Return the event as conditions, journeys and webhooks see it."""
        return {
            "eventId": self.id,
            "eventType": self.type,
            "customerId": self.customer_id,
            "sessionId": self.session_id,
            "timestamp": datetime.fromtimestamp(self.occurred_at_ms / 1000, UTC).isoformat(),
            "properties": self.properties,
        }

    def details(self) -> dict[str, Any]:
        """Return what an interaction's details hold of it: what metrics look at."""
        details: dict[str, Any] = {"eventType": self.type, "properties": self.properties}
        return details if self.session_id is None else {**details, "sessionId": self.session_id}


def numbered(forms: EventsForm) -> Iterator[tuple[str, EventForm]]:
    """Yield the events of a request, each with its JSON path."""
    if isinstance(forms, EventForm):
        yield "$", forms
        return
    for place, form in enumerate(forms):
        yield f"$[{place}]", form


def results_of(events: Sequence[BehavioralEvent], ids: dict[str, str], evaluated: Sequence[int]) -> list[EventResult]:
    """Return the answer to events; `ids` is the first one under each key."""
    return [
        EventResult(
            event_type=event.type,
            stream_id=event.id if event.key is None else ids[event.key],
            triggers_evaluated=count,
        )
        for event, count in zip(events, evaluated, strict=True)
    ]
