"""The tools against the API that they are made from, and their arguments against every text there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from kaireon_api.documentation import document_operations
from kaireon_api.routes import OPERATIONS
from kaireon_mcp.forms import Form, InvalidArguments
from kaireon_mcp.operations import FILE, Operation, derive_operations, stored_operations, written
from kaireon_mcp.rate_limit import RateLimiter
from kaireon_mcp.reference import reference
from kaireon_mcp.tools import KINDS, TOOLS, Tool, needed_operations
from kaireon_runtime.mcp_settings import KeyLimit
from tests.api.shop import Shop
from tests.mcp.conftest import StartMcp, connected, error_of, told, until_answered

ROOT = Path(__file__).parents[2]
DOCUMENT = msgspec.json.decode(document_operations(OPERATIONS).document)
# Lists of a kind under its older name, of what is no configuration, and of rows that are kept by other means.
OTHER_LISTS = {
    "arbitration-profiles",
    "volume-constraints",
    "api-keys",
    "jobs",
    "decision-traces",
    "decision-logs",
    "off-policy-evaluations",
}


def test_operations_are_those_of_the_api() -> None:
    # Not as text: whether a bound is told as 1 or 1.0 depends on what was imported first.
    derived = derive_operations(DOCUMENT, needed_operations())
    assert msgspec.json.decode(written(derived), type=dict[str, Operation]) == derived
    assert stored_operations() == derived, (
        "with the API running: curl -s $URL/api/openapi.json | python -m kaireon_mcp.operations "
        f"> services/mcp/kaireon_mcp/{FILE}"
    )


def test_reference_is_that_of_the_tools() -> None:
    page = (ROOT / "docs/reference/mcp.md").read_text(encoding="utf-8")
    assert reference() in page, "put the output of `python -m kaireon_mcp.reference` into docs/reference/mcp.md"


def test_every_kind_that_the_api_lists_and_shows_is_known() -> None:
    shown = {
        path.removeprefix("/api/v1/")
        for path, methods in DOCUMENT["paths"].items()
        if "get" in methods and "get" in DOCUMENT["paths"].get(f"{path}/{{id}}", {})
    }
    assert shown - OTHER_LISTS == set(KINDS)


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_a_tool_has_sound_forms_and_every_argument_once(tool: Tool) -> None:
    form = Form(tool, stored_operations())
    for schema in (form.input_schema, form.output_schema):
        Draft202012Validator.check_schema(schema)
        assert schema["type"] == "object"
    for operation in form._by_kind.values():
        in_path = {tool.names.get(name, name) for name in operation.in_path}
        body = {} if tool.content is not None or operation.body is None else operation.body
        in_body = set[str](body.get("properties", {}))
        assert not in_path & in_body
        assert not (in_path | in_body) & set(operation.query)
        assert "confirm" not in in_body
        assert (operation.method == "GET") <= (not tool.is_write)
        # A write is asked for by somebody who may write, wherever it is asked.
        assert not tool.is_write or operation.role in {"editor", "admin"}


@given(st.text(min_size=1, max_size=255), st.sampled_from(KINDS))
def test_a_name_stays_one_segment_of_the_path(name: str, kind: str) -> None:
    form = Form(next(tool for tool in TOOLS if tool.name == "get_entity"), stored_operations())
    try:
        path = form.request({"kind": kind, "id": name}).path
    except InvalidArguments:
        assert name in {".", ".."}
        return
    *_, last = path.split("/")
    assert path == f"/api/v1/{kind}/{last}"
    assert path.isascii()
    assert not set(path) & set("?#\\ ")
    assert unquote(last) == name


def test_many_keys_are_counted_apart_and_those_that_came_last_are_remembered() -> None:
    limiter = RateLimiter(KeyLimit(1, 600))
    assert [limiter.take("a"), limiter.take("b")] == [0, 0]
    assert 0 < limiter.take("a") <= 600
    for number in range(10_000):
        limiter.take(str(number))
    assert len(limiter._taken) == 10_000
    assert limiter.take("a") == 0


LONG_AGO = {"from": "2020-01-01T00:00:00Z", "to": "2020-01-02T00:00:00Z"}
# Every tool of the tables that `test_http` does not call, and how it ends in the shop: None, well.
CALLS: list[tuple[str, dict[str, Any], str | None]] = [
    ("simulate", {"decisionFlowKey": "base", "customers": [{"customerId": "c1"}], "channel": "web"}, None),
    ("narrate_decision", {"decisionId": "<decision>", "mode": "agent"}, None),
    ("customer_eligibility", {"customerId": "c1"}, None),
    ("customer_history", {"customerId": "c1"}, None),
    ("customer_suppressions", {"customerId": "c1"}, None),
    ("customer_engagement", {"customerId": "c1"}, None),
    ("list_flow_versions", {"flowId": "base"}, None),
    ("model_card", {"modelId": "taste"}, None),
    ("resolve_lifecycle", {"family": "tastes"}, None),
    ("experiment_results", {"experimentId": "nothing"}, "NOT_FOUND"),
    ("evaluate_model", {"modelId": "taste", "logId": "nothing"}, "BAD_REQUEST"),
    ("evaluate_flow", {"flowId": "base", "traces": LONG_AGO}, "BAD_REQUEST"),
    ("list_evaluations", {}, None),
    ("decision_health", {"days": 7}, None),
    ("count_interactions", {"groupBy": "action"}, None),
    ("get_job", {"jobId": "nothing"}, "NOT_FOUND"),
    ("list_audit_log", {"limit": 5}, None),
    ("promote_model", {"modelId": "taste", "toStatus": "shadow", "family": "tastes", "confirm": True}, None),
    ("apply_lifecycle", {"flowId": "base", "family": "tastes", "confirm": True}, "no_score_node"),
    ("train_model", {"modelId": "taste", "confirm": True}, "unknown_schema"),
]


async def test_each_tool_answers_in_its_form(start_mcp: StartMcp, api_url: str, shop: Shop) -> None:
    """The client holds each answer against the form that the tool was listed with."""
    await shop.flow("base")
    await shop.create("algorithm-models", key="taste", name="Taste", modelType="scorecard", config={})
    url = start_mcp(api_url, MCP_ALLOW_WRITES="true")
    await until_answered(f"{url}/health")
    decision = (await shop.recommend(channel="web"))["recommendationId"]
    ends: dict[str, str | None] = {}
    async with connected(url, shop.api.tenant.api_keys["admin"]) as client:
        for kind in KINDS:
            told(await client.call_tool("list_entities", {"kind": kind, "limit": 1}))
        for name, arguments, _end in CALLS:
            known = {key: decision if value == "<decision>" else value for key, value in arguments.items()}
            result = await client.call_tool(name, known)
            ends[name] = error_of(result)["code"] if result.is_error else None
    assert ends == {name: end for name, _arguments, end in CALLS}
