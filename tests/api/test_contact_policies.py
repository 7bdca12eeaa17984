"""Contact policies: every type and scope, checked strictly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from tests.api.conftest import Clients

Body = dict[str, Any]

PATH = "/api/v1/contact-policies"

GOOD: list[tuple[str, Body]] = [
    ("frequency_cap", {"maxPerDay": 1, "maxPerWeek": 2, "maxPerMonth": 3, "perOffer": True}),
    ("frequency_cap", {"maxTotal": 5, "lookbackHours": 36, "bypassable": False}),
    ("frequency_cap", {"maxContacts": 3, "windowDays": 7}),
    ("cooldown", {"cooldownHours": 0.5, "perOffer": True}),
    ("budget_exhausted", {"budgetField": "spent", "threshold": 100}),
    ("budget_exhausted", {"checkImpressions": True, "checkDailyBudget": False}),
    ("outcome_based", {"afterOutcome": "dismiss", "suppressForDays": 30}),
    ("outcome_based", {"afterOutcome": ["complaint", "unsubscribe"], "suppressForDays": 30, "perOffer": True}),
    ("outcome_based", {"outcomeType": "dismiss", "lookbackDays": 7, "action": "suppress"}),
    ("segment_exclusion", {"excludeSegments": ["staff"]}),
    ("time_window", {"allowedDays": [0, 6], "startHour": 22, "endHour": 6, "timezone": "Europe/Vienna"}),
    ("cross_channel_cap", {"maxPerWeek": 4}),
    ("customer_total_cap", {"maxPerMonth": 9}),
    ("allow_override", {}),
]
BAD: list[tuple[str, Body, str]] = [
    ("frequency_cap", {}, "$.config"),
    ("frequency_cap", {"maxPerDay": 0}, "$.config.maxPerDay"),
    ("frequency_cap", {"maxPerDay": 1.5}, "$.config.maxPerDay"),
    ("frequency_cap", {"maxPerYear": 1}, "$.config.maxPerYear"),
    ("frequency_cap", {"maxContacts": 1}, "$.config.maxContacts"),
    ("cooldown", {"cooldownHours": -1}, "$.config.cooldownHours"),
    ("cooldown", {}, "$.config.cooldownHours"),
    ("budget_exhausted", {"budgetField": "spent"}, "$.config.budgetField"),
    ("outcome_based", {"afterOutcome": [], "suppressForDays": 1}, "$.config.afterOutcome"),
    ("outcome_based", {"suppressForDays": 1}, "$.config.afterOutcome"),
    ("segment_exclusion", {"excludeSegments": [1]}, "$.config.excludeSegments[0]"),
    ("time_window", {"allowedDays": [7]}, "$.config.allowedDays[0]"),
    ("time_window", {"allowedDays": []}, "$.config.allowedDays"),
    ("time_window", {"startHour": 3}, "$.config.startHour"),
    ("time_window", {"startHour": 24, "endHour": 6}, "$.config.startHour"),
    ("time_window", {"allowedDays": [1], "timezone": "Mars/Base"}, "$.config.timezone"),
    ("mutual_exclusion", {"offerGroup": []}, "$.config.offerGroup"),
    ("cross_channel_cap", {"maxPerDay": 1, "perOffer": True}, "$.config.perOffer"),
    ("allow_override", {"anything": 1}, "$.config.anything"),
    ("category_suppression", {"categoryId": "cards"}, "$.config.suppressionDays"),
    ("metric_condition", {"metric": "m", "operator": "in", "value": 3}, "$.config.operator"),
    ("telepathy", {}, "$.ruleType"),
]


def body(rule_type: str, config: Body, **changes: Any) -> Body:
    return {"name": "Policy", "ruleType": rule_type, "config": config, "scope": "global", **changes}


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
        assert paths(refused)[0].startswith(path)


async def test_offers_and_categories_inside_a_configuration_become_ids(api: Clients) -> None:
    offers = [(await api.editor.post("/api/v1/offers", json={"name": name})).json() for name in ("Gold", "Iron")]
    category = (await api.editor.post("/api/v1/categories", json={"name": "Cards"})).json()

    group = await api.admin.post(PATH, json=body("mutual_exclusion", {"offerGroup": ["gold", offers[1]["id"]]}))
    banned = {"categoryId": "cards", "suppressionDays": 3}
    ban = await api.admin.post(PATH, json=body("category_suppression", banned, name="B"))
    unknown = await api.admin.post(PATH, json=body("mutual_exclusion", {"offerGroup": ["gold", "zinc"]}, name="C"))

    assert group.json()["config"]["offerGroup"] == [offer["id"] for offer in offers]
    assert ban.json()["config"]["categoryId"] == category["id"]
    assert (unknown.status_code, paths(unknown)) == (404, ["$.config.offerGroup[1]"])


async def test_the_scope_is_an_offer_unless_the_type_is_global_by_nature(api: Clients) -> None:
    capped = await api.admin.post(PATH, json={"name": "A", "ruleType": "frequency_cap", "config": {"maxPerDay": 1}})
    excluded = await api.admin.post(
        PATH, json={"name": "B", "ruleType": "segment_exclusion", "config": {"excludeSegments": ["x"]}}
    )

    assert (capped.status_code, paths(capped)) == (400, ["$.scopeId"])
    assert (excluded.status_code, excluded.json()["scope"]) == (201, "global")
