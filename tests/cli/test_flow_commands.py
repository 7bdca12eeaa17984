"""`kaireon flow explain` from a file alone, and `flow simulate` against a real API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from kaireon_cli import connection
from kaireon_cli.clone import Clone
from kaireon_testkit.patience import PATIENCE_SECONDS
from kaireon_testkit.platform.tenant import Tenant
from tests.api.shop import flow_config, stock
from tests.api.test_process import environment, started, until_ready
from tests.cli.test_commands import assert_refused, kaireon

CAREFUL = "applies all active qualification rules: hard ones drop candidates, soft ones lower their score"
YAML = """
version: 2
nodes:
- {id: start, type: inventory}
- id: split
  type: conditional
  config:
    condition: {conditions: [{field: age, operator: lt, value: 18}]}
    then: [{id: careful, type: qualify}]
- {id: score, type: score}
- {id: end, type: response}
"""


def test_a_flow_is_told_in_run_order(tmp_path: Path) -> None:
    file = tmp_path / "flow.yaml"
    file.write_text(YAML)

    told = kaireon("flow", "explain", str(file))
    as_json = json.loads(kaireon("flow", "explain", str(file), "--json").stdout)

    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.splitlines() == [
        "start (inventory, phase 1): starts with all offers that are active",
        "split (conditional, phase 1): sends each candidate down one of two branches: then where age lt 18, else",
        f"  then careful (qualify, phase 1): {CAREFUL}",
        "score (score, phase 2): scores by priority/100 x weight/100 x fit",
        "end (response, phase 3): answers in the standard format",
        "note: no match_creatives node: each offer is one candidate, without creative and channel",
        "note: no rank node: ranked by score, then priority, then key",
    ]
    assert [step["id"] for step in as_json["steps"]] == ["start", "split", "careful", "score", "end"]
    assert as_json["steps"][2]["path"] == "$.nodes[1].config.then[0]"
    assert len(as_json["notes"]) == 2


@pytest.fixture
async def api(database_url: str, redis_url: str, tenant: Tenant, tmp_path: Path) -> AsyncIterator[Mapping[str, str]]:
    """A running API with the shop's catalogue; yields what names it for the command."""
    variables = environment(database_url, redis_url)
    url = f"http://127.0.0.1:{variables['API_PORT']}"
    with (tmp_path / "api.log").open("wb") as log, started(variables, log):
        await until_ready(url)
        headers = {"Authorization": f"Bearer {tenant.api_keys['admin']}"}
        async with httpx.AsyncClient(base_url=url, headers=headers) as client:
            await stock(client)
            await until_stocked(client)
        yield {"KAIREON_API_URL": url, "KAIREON_API_KEY": tenant.api_keys["editor"]}


async def until_stocked(client: httpx.AsyncClient) -> None:
    """Wait until the process decides from the catalogue as it is now; it looks for changes twice a second."""
    body = {"customers": [{"customerId": "c1"}], "flow": flow_config({"type": "score"})}
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            answer = await client.post("/api/v1/simulate", json=body)
            if answer.json()["reachableCustomers"]:
                return
            await asyncio.sleep(0.05)


def write(file: Path, content: Any) -> str:
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(file)


async def test_a_flow_in_a_file_is_simulated(api: Mapping[str, str], tmp_path: Path) -> None:
    flow = write(tmp_path / "flow.yaml", YAML)
    listed = write(tmp_path / "customers.json", ["c1", {"customerId": "c2", "attributes": {"age": 12}}])
    lines = write(tmp_path / "customers.ndjson", '"c1"\n\n{"customerId": "c2"}\n')
    matched = write(tmp_path / "matched.json", {"draftConfig": flow_config({"type": "match_creatives"})})

    told = kaireon("flow", "simulate", flow, "--customers", listed, "--limit", "2", environment=api)
    routed = ("--channel", "sms", "--placement", "hero", "--json")
    nobody = kaireon("flow", "simulate", matched, "--customers", lines, *routed, environment=api)

    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.splitlines() == [
        "2 of 2 customers get 4 offers, with a mean score of 0.75",
        "  gold: 2",
        "  silver: 2",
        "c1: gold (0.9), silver (0.6) [3 candidates, 3 after qualification, 3 after contact policies]",
        "c2: gold (0.9), silver (0.6) [3 candidates, 3 after qualification, 3 after contact policies]",
    ]
    assert nobody.returncode == 0, nobody.stderr
    assert [one["customerId"] for one in json.loads(nobody.stdout)["results"]] == ["c1", "c2"]
    assert json.loads(nobody.stdout)["reachableCustomers"] == 0


async def test_what_the_api_refuses_is_one_line(api: Mapping[str, str], tmp_path: Path) -> None:
    score = {"type": "score", "config": {"method": "propensity", "modelKey": "none"}}
    by_model, plain = (
        write(tmp_path / f"{name}.json", flow_config(node))
        for name, node in (("by-model", score), ("plain", {"type": "score"}))
    )
    customers = write(tmp_path / "customers.json", ["c1"])
    unknown = write(tmp_path / "unknown.json", [{"customerId": "c1", "age": 12}])
    stranger = {**api, "KAIREON_API_KEY": "krn_stranger"}
    nowhere = {**api, "KAIREON_API_URL": "http://127.0.0.1:1"}

    for flow, file, environment_, words in (
        (by_model, customers, api, ("by-model.json", "$.flow.nodes[1].config.modelKey")),
        (plain, unknown, api, ("$.customers[0]", "age")),
        (plain, customers, stranger, ("401",)),
        (plain, customers, nowhere, ("does not answer",)),
    ):
        assert_refused(kaireon("flow", "simulate", flow, "--customers", file, environment=environment_), *words)


BAD_FLOW = {"version": 2, "nodes": [{"id": "a", "type": "magic"}]}


@pytest.mark.parametrize(
    ("flow", "customers", "words"),
    [
        (BAD_FLOW, ["c1"], ("flow.json", "$.nodes[0].type")),
        ({"version": 2, "nodes": []}, ["c1"], ("flow.json", "$.nodes")),
        (flow_config(), {"ids": []}, ("customers.json", "must be a list")),
        (flow_config(), ["c1", 5], ("customers.json: $[1]", "customerId")),
        (flow_config(), "[", ("customers.json",)),
    ],
)
def test_wrong_files_are_one_line(tmp_path: Path, flow: Any, customers: Any, words: tuple[str, ...]) -> None:
    flow_file, customer_file = write(tmp_path / "flow.json", flow), write(tmp_path / "customers.json", customers)
    assert_refused(kaireon("flow", "simulate", flow_file, "--customers", customer_file), *words)


def test_a_wrong_line_is_named(tmp_path: Path) -> None:
    flow, lines = write(tmp_path / "flow.json", flow_config()), write(tmp_path / "c.ndjson", '"c1"\nnobody\n')
    assert_refused(kaireon("flow", "simulate", flow, "--customers", lines), "c.ndjson: line 2")


def test_without_an_api_there_is_nothing_to_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "find_clone", lambda: Clone(root=tmp_path))
    flow, customers = write(tmp_path / "flow.json", flow_config()), write(tmp_path / "c.json", ["c1"])
    named = {"KAIREON_API_URL": "http://127.0.0.1:1"}
    for environment_ in ({}, named):
        completed = kaireon("flow", "simulate", flow, "--customers", customers, environment=environment_)
        assert_refused(completed, "KAIREON_API_KEY")
