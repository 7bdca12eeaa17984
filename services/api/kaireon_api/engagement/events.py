"""POST /events: what customers do, one or many at once."""

from __future__ import annotations

from kaireon_api.operation import WRITE_ERRORS, Call, Operation, Reply, Role
from kaireon_application.engagement.behavioral_event import EventsAccepted, EventsForm, numbered


async def _events(call: Call[EventsForm]) -> Reply:
    forms = list(numbered(call.body))
    answer = await call.services.engagement.record_events(call.tenant_id, forms, call.caller)
    return Reply(content=answer, status=202)


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="POST",
        path="/api/v1/events",
        role=Role.EDITOR,
        handler=_events,
        summary="Tell what customers did: one event, or a list of up to 100",
        body=EventsForm,
        example={
            "eventType": "cart.abandoned",
            "eventId": "cart-7781-3",
            "customerId": "1045",
            "properties": {"amount": 42.5, "items": 3},
        },
        answers={202: EventsAccepted, **WRITE_ERRORS},
    ),
)
