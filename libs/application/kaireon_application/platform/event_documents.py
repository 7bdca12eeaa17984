"""The event schemas as documents for consumers: JSON Schema for each type, AsyncAPI for all of them together."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec

from kaireon_application.platform.event_schemas import EVENT_SCHEMAS

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_HEADERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "format": "uuid", "description": "The same whenever the event is sent again."},
        "type": {"type": "string", "description": "The name of this message."},
        "tenantId": {"type": "string", "format": "uuid"},
        "key": {"type": "string", "description": "The customer: events of one key come in commit order."},
        "timestamp": {"type": "string", "format": "date-time", "description": "When the event was committed."},
    },
    "required": ["id", "type", "tenantId", "key", "timestamp"],
}


def event_documents() -> dict[str, dict[str, Any]]:
    """Return every document by its file name."""
    return {f"{type_}.json": _schema(type_) for type_ in EVENT_SCHEMAS} | {"asyncapi.json": _asyncapi()}


def write_document(document: dict[str, Any]) -> bytes:
    """Return a document's text."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def _schema(type_: str) -> dict[str, Any]:
    _, components = msgspec.json.schema_components((EVENT_SCHEMAS[type_],), ref_template="#/$defs/{name}")
    described = {
        name: {**component, "description": inspect.cleandoc(component["description"])}
        for name, component in components.items()
    }
    payload = described.pop(EVENT_SCHEMAS[type_].__name__)
    definitions = {"$defs": described} if described else {}
    return {"$schema": _DIALECT, "$id": f"{type_}.json", **payload, "title": type_, **definitions}


def _asyncapi() -> dict[str, Any]:
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Kaireon events",
            "version": "1",
            "description": (
                "What happened, told at least once and in commit order for each customer. A payload's schema only"
                " grows; anything else is a new message (.v2). Where the five headers stand depends on the bus."
            ),
        },
        "defaultContentType": "application/json",
        "channels": {
            "events": {
                "description": "The stream, topic or bus that the outbox publisher is configured with.",
                "address": None,
                "messages": {type_: {"$ref": f"#/components/messages/{type_}"} for type_ in EVENT_SCHEMAS},
            }
        },
        "operations": {
            "publishEvents": {
                "action": "send",
                "channel": {"$ref": "#/channels/events"},
                "messages": [{"$ref": f"#/channels/events/messages/{type_}"} for type_ in EVENT_SCHEMAS],
            }
        },
        "components": {"messages": {type_: _message(type_) for type_ in EVENT_SCHEMAS}},
    }


def _message(type_: str) -> dict[str, Any]:
    return {
        "name": type_,
        "contentType": "application/json",
        "headers": _HEADERS,
        "payload": {
            "schemaFormat": "application/schema+json;version=draft-2020-12",
            "schema": {"$ref": f"./{type_}.json"},
        },
    }
