"""Qualification rules: every type and scope, checked strictly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from tests.api.conftest import Clients
    from tests.api.shop import Shop

Body = dict[str, Any]

PATH = "/api/v1/qualification-rules"
CONDITION = {"attribute": "age", "operator": "gte", "value": 18}

GOOD: list[tuple[str, Body]] = [
    ("segment_required", {"requiredSegments": []}),
    ("attribute_condition", CONDITION),
    ("attribute_condition", {"attribute": "age", "operator": "exists"}),
    ("attribute_condition", {"attribute": "country", "operator": "in", "value": ["AT", None]}),
    ("attribute_condition", {"attribute": "country", "operator": "eq", "value": None}),
    ("propensity_threshold", {"model": "churn", "minScore": 0.2}),
    ("propensity_threshold", {"minScore": 0}),
    ("recency_check", {"attribute": "last_seen", "maxDays": 30}),
    ("offer_attribute", {"attribute": "margin", "operator": "gt", "value": 0.5, "fitMultiplier": 0.1}),
]
BAD: list[tuple[str, Body, str]] = [
    ("attribute_condition", {"attribute": "age", "operator": "gte"}, "$.config.value"),
    ("attribute_condition", {"attribute": "age", "operator": "like", "value": 1}, "$.config.operator"),
    ("attribute_condition", {**CONDITION, "extra": 1}, "$.config.extra"),
    ("attribute_condition", {"attribute": "a", "operator": "in", "value": "AT"}, "$.config.value"),
    ("attribute_condition", {"attribute": "a", "operator": "eq", "value": {}}, "$.config.value"),
    ("attribute_condition", {**CONDITION, "fitMultiplier": 0.05}, "$.config.fitMultiplier"),
    ("attribute_condition", {**CONDITION, "fitMultiplier": 1.5}, "$.config.fitMultiplier"),
    ("segment_required", {"requiredSegments": "gold"}, "$.config.requiredSegments"),
    ("segment_required", {}, "$.config.requiredSegments"),
    ("propensity_threshold", {"minScore": 1.1}, "$.config.minScore"),
    ("recency_check", {"attribute": "last_seen", "maxDays": 0}, "$.config.maxDays"),
    ("metric_condition", {"metric": "m", "operator": "lt", "value": "3"}, "$.config.value"),
    ("offer_attribute", {"operator": "gt", "value": 1}, "$.config.attribute"),
    ("astrology", {}, "$.ruleType"),
]


def body(rule_type: str = "attribute_condition", config: Body | None = None, **changes: Any) -> Body:
    return {"name": "Rule", "ruleType": rule_type, "config": CONDITION if config is None else config, **changes}


def paths(answer: httpx.Response) -> list[str]:
    return [problem["path"] for problem in answer.json()["error"]["details"]]


async def test_every_documented_type_is_taken(api: Clients) -> None:
    for place, (rule_type, config) in enumerate(GOOD):
        created = await api.admin.post(PATH, json=body(rule_type, config, name=f"{place}"))

        assert created.status_code == 201, created.text
        assert created.json()["config"] == config


async def test_a_configuration_is_checked_strictly_by_its_type(api: Clients) -> None:
    for rule_type, config, path in BAD:
        refused = await api.admin.post(PATH, json=body(rule_type, config))

        assert refused.status_code == 400, (rule_type, config)
        assert paths(refused) == [path]


async def test_changing_the_type_alone_makes_the_configuration_wrong(api: Clients) -> None:
    rule = (await api.admin.post(PATH, json=body())).json()

    refused = await api.admin.put(f"{PATH}/{rule['id']}", json={"ruleType": "recency_check"})

    assert refused.status_code == 400
    assert set(paths(refused)) == {"$.config.maxDays", "$.config.operator", "$.config.value"}


async def test_a_scope_without_id_is_refused(api: Clients) -> None:
    cases: list[tuple[Body, str]] = [
        ({"scope": "offer"}, "$.scopeId"),
        ({"scope": "segment", "scopeId": None}, "$.scopeId"),
        ({"scopes": [{"scope": "global"}, {"scope": "channel"}]}, "$.scopes[1].scopeId"),
        ({"scope": "planet", "scopeId": "x"}, "$.scope"),
    ]
    for scope, path in cases:
        refused = await api.admin.post(PATH, json=body(**scope))

        assert refused.status_code == 400, scope
        assert paths(refused) == [path]


async def test_scopes_name_existing_things_and_segments_are_free(api: Clients) -> None:
    offer = (await api.editor.post("/api/v1/offers", json={"name": "Gold", "key": "gold"})).json()
    scopes = [{"scope": "segment", "scopeId": "vip"}, {"scope": "offer", "scopeId": "gold"}]

    rule = (await api.admin.post(PATH, json=body(scopes=scopes))).json()
    unknown = await api.admin.post(PATH, json=body(name="B", scopes=[{"scope": "creative", "scopeId": "gold"}]))
    rescoped = await api.admin.put(f"{PATH}/{rule['id']}", json={"scopes": [], "scope": "offer", "scopeId": "gold"})
    moved = await api.admin.put(f"{PATH}/{rule['id']}", json={"scope": "channel"})

    assert rule["scopes"] == [{"scope": "segment", "scopeId": "vip"}, {"scope": "offer", "scopeId": offer["id"]}]
    assert (unknown.status_code, paths(unknown)) == (404, ["$.scopes[0].scopeId"])
    assert rescoped.json()["scopeId"] == offer["id"]
    assert (moved.status_code, paths(moved)) == (404, ["$.scopeId"])


async def test_a_fit_rule_multiplies_by_a_half_unless_told(api: Clients) -> None:
    told = (await api.admin.post(PATH, json=body(stage="fit", config={**CONDITION, "fitMultiplier": 0.9}))).json()
    untold = (await api.admin.post(PATH, json=body(name="B", stage="fit"))).json()
    softened = (await api.admin.post(PATH, json=body(name="C"))).json()
    softened = (await api.admin.put(f"{PATH}/{softened['id']}", json={"stage": "fit"})).json()

    assert [rule["config"]["fitMultiplier"] for rule in (told, untold, softened)] == [0.9, 0.5, 0.5]
    assert softened["decisioningStage"] == "fit"


async def test_rules_are_listed_by_stage_in_order_of_priority(api: Clients) -> None:
    stages = (None, "qualification", "eligibility", "fit", "applicability", "match", "suitability", "ranking")
    for place, stage in enumerate(stages):
        rule = body(name=f"{stage}", priority=place * 10) | ({"stage": stage} if stage else {})
        assert (await api.admin.post(PATH, json=rule)).status_code == 201
    await api.admin.post(PATH, json=body("recency_check", {"attribute": "a", "maxDays": 1}, name="by type", priority=1))

    async def names(stage: str) -> list[str]:
        return [rule["name"] for rule in (await api.viewer.get(PATH, params={"stage": stage})).json()["data"]]

    assert await names("eligibility") == ["eligibility", "qualification", "None"]
    assert await names("fit") == ["applicability", "fit"]
    assert await names("match") == ["suitability", "match", "by type"]
    assert await names("ranking") == ["ranking"]
    assert (await api.viewer.get(PATH, params={"stage": "qualification"})).status_code == 400


async def test_a_taken_name_is_a_conflict(api: Clients) -> None:
    await api.admin.post(PATH, json=body())

    assert (await api.admin.post(PATH, json=body())).status_code == 409


async def test_a_rule_of_a_type_that_is_not_known_here_does_not_pass_and_is_counted(shop: Shop) -> None:
    empty: Body = {"requiredSegments": []}
    await shop.create("qualification-rules", key="later", name="later", ruleType="segment_required", config=empty)
    await shop.run(
        "UPDATE entities SET body = jsonb_set(body, '{ruleType}', '\"of_a_later_release\"')"
        " WHERE tenant_id = %(tenant_id)s AND key = 'later'"
    )

    assert (await shop.recommend(channel="email"))["decisions"] == []
    metrics = (await shop.api.anonymous.get("/api/metrics")).text
    assert 'kaireon_qualification_unknown_rule_total{ruleType="of_a_later_release"} 1.0' in metrics
