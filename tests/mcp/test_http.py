"""The tools over Streamable HTTP: a server process beside the API."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from mcp import MCPError
from mcp.types import TextContent

from kaireon_mcp.tools import TOOLS
from tests.api.shop import Shop
from tests.mcp.conftest import StartMcp, connected, error_of, told, until_answered

READS = {tool.name for tool in TOOLS if not tool.is_write}
WRITES = {tool.name for tool in TOOLS if tool.is_write}
HOST = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


@pytest.fixture
async def url(start_mcp: StartMcp, api_url: str) -> str:
    """A server without writes."""
    url = start_mcp(api_url)
    await until_answered(f"{url}/health")
    return url


@pytest.fixture
async def writing_url(start_mcp: StartMcp, api_url: str) -> str:
    """A server with writes."""
    url = start_mcp(api_url, MCP_ALLOW_WRITES="true")
    await until_answered(f"{url}/health")
    return url


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_decision_is_made_explained_replayed_and_told(url: str, shop: Shop, mode: str) -> None:
    await shop.flow("base")
    async with connected(url, shop.api.tenant.api_keys["viewer"], mode) as client:
        assert {tool.name for tool in (await client.list_tools()).tools} == READS

        made = told(await client.call_tool("recommend", {"customerId": "c1", "channel": "web", "limit": 2}))
        decision = made["result"]["recommendationId"]
        explained = told(await client.call_tool("explain_decision", {"decisionId": decision}))
        replayed = told(await client.call_tool("replay_decision", {"decisionId": decision}))
        why = told(await client.call_tool("why_not", {"customerId": "c1", "offerId": "gold"}))
        listed = told(await client.call_tool("list_decisions", {"customerId": "c1", "limit": 1}))

    assert made["result"]["count"] == 2
    assert made["requestId"].startswith("mcp-")
    assert explained["result"]["recommendationId"] == decision
    assert replayed["result"]["identical"] is True
    assert why["result"]["offerId"]
    assert [trace["recommendationId"] for trace in listed["result"]["data"]] == [decision]


async def test_what_is_configured_is_listed_and_shown(url: str, shop: Shop) -> None:
    async with connected(url, shop.api.tenant.api_keys["viewer"]) as client:
        page = told(await client.call_tool("list_entities", {"kind": "offers", "limit": 1}))["result"]
        rest = await client.call_tool(
            "list_entities", {"kind": "creatives", "filters": {"offerId": "gold"}, "limit": 10}
        )
        offer = told(await client.call_tool("get_entity", {"kind": "offers", "id": "gold"}))["result"]
        found = told(await client.call_tool("search", {"q": "gold"}))["result"]
        dashboard = told(await client.call_tool("dashboard", {"type": "summary", "days": 7}))["result"]
        strange = error_of(await client.call_tool("list_entities", {"kind": "offers", "filters": {"colour": "red"}}))

    assert len(page["data"]) == 1
    assert page["pagination"]["nextCursor"]
    assert {creative["key"] for creative in told(rest)["result"]["data"]} == {"gold-web", "gold-mail"}
    assert (offer["key"], offer["status"]) == ("gold", "active")
    assert found["data"]
    assert dashboard["type"] == "summary"
    assert strange["message"].startswith("$.filters: colour: ")
    assert "categoryId" in strange["message"]


async def test_a_write_is_told_before_done_once_confirmed_and_audited(writing_url: str, shop: Shop) -> None:
    key = shop.api.tenant.api_keys["editor"]
    change = {"offerId": "gold", "priority": 7}
    async with connected(writing_url, key) as client:
        assert {tool.name for tool in (await client.list_tools()).tools} == READS | WRITES

        preview = told(await client.call_tool("update_offer", change))
        before = told(await client.call_tool("get_entity", {"kind": "offers", "id": "gold"}))
        done = told(await client.call_tool("update_offer", {**change, "confirm": True}))

    assert preview["done"] is False
    assert preview["preview"] == {
        "request": {"method": "PUT", "path": "/api/v1/offers/gold", "body": {"priority": 7}},
        "requiredRole": "editor",
        "target": {name: before["result"][name] for name in ("id", "key", "name", "status", "rowVersion")}
        if "rowVersion" in before["result"]
        else {name: before["result"][name] for name in ("id", "key", "name", "status")},
        "changes": {"priority": {"from": before["result"]["priority"], "to": 7}},
    }
    assert before["result"]["priority"] != 7
    assert done["done"] is True
    assert done["result"]["priority"] == 7
    logged = await shop.api.admin.get("/api/v1/audit-logs", params={"entityType": "offer", "limit": 1})
    (entry,) = logged.json()["data"]
    assert entry["entityId"] == before["result"]["id"]
    assert entry["requestId"] == done["requestId"]
    assert entry["requestId"].startswith("mcp-")


WRITTEN: list[tuple[str, dict[str, Any], str]] = [
    ("create_offer", {"name": "New"}, "POST /api/v1/offers"),
    ("create_entity", {"kind": "categories", "document": {"name": "A"}}, "POST /api/v1/categories"),
    ("update_entity", {"kind": "offers", "id": "gold", "changes": {"weight": 3}}, "PUT /api/v1/offers/gold"),
    ("delete_entity", {"kind": "offers", "id": "gold"}, "DELETE /api/v1/offers/gold"),
    ("publish_flow", {"flowId": "base"}, "POST /api/v1/decision-flows/base/publish"),
    ("record_outcome", {"customerId": "c1", "outcome": "click"}, "POST /api/v1/respond"),
]


async def test_nothing_is_written_without_a_confirmation_nor_with_a_viewers_key(writing_url: str, shop: Shop) -> None:
    await shop.flow("base")
    before = await shop.counts()
    offers = await shop.get("offers")
    async with connected(writing_url, shop.api.tenant.api_keys["viewer"]) as client:
        for name, arguments, request in WRITTEN:
            preview = told(await client.call_tool(name, arguments))
            shown = preview["preview"]["request"]
            assert (preview["done"], f"{shown['method']} {shown['path']}") == (False, request)

            refused = error_of(await client.call_tool(name, {**arguments, "confirm": True}))
            assert (refused["code"], refused["status"]) == ("FORBIDDEN", 403), name
            assert "editor" in refused["message"]
            assert refused["requestId"].startswith("mcp-")
    assert await shop.counts() == before
    assert await shop.get("offers") == offers


async def test_every_write_does_what_it_says(writing_url: str, shop: Shop) -> None:
    await shop.flow("base")
    async with connected(writing_url, shop.api.tenant.api_keys["admin"]) as client:
        for name, arguments, _request in WRITTEN:
            given = {**arguments, "confirm": True}
            if name == "record_outcome":
                given |= {"creativeId": "silver-web", "outcome": "click", "idempotencyKey": "one"}
            assert told(await client.call_tool(name, given))["done"] is True, name
        gone = error_of(await client.call_tool("get_entity", {"kind": "offers", "id": "gold"}))
        missing = error_of(await client.call_tool("update_offer", {"offerId": "nothing", "weight": 1}))
    assert (gone["code"], gone["status"]) == ("NOT_FOUND", 404)
    assert missing["code"] == "NOT_FOUND"


MISTAKES: list[tuple[str, dict[str, Any], str]] = [
    ("recommend", {}, "'customerId' is a required property"),
    ("recommend", {"customerId": "c1", "limit": "2"}, "$.limit: '2' is not of type 'integer'"),
    ("recommend", {"customerId": "c1", "colour": "red"}, "'colour' was unexpected"),
    ("get_entity", {"kind": "secrets", "id": "x"}, "$.kind: 'secrets' is not one of"),
    ("get_entity", {"kind": "offers", "id": ".."}, "names nothing"),
    ("get_entity", {"kind": "offers", "id": ""}, "$.id: "),
    ("recommend", {"customerId": "c1", "context": {"a": "x" * 300_000}}, "a call may have 262144"),
]


async def test_wrong_arguments_are_named(url: str, shop: Shop) -> None:
    async with connected(url, shop.api.tenant.api_keys["viewer"]) as client:
        for name, arguments, message in MISTAKES:
            error = error_of(await client.call_tool(name, arguments))
            assert error["code"] == "INVALID_ARGUMENTS"
            assert message in error["message"]
            assert len(error["message"]) < 2000


async def test_an_id_is_one_segment_whatever_is_in_it(url: str, shop: Shop) -> None:
    async with connected(url, shop.api.tenant.api_keys["viewer"]) as client:
        for id in ("a/b", "a?x=1", "../offers", "%2e%2e", "ü", "a b"):
            error = error_of(await client.call_tool("get_entity", {"kind": "offers", "id": id}))
            assert (error["code"], error["status"]) == ("NOT_FOUND", 404), id
            assert "no such path" not in error["message"], id


async def test_an_unknown_tool_and_one_that_is_not_offered_are_the_same(url: str, shop: Shop) -> None:
    async with connected(url, shop.api.tenant.api_keys["admin"]) as client:
        for name in ("nothing", "update_offer"):
            with pytest.raises(MCPError, match=f"Unknown tool: {name}"):
                await client.call_tool(name, {"offerId": "gold", "confirm": True})
    async with httpx.AsyncClient(base_url=url) as http:
        text = (await http.get("/metrics")).text
    assert 'kaireon_mcp_calls_total{result="invalid",tool="unknown"} 2.0' in text


KEYS: list[tuple[dict[str, str], int, str]] = [
    ({}, 401, "UNAUTHORIZED"),
    ({"Authorization": "Basic a3JuXzE="}, 401, "UNAUTHORIZED"),
    ({"Authorization": "Bearer something"}, 401, "UNAUTHORIZED"),
    ({"Authorization": "Bearer krn_unknown_0123456789"}, 401, "UNAUTHORIZED"),
    ({"X-Tenant-Id": "globex"}, 403, "FORBIDDEN"),
]


async def test_without_a_key_that_holds_nobody_comes_in(url: str, shop: Shop) -> None:
    viewer = {"Authorization": f"Bearer {shop.api.tenant.api_keys['viewer']}"}
    async with httpx.AsyncClient(base_url=url, headers=HOST) as http:
        for headers, status, code in KEYS:
            given = headers | (viewer if status == 403 else {})
            answer = await http.post("/mcp", json=PING, headers=given)
            assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
            assert (answer.headers.get("www-authenticate") == "Bearer") == (status == 401)


STRANGERS: list[tuple[dict[str, str], int]] = [
    ({}, 200),
    ({"Host": "evil.example"}, 421),
    ({"Host": "127.0.0.1.evil.example:80"}, 421),
    ({"Host": "mcp.internal:8080"}, 200),
    ({"Origin": "http://evil.example"}, 403),
    ({"Origin": "http://localhost:1234"}, 403),
    ({"Origin": "https://agents.example"}, 200),
]


async def test_other_hosts_and_origins_are_refused(start_mcp: StartMcp, api_url: str, shop: Shop) -> None:
    url = start_mcp(api_url, MCP_ALLOWED_HOSTS="mcp.internal:*, other", MCP_ALLOWED_ORIGINS="https://agents.example")
    await until_answered(f"{url}/health")
    given = HOST | {"Authorization": f"Bearer {shop.api.tenant.api_keys['viewer']}"}
    async with httpx.AsyncClient(base_url=url, headers=given) as http:
        for headers, status in STRANGERS:
            assert (await http.post("/mcp", json=PING, headers=headers)).status_code == status, headers
        assert (await http.get("/mcp")).status_code == 405
        assert (await http.delete("/mcp")).status_code == 405
        large = await http.post("/mcp", json={**PING, "params": {"x": "y" * 400_000}})
        assert large.status_code == 413


async def test_a_key_that_asks_too_often_is_told_when_to_come_back(
    start_mcp: StartMcp, api_url: str, shop: Shop
) -> None:
    url = start_mcp(api_url, MCP_RATE_LIMIT="3/600s")
    await until_answered(f"{url}/health")
    keys = shop.api.tenant.api_keys
    async with httpx.AsyncClient(base_url=url, headers=HOST) as http:
        answers = [
            await http.post("/mcp", json=PING, headers={"Authorization": f"Bearer {keys['viewer']}"}) for _ in range(5)
        ]
        other = await http.post("/mcp", json=PING, headers={"Authorization": f"Bearer {keys['editor']}"})
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert 0 < int(answers[3].headers["retry-after"]) <= 600
    assert other.status_code == 200


async def test_an_answer_that_is_too_large_is_told_as_such(start_mcp: StartMcp, api_url: str, shop: Shop) -> None:
    url = start_mcp(api_url, MCP_ANSWER_BYTES="1024")
    await until_answered(f"{url}/health")
    async with connected(url, shop.api.tenant.api_keys["viewer"]) as client:
        error = error_of(await client.call_tool("list_entities", {"kind": "creatives"}))
    assert error["code"] == "ANSWER_TOO_LARGE"
    assert "more than 1024 bytes" in error["message"]


async def test_results_are_text_as_well_and_the_forms_say_what_they_do(writing_url: str, shop: Shop) -> None:
    async with connected(writing_url, shop.api.tenant.api_keys["viewer"]) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        result = await client.call_tool("get_entity", {"kind": "offers", "id": "gold"})
    (content,) = result.content
    assert isinstance(content, TextContent)
    assert '"key":"gold"' in content.text
    for tool in TOOLS:
        hints = tools[tool.name].annotations
        assert hints is not None
        assert tools[tool.name].output_schema is not None
        assert ("confirm" in tools[tool.name].input_schema["properties"]) is tool.is_write
        assert not (tool.is_write and hints.read_only_hint)
    changing = tools["update_offer"].annotations
    assert changing is not None
    assert (changing.read_only_hint, changing.destructive_hint) == (False, True)
