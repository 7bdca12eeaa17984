"""Decision flows: drafts, publishing, versions, and which flow decides."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from kaireon_testkit.patience import PATIENCE_SECONDS
from tests.api.shop import flow_config

if TYPE_CHECKING:
    import httpx

    from tests.api.shop import Shop

TOP_ONE = {"type": "rank", "config": {"method": "topN", "maxCandidates": 1}}
MATCH = {"type": "match_creatives"}


async def publish(shop: Shop, key: str, **body: Any) -> httpx.Response:
    return await shop.api.editor.post(f"/api/v1/decision-flows/{key}/publish", json=body)


async def test_a_draft_decides_nothing_until_it_is_published(shop: Shop) -> None:
    await shop.flow("mine", MATCH, TOP_ONE, publish=False)

    before = await shop.recommend(channel="email")
    unpublished = await shop.api.viewer.post("/api/v1/recommend", json={"customerId": "c1", "decisionFlowKey": "mine"})
    published = await publish(shop, "mine", notes="first")
    after = await shop.recommend(channel="email")

    assert before["meta"]["decisionFlowKey"] == "base-nba-flow"
    assert unpublished.status_code == 404
    assert (published.status_code, published.json()["version"]) == (200, 1)
    assert (after["meta"]["decisionFlowKey"], after["count"]) == ("mine", 1)


async def test_a_change_of_the_draft_waits_for_its_publication(shop: Shop) -> None:
    flow = await shop.flow("mine", MATCH, TOP_ONE)
    wider = flow_config(MATCH, {"type": "rank", "config": {"method": "topN", "maxCandidates": 2}})
    changed = await shop.api.editor.put("/api/v1/decision-flows/mine", json={"draftConfig": wider})
    assert changed.status_code == 200, changed.text

    still = await shop.recommend(channel="email", debug=True)
    assert (await publish(shop, flow["id"], notes="wider")).json() == {"flowId": flow["id"], "version": 2}
    now = await shop.recommend(channel="email", debug=True)

    assert (still["count"], still["meta"]["flowVersion"]) == (1, 1)
    assert (now["count"], now["meta"]["flowVersion"]) == (2, 2)


async def test_publishing_holds_to_the_row_version_that_was_read(shop: Shop) -> None:
    flow = await shop.flow("mine", MATCH, publish=False)
    await shop.api.editor.put("/api/v1/decision-flows/mine", json={"description": "changed"})

    stale = await publish(shop, "mine", rowVersion=flow["rowVersion"])
    fresh = await publish(shop, "mine", rowVersion=flow["rowVersion"] + 1)

    assert (stale.status_code, stale.json()["error"]["code"]) == (409, "CONFLICT")
    assert fresh.status_code == 200
    assert (await shop.get("decision-flows/mine"))["rowVersion"] == flow["rowVersion"] + 2


async def test_both_forms_of_publishing_and_of_the_versions_agree(shop: Shop) -> None:
    flow = await shop.flow("mine", MATCH, publish=False)
    for number, name in enumerate(({"key": "mine"}, {"id": flow["id"]}), 1):
        answer = await shop.api.editor.post("/api/v1/decision-flows/publish", json={**name, "notes": f"n{number}"})
        assert answer.json() == {"flowId": flow["id"], "version": number}, answer.text

    versions = await shop.get("decision-flows/mine/versions")
    one = await shop.get("decision-flows/mine/versions", version=1)

    assert versions == await shop.get("decision-flows/versions", id="mine")
    assert [(row["version"], row["notes"]) for row in versions["versions"]] == [(2, "n2"), (1, "n1")]
    assert versions["versions"][0]["summary"] == {"nodeCount": 3, "scoringMethod": None}
    assert one["versions"][0]["configSnapshot"] == flow["draftConfig"]
    listed = (await shop.get("decision-flows/mine"))["publishedVersions"]
    assert [(row["version"], row["notes"]) for row in listed] == [(1, "n1"), (2, "n2")]


# A flow that may be drafted but not published, and where it is wrong.
UNPUBLISHABLE: dict[str, tuple[dict[str, Any], str]] = {
    "no inventory": ({"version": 2, "nodes": []}, "$.draftConfig.nodes"),
    "two ranks": (flow_config(TOP_ONE, TOP_ONE), "$.draftConfig.nodes[2]"),
    "empty filter": (flow_config({"type": "filter"}), "$.draftConfig.nodes[1].config.conditions"),
    "no rules chosen": (
        flow_config({"type": "qualify", "config": {"mode": "selected"}}),
        "$.draftConfig.nodes[1].config.ruleIds",
    ),
    "unknown rule": (
        flow_config({"type": "qualify", "config": {"mode": "selected", "ruleIds": ["x"]}}),
        "$.draftConfig.nodes[1].config.ruleIds[0]",
    ),
    "unknown policy": (
        flow_config({"type": "contact_policy", "config": {"mode": "selected", "policyIds": ["x"]}}),
        "$.draftConfig.nodes[1].config.policyIds[0]",
    ),
    "unknown schema": (
        flow_config({"type": "enrich", "config": {"schemaId": "x"}}),
        "$.draftConfig.nodes[1].config.schemaId",
    ),
    "unknown model": (
        flow_config({"type": "score", "config": {"method": "propensity", "modelKey": "x"}}),
        "$.draftConfig.nodes[1].config.modelKey",
    ),
}
# A flow that is refused at once.
UNDRAFTABLE: dict[str, tuple[dict[str, Any], str]] = {
    "unknown node": (flow_config({"type": "magic"}), "$.draftConfig.nodes[1].type"),
    "unknown field": (flow_config({"type": "rank", "config": {"best": 1}}), "$.draftConfig.nodes[1].config.best"),
    "wrong phase": (flow_config({"type": "score", "phase": 1}), "$.draftConfig.nodes[1].phase"),
    "version": ({"version": 1, "nodes": []}, "$.draftConfig.version"),
}


async def test_a_bad_flow_is_refused_with_its_path_and_the_live_one_decides_on(shop: Shop) -> None:
    await shop.flow("live", MATCH, TOP_ONE)
    for number, (name, (config, path)) in enumerate(UNPUBLISHABLE.items()):
        await shop.create("decision-flows", key=f"f{number}", name=name, draftConfig=config)
        refused = await publish(shop, f"f{number}")
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "BAD_REQUEST"), (name, refused.text)
        assert path in [problem["path"] for problem in refused.json()["error"]["details"]], (name, refused.text)
    for name, (config, path) in UNDRAFTABLE.items():
        refused = await shop.api.editor.post("/api/v1/decision-flows", json={"name": name, "draftConfig": config})
        assert refused.status_code == 400, name
        assert path in [problem["path"] for problem in refused.json()["error"]["details"]], (name, refused.text)

    assert (await shop.recommend(channel="email"))["meta"]["decisionFlowKey"] == "live"


async def test_what_cannot_be_found_is_404(shop: Shop, other_shop: Shop) -> None:
    theirs = await other_shop.flow("theirs", MATCH)
    await shop.flow("mine", MATCH)
    post, get = shop.api.editor.post, shop.api.viewer.get

    for name in ("nobody", "theirs", theirs["id"]):
        assert (await publish(shop, name)).status_code == 404
        assert (await get(f"/api/v1/decision-flows/{name}/versions")).status_code == 404
        assert (await get("/api/v1/decision-flows/versions", params={"id": name})).status_code == 404
    by_key = await post("/api/v1/decision-flows/publish", json={"key": "theirs"})
    assert (by_key.status_code, by_key.json()["error"]["details"][0]["path"]) == (404, "$.key")
    assert (await get("/api/v1/decision-flows/mine/versions", params={"version": 7})).status_code == 404
    assert (await post("/api/v1/decision-flows/publish", json={})).status_code == 400
    assert (await get("/api/v1/decision-flows/versions")).status_code == 400


async def test_a_published_flow_can_be_changed_and_archived_but_not_deleted(shop: Shop) -> None:
    await shop.flow("mine", MATCH, TOP_ONE)
    await shop.flow("draft", MATCH, publish=False)

    deleted = await shop.api.editor.delete("/api/v1/decision-flows/mine")
    renamed = await shop.api.editor.put("/api/v1/decision-flows/mine", json={"name": "Renamed"})
    draft = await shop.api.editor.delete("/api/v1/decision-flows/draft")

    assert (deleted.status_code, deleted.json()["error"]["code"]) == (409, "CONFLICT")
    assert "archived" in deleted.json()["error"]["message"]
    assert (renamed.status_code, renamed.json()["protected"]) == (200, True)
    assert draft.status_code == 204
    assert (await shop.recommend())["meta"]["decisionFlowKey"] == "mine"


@pytest.mark.parametrize("status", ["archived", "paused", "draft"])
async def test_a_flow_that_is_not_active_does_not_decide(shop: Shop, status: str) -> None:
    await shop.flow("older", MATCH)
    await shop.flow("mine", MATCH, TOP_ONE)
    assert (await shop.recommend())["meta"]["decisionFlowKey"] == "mine"

    await shop.api.editor.put("/api/v1/decision-flows/mine", json={"status": status})

    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await shop.recommend())["meta"]["decisionFlowKey"] != "older":
            await asyncio.sleep(0.02)
    named = await shop.api.viewer.post("/api/v1/recommend", json={"customerId": "c1", "decisionFlowKey": "mine"})
    assert named.status_code == 404


async def test_without_an_active_flow_a_decision_says_what_to_do(shop: Shop) -> None:
    assert (await shop.recommend())["meta"]["decisionFlowKey"] == "base-nba-flow"
    await shop.api.editor.put("/api/v1/decision-flows/base-nba-flow", json={"status": "archived"})

    async with asyncio.timeout(PATIENCE_SECONDS):
        while (answer := await shop.api.viewer.post("/api/v1/recommend", json={"customerId": "c1"})).status_code == 200:
            await asyncio.sleep(0.02)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")
    assert "active" in answer.json()["error"]["message"]


async def defaults(shop: Shop) -> list[str]:
    return [flow["key"] for flow in (await shop.get("decision-flows"))["data"] if flow["isDefault"]]


async def test_one_flow_is_the_default(shop: Shop) -> None:
    await shop.flow("first", MATCH, publish=False)
    await shop.flow("second", MATCH, publish=False)
    assert await defaults(shop) == ["first"]

    await shop.create("decision-flows", key="third", name="third", isDefault=True)
    assert await defaults(shop) == ["third"]

    await shop.api.editor.put("/api/v1/decision-flows/second", json={"isDefault": True})
    assert await defaults(shop) == ["second"]
    await publish(shop, "second")
    assert await defaults(shop) == ["second"]


async def test_the_base_flow_is_created_once(shop: Shop) -> None:
    first = await shop.api.editor.post("/api/v1/decision-flows/ensure-base")
    again = await shop.api.editor.post("/api/v1/decision-flows/ensure-base")

    assert (first.status_code, first.json()["created"]) == (201, True)
    assert (again.status_code, again.json()) == (200, {**first.json(), "created": False})
    flow = await shop.get("decision-flows/base-nba-flow")
    assert [node["type"] for node in flow["draftConfig"]["nodes"]] == [
        "inventory",
        "match_creatives",
        "enrich",
        "qualify",
        "contact_policy",
        "extension_point",
        "score",
        "extension_point",
        "rank",
        "extension_point",
        "response",
    ]
    assert (flow["name"], flow["status"], flow["isDefault"]) == ("Base NBA Flow", "active", True)


async def test_a_flow_reads_the_customers_row_with_the_types_of_its_columns(shop: Shop) -> None:
    fields = [
        {"name": "customer_id", "dataType": "varchar", "isPrimaryKey": True},
        {"name": "age", "dataType": "integer"},
        {"name": "spend", "dataType": "numeric"},
        {"name": "is_member", "dataType": "boolean"},
        {"name": "joined", "dataType": "date"},
        {"name": "tier", "dataType": "varchar"},
    ]
    await shop.create("schemas", name="customers", key="customers", fields=fields)
    row = {"customer_id": "known", "age": 40, "spend": 12.5, "is_member": True, "joined": "2026-01-31", "tier": "gold"}
    stored = await shop.api.editor.post("/api/v1/schemas/customers/data", json={"rows": [row]})
    assert stored.status_code == 201, stored.text
    await shop.flow("by-row", {"type": "enrich", "config": {"schemaId": "customers"}}, MATCH, {"type": "qualify"})
    conditions = {
        "age": ("gte", 40),
        "spend": ("lt", 12.6),
        "is_member": ("eq", True),
        "joined": ("eq", "2026-01-31"),
        "tier": ("in", ["gold", "silver"]),
    }
    for name, (operator, value) in conditions.items():
        config = {"attribute": name, "operator": operator, "value": value}
        await shop.create("qualification-rules", name=name, ruleType="attribute_condition", config=config)

    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await shop.recommend("known", channel="email", attributes={"age": 39}))["count"] != 0:
            await asyncio.sleep(0.02)
    known = await shop.recommend("known", channel="email")
    unknown = await shop.recommend("unknown", channel="email")

    assert (known["count"], unknown["count"]) == (3, 3)
    trace = await shop.get(f"decision-traces/{known['recommendationId']}")
    assert trace["facts"]["customer"] == row
    assert (await shop.get(f"decision-traces/{unknown['recommendationId']}"))["facts"]["customer"] == {}
    why = await shop.get("customers/known/why-not/gold")
    assert why["verdict"] == "eligible"


async def test_formulas_mask_score_and_describe(shop: Shop) -> None:
    fields = [{"key": "headline", "type": "computed", "formula": "concat(key, ' for ', customer.name)"}]
    await shop.create("categories", name="Cards", key="cards", customFields=fields)
    await shop.api.editor.put("/api/v1/offers/gold", json={"categoryId": "cards"})
    await shop.flow(
        "formulas",
        MATCH,
        {"type": "extension_point", "config": {"hook": "pre_score", "formula": "priority > 40"}},
        {"type": "score"},
        {"type": "extension_point", "config": {"hook": "score_override", "formula": "1 - score"}},
        {"type": "compute"},
        {"type": "set_properties", "config": {"properties": {"source": "flow", "double": {"formula": "score * 2"}}}},
    )

    answer = await shop.recommend(decisionFlowKey="formulas", channel="email", attributes={"name": "Ada"}, debug=True)
    trace = await shop.get(f"decision-traces/{answer['recommendationId']}")

    assert [(item["offerKey"], round(item["score"], 12)) for item in answer["decisions"]] == [
        ("silver", 0.4),
        ("gold", 0.1),
    ]
    silver, gold = (item["personalization"] for item in answer["decisions"])
    assert gold == {**gold, "source": "flow", "headline": "gold for Ada"}
    assert (silver["source"], round(silver["double"], 12), silver.keys() & {"headline"}) == ("flow", 0.8, set())
    assert [stage["stage"] for stage in answer["meta"]["funnel"] if stage["in"] > stage["out"]][-1:] == ["pre_score"]
    assert [round(one["score"], 12) for one in trace["scoringResults"]] == [0.4, 0.1]
    unscored = ("inventoryResults", "qualificationResults", "contactPolicyResults")
    assert trace["candidateCount"] == sum(len(trace[name]) for name in (*unscored, "scoringResults"))


async def test_names_inside_a_branch_are_checked_too(shop: Shop) -> None:
    condition = {"conditions": [{"field": "age", "operator": "gte", "value": 18}]}
    branch = [{"id": "rules", "type": "qualify", "config": {"mode": "selected", "ruleIds": ["gone"]}}]
    config = {"condition": condition, "then": [], "else": branch}
    await shop.flow("branched", {"type": "conditional", "config": config}, publish=False)

    refused = await publish(shop, "branched")

    assert refused.status_code == 400
    (problem,) = refused.json()["error"]["details"]
    assert problem["path"] == "$.draftConfig.nodes[1].config.else[0].config.ruleIds[0]"


async def test_a_formula_with_a_fault_is_no_draft(shop: Shop) -> None:
    node = {"type": "extension_point", "config": {"hook": "pre_score", "formula": "priority >"}}

    refused = await shop.api.editor.post(
        "/api/v1/decision-flows", json={"key": "bad", "name": "bad", "draftConfig": flow_config(node)}
    )

    assert refused.status_code == 400
    (problem,) = refused.json()["error"]["details"]
    assert problem == {
        "path": "$.draftConfig.nodes[1].config.formula",
        "message": "expected a value, found the end (at position 11)",
    }
