"""The order of checks, the limits, the headers and the one form of errors."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec
import pytest

if TYPE_CHECKING:
    from tests.api.conftest import Clients

KEYS = "/api/v1/api-keys"
SETTINGS = "/api/v1/tenant-settings"
OFFERS = "/api/v1/offers"
JSON = {"Content-Type": "application/json"}
LARGE = b'{"name":"' + b"x" * 2 * 1024 * 1024 + b'"}'
LONG = "x" * 9 * 1024

# Who, method, path, headers, body -> status: each row breaks several rules and is answered by the first of the order.
ORDER: list[tuple[str, str, str, dict[str, str], bytes | None, int]] = [
    ("anonymous", "POST", f"{KEYS}?{LONG}", {}, LARGE, 401),
    ("anonymous", "GET", "/api/v1/nowhere", {}, None, 401),
    ("viewer", "POST", f"{KEYS}?{LONG}", {}, LARGE, 403),
    ("viewer", "PUT", f"{OFFERS}/{uuid4()}", {}, b"{", 403),
    ("editor", "DELETE", f"{KEYS}/{uuid4()}", {}, None, 403),
    ("admin", "POST", f"{KEYS}?{LONG}", {}, LARGE, 414),
    ("admin", "GET", f"/api/v1/{LONG}", {}, None, 414),
    ("admin", "POST", KEYS, {"X-Long": "x" * 17 * 1024}, LARGE, 431),
    ("admin", "PUT", f"{OFFERS}/{uuid4()}", {}, LARGE, 404),
    ("admin", "PUT", f"{OFFERS}/{uuid4()}", JSON, b'{"nonsense":1}', 404),
    ("admin", "PUT", f"{OFFERS}?id={uuid4()}", JSON, b'{"nonsense":1}', 404),
    ("admin", "POST", KEYS, {"Content-Type": "text/plain"}, LARGE, 413),
    ("admin", "POST", KEYS, {"Content-Type": "text/plain"}, b"{", 415),
    ("admin", "POST", KEYS, {}, None, 415),
    ("admin", "POST", KEYS, {"Content-Type": "application/json; charset=latin-1"}, b"{}", 415),
    ("admin", "POST", KEYS, {**JSON, "Content-Encoding": "gzip"}, b"{}", 415),
    ("admin", "POST", KEYS, JSON, b"{", 400),
    ("admin", "POST", KEYS, {"Content-Type": "application/json; charset=UTF-8"}, b"{}", 201),
    ("admin", "GET", f"{KEYS}?limit=0", {}, None, 400),
    ("admin", "GET", f"{KEYS}?limit=x", {}, None, 400),
    ("admin", "GET", f"{KEYS}?cursor=!!", {}, None, 400),
    ("admin", "GET", f"{KEYS}?cursor=%00", {}, None, 400),
    ("admin", "GET", f"{KEYS}?cursor=%ff", {}, None, 400),
    ("admin", "GET", f"{KEYS}?unknown=1", {}, None, 200),
    ("admin", "GET", "/api/v1/nowhere", {}, None, 404),
    ("admin", "GET", "/api/v1/nowhere/%ff", {}, None, 404),
    ("anonymous", "GET", "/nowhere", {}, None, 404),
    ("admin", "PATCH", KEYS, {}, None, 405),
    ("admin", "PUT", KEYS, {}, None, 405),
    ("anonymous", "POST", "/api/health", {}, None, 405),
]


async def test_the_first_fault_in_the_order_is_answered(api: Clients) -> None:
    for who, method, path, headers, body, status in ORDER:
        answer = await getattr(api, who).request(method, path, headers=headers, content=body)

        assert answer.status_code == status, (who, method, path[:60], answer.text)
        assert answer.headers["x-content-type-options"] == "nosniff"
        if status >= 400:
            error = answer.json()["error"]
            assert error["status"] == status
            assert error["message"]
            assert error["requestId"] == answer.headers["x-request-id"]


WRONG_JSON: dict[str, bytes] = {
    "nothing": b"",
    "half": b'{"name":"x"',
    "no JSON": b"name=x",
    "trailing": b"{} {}",
    "an array": b"[]",
    "null": b"null",
    "NUL escape": b'{"name":"a\\u0000b"}',
    "NUL byte": b'{"name":"a\x00b"}',
    "lone surrogate": b'{"name":"\\ud800"}',
    "surrogate bytes": b'{"name":"\xed\xa0\x80"}',
    "not UTF-8": b'{"name":"\xff"}',
    "not UTF-8 key": b'{"\xff":1}',
    "NaN": b'{"name":NaN}',
    "Infinity": b'{"fairnessPolicy":{"minSampleSize":-Infinity}}',
    "number out of range": b'{"holdoutPercentage":1e999}',
    "beyond 2^53": b'{"retentionDays":9007199254740993}',
    "deep": b'{"name":' + b"[" * 70 + b"]" * 70 + b"}",
    "bottomless": b"[" * 100_000,
    "BOM": b"\xef\xbb\xbf{}",
}


@pytest.mark.parametrize(("method", "path"), [("POST", KEYS), ("PUT", SETTINGS)])
async def test_a_body_that_is_no_such_json_is_400(api: Clients, method: str, path: str) -> None:
    for fault, raw in WRONG_JSON.items():
        answer = await api.admin.request(method, path, content=raw, headers=JSON)

        assert answer.status_code == 400, (fault, answer.text)
        assert answer.json()["error"]["code"] == "BAD_REQUEST"


async def test_every_problem_of_a_body_is_listed(api: Clients) -> None:
    body: dict[str, Any] = {
        "maxOffersPerDecision": 101,
        "retentionDays": "a year",
        "fairnessPolicy": {"thresholds": {"disparateImpactRatio": 2}, "nonsense": 1},
        "nonsense": True,
    }

    error = (await api.admin.put(SETTINGS, json=body)).json()["error"]

    assert {problem["path"] for problem in error["details"]} == {
        "$.maxOffersPerDecision",
        "$.retentionDays",
        "$.fairnessPolicy.thresholds.disparateImpactRatio",
        "$.fairnessPolicy.nonsense",
        "$.nonsense",
    }


@pytest.mark.parametrize("query", ["status=null", "status=NULL", "status=active&status=null", "limit=null"])
async def test_the_text_null_is_no_value_of_a_parameter(api: Clients, query: str) -> None:
    answer = await api.viewer.get(f"{OFFERS}?{query}")

    assert answer.status_code == 400
    assert [detail["path"] for detail in answer.json()["error"]["details"]] == [f"query.{query.partition('=')[0]}"]
    # An event may be called so.
    assert (await api.viewer.get("/api/v1/triggers?eventType=null")).status_code == 200


async def test_a_body_in_pieces_is_held_to_the_limit(api: Clients) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 100_000

    assert (await api.admin.post(KEYS, content=pieces(), headers=JSON)).status_code == 413


async def test_a_request_id_is_taken_over(api: Clients) -> None:
    for given in ("a", "Trace.42_x-y", "x" * 64):
        answer = await api.viewer.get("/api/health", headers={"X-Request-Id": given})
        assert answer.headers["x-request-id"] == given


async def test_another_request_id_is_replaced(api: Clients) -> None:
    for given in ("", "x" * 65, "a b", "a/b", "<script>", "a\u00e9"):
        answer = await api.viewer.get("/api/v1/nowhere", headers=[(b"X-Request-Id", given.encode("latin-1"))])

        assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", answer.headers["x-request-id"])
        assert answer.headers["x-request-id"] != given
        assert answer.json()["error"]["requestId"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(("path", "stored"), [(SETTINGS, "no-store"), ("/api/health", None)])
async def test_business_answers_are_not_stored(api: Clients, path: str, stored: str | None) -> None:
    answer = await api.admin.get(path)

    assert answer.headers.get("cache-control") == stored
    assert not {"server", "x-powered-by"} & set(answer.headers)


async def test_the_methods_of_a_path_are_named(api: Clients) -> None:
    assert (await api.admin.patch(KEYS)).headers["allow"] == "GET, POST"


async def test_head_is_answered_like_get(api: Clients) -> None:
    assert (await api.admin.head(KEYS)).status_code == 200


async def test_answers_are_json_in_utf_8(api: Clients) -> None:
    created = await api.admin.post(KEYS, json={"name": "Schlüssel 🔑"})

    assert created.headers["content-type"] == "application/json"
    assert msgspec.json.decode(created.content)["name"] == "Schlüssel 🔑"
