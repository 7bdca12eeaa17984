"""The document says what is served: roles, statuses, examples that are valid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jsonschema
import msgspec
import pytest

from kaireon_api.documentation import document_operations
from kaireon_api.operation import Operation, Role
from kaireon_api.routes import OPERATIONS

if TYPE_CHECKING:
    from tests.api.conftest import Clients

DOCUMENT: dict[str, Any] = msgspec.json.decode(document_operations(OPERATIONS).document)
NAMES = [f"{operation.method} {operation.path}" for operation in OPERATIONS]


def described(operation: Operation) -> dict[str, Any]:
    return DOCUMENT["paths"][operation.path][operation.method.lower()]


@pytest.mark.parametrize("operation", OPERATIONS, ids=NAMES)
def test_an_operation_is_documented_with_role_and_statuses(operation: Operation) -> None:
    document = described(operation)

    assert document["x-required-role"] in {role.value for role in Role}
    assert any(status.startswith("2") for status in document["responses"])
    assert set(map(str, operation.answers)) <= set(document["responses"])
    if operation.path.startswith("/api/v1/"):
        assert {"400", "401", "403", "503"} <= set(document["responses"])
    else:
        assert document["x-required-role"] == "none"


@pytest.mark.parametrize(
    "operation",
    [one for one in OPERATIONS if one.body is not None],
    ids=[name for name, one in zip(NAMES, OPERATIONS, strict=True) if one.body is not None],
)
def test_the_example_of_a_body_is_valid(operation: Operation) -> None:
    content = described(operation)["requestBody"]["content"]["application/json"]

    msgspec.convert(content["example"], operation.body)
    jsonschema.validate(content["example"], {**content["schema"], "components": DOCUMENT["components"]})


def test_operation_ids_are_unique() -> None:
    ids = [described(operation)["operationId"] for operation in OPERATIONS]

    assert len(ids) == len(set(ids))


async def test_the_document_and_its_page_need_nothing_from_elsewhere(api: Clients) -> None:
    served = await api.anonymous.get("/api/openapi.json")
    page = await api.anonymous.get("/api/docs")

    assert served.json() == DOCUMENT
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "<script" not in page.text
    assert "src=" not in page.text
    assert not [link for link in page.text.split('href="')[1:] if not link.startswith(("#", "/api/"))]
    for operation in OPERATIONS:
        assert described(operation)["operationId"] in page.text
