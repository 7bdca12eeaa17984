"""The published schemas are those that the relay applies, on both ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID, uuid4

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from kaireon_application.platform.event_documents import event_documents, write_document
from kaireon_application.platform.event_schemas import EVENT_SCHEMAS, INTERACTION_RECORDED
from kaireon_application.platform.outbox import OutboxEvent
from kaireon_application.platform.outbox_faults import fault_of
from tests.outbox_publisher.outbox_table import interaction
from tests.outbox_publisher.test_sink_contract import event

if TYPE_CHECKING:
    from tests.outbox_publisher.conftest import Eventually, StartPublisher, StreamReader
    from tests.outbox_publisher.outbox_table import OutboxTable

FOLDER = Path(__file__).parents[2] / "docs/reference/events"
TENANT = UUID(int=1)


def published(type_: str) -> Draft202012Validator:
    """Return what a consumer would validate with."""
    return Draft202012Validator(json.loads((FOLDER / f"{type_}.json").read_text()), format_checker=FormatChecker())


def test_documents_are_those_of_the_schemas() -> None:
    written = {path.name: path.read_bytes() for path in FOLDER.iterdir()}
    expected = {name: write_document(document) for name, document in event_documents().items()}
    assert written == expected, "run `kaireon outbox schemas docs/reference/events`"


@pytest.mark.parametrize("type_", EVENT_SCHEMAS)
def test_a_schema_is_one(type_: str) -> None:
    Draft202012Validator.check_schema(cast("Any", published(type_).schema))


def test_references_lead_somewhere() -> None:
    document = event_documents()["asyncapi.json"]
    for reference in _references(document):
        if reference.startswith("./"):
            assert (FOLDER / reference).is_file()
            continue
        found: Any = document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]


def _references(document: Any) -> list[str]:
    if isinstance(document, dict):
        entries = cast("dict[str, Any]", document)
        own = [entries["$ref"]] if "$ref" in entries else []
        return own + [found for value in entries.values() for found in _references(value)]
    if isinstance(document, list):
        return [found for value in cast("list[Any]", document) for found in _references(value)]
    return []


PAYLOADS: list[tuple[object, bool]] = [
    (interaction("c1", TENANT), True),
    (interaction("c1", TENANT, rank=1, conversionValue=2.5, addedLater={"a": 1}), True),
    (interaction("", TENANT), False),
    (interaction("c1", TENANT, rank=0), False),
    (interaction("c1", TENANT, sequence=1.5), False),
    (interaction("c1", TENANT, interactionId="seven"), False),
    (interaction("c1", TENANT, offerId=None), False),
    ({"customerId": "c1"}, False),
    ([1, 2], False),
]


@pytest.mark.parametrize(("payload", "is_valid"), PAYLOADS, ids=range(len(PAYLOADS)))
def test_relay_and_consumer_judge_a_payload_alike(payload: object, is_valid: bool) -> None:
    given: OutboxEvent = event("c1", payload=json.dumps(payload).encode())
    assert (fault_of(given, 10**6) is None) == is_valid
    assert published(INTERACTION_RECORDED).is_valid(cast("Any", payload)) == is_valid


async def test_what_arrives_is_what_the_documents_say(
    outbox_table: OutboxTable, stream: StreamReader, start_publisher: StartPublisher, eventually: Eventually
) -> None:
    await outbox_table.insert_many([f"customer-{number}" for number in range(5)], tenant_id=uuid4())
    start_publisher()
    await eventually(lambda: len(stream.ids()) == 5)
    headers = event_documents()["asyncapi.json"]["components"]["messages"][INTERACTION_RECORDED]["headers"]
    for entry in stream.entries():
        published(entry["type"]).validate(json.loads(entry["payload"]))
        Draft202012Validator(headers, format_checker=FormatChecker()).validate(
            {name: value for name, value in entry.items() if name != "payload"}
        )
