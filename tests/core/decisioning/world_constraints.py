"""What random worlds have counted over all customers, and what of it constrains them."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

from tests.core.decisioning.cases import Case

Thing = dict[str, Any]


def constrain(chance: random.Random, case: Case) -> None:
    """Give the case evidence, and in some worlds constraints and mandatory offers with their counters."""
    offers: list[Thing] = case["catalogue"]["offers"]
    names = [offer["id"] for offer in offers]
    case["evidence"] = [
        {
            "offer": chance.choice([*names, "deleted"]),
            "channel": chance.choice(["ch0", "ch1", None]),
            "positive": chance.choice([0, 1, 5, 20, 60]),
            "negative": chance.choice([0, 1, 5, 20, 60]),
        }
        for _ in range(chance.choice([0, 1, 3, 6]))
    ]
    if chance.randrange(3) == 0:
        _budgets(chance, case, offers)
    if chance.randrange(3) == 0:
        case["catalogue"]["frequency_caps"] = [_cap(chance, f"f{number}", names) for number in range(2)]
    if chance.randrange(3) == 0:
        for offer in offers:
            if chance.randrange(2) == 0:
                offer |= {"mandatory": True, "mandatoryExpiresAt": _expiry(chance, case)}
    if chance.randrange(4) == 0:
        case["catalogue"]["guardrails"] = [_guardrail(chance, f"g{number}") for number in range(chance.choice([1, 2]))]
    for customer in case["customers"]:
        given: list[Thing] = [{}, {"clvScore": chance.choice([0, 40, 100, 250, -1, True, "50", None])}]
        customer["customer"].update(chance.choice(given))
        uplift = {
            chance.choice([*names, "cat0", "gone"]): chance.choice([0.5, -0.25, 1, -1, 3, None]) for _ in range(3)
        }
        customer["attributes"].update(chance.choice([{}, {"upliftScores": uplift}]))
    for policy in case["catalogue"]["contact_policies"]:
        if chance.randrange(4) == 0:
            policy["config"]["bypassable"] = chance.choice([False, True])
    case["counters"] = {
        "taken": {name: chance.choice([0, 1, 2]) for name in names},
        "spent": {name: chance.choice([0, 50, 100]) for name in names},
        "spentToday": {name: chance.choice([0, 50]) for name in names},
        "shown": {name: chance.choice([0, 1, 2, 3]) for name in ("f0", "f1")},
    }


def _expiry(chance: random.Random, case: Case) -> str:
    now = datetime.fromisoformat(case["request"]["now"])
    return (now + timedelta(days=chance.choice([-1, 0, 1, 1, 30]))).isoformat()


def _budgets(chance: random.Random, case: Case, offers: list[Thing]) -> None:
    today = datetime.fromisoformat(case["request"]["now"])
    for offer in offers:
        some: list[Thing] = [
            {"budget": {"dailyCapCents": chance.choice([0, 50, 100, None])}},
            {"budget": {"lifetimeCapCents": chance.choice([100, 1000]), "currentLifetimeSpentCents": 50}},
            {
                "budget": {
                    "dailyCapCents": 100,
                    "currentDailySpentCents": chance.choice([50, 100]),
                    "lastDailyResetDate": chance.choice(
                        [today.date().isoformat(), "2026-01-01", today.isoformat(), None]
                    ),
                }
            },
            {"inventory": {"totalStock": 5, "remainingStock": chance.choice([0, 1, 2, 5])}},
            {"inventory": {}},
            {"frequencyCaps": {"perCustomer": {chance.choice(["daily", "weekly", "monthly"]): chance.choice([1, 2])}}},
            {},
        ]
        offer.update(chance.choice(some))


def _guardrail(chance: random.Random, id_: str) -> Thing:
    severity = chance.choice(["hard", "hard", "soft"])
    return {"id": id_, "severity": severity, "priority": chance.choice([10, 50]), "expressionAst": _term(chance, 2)}


def _term(chance: random.Random, depth: int) -> Thing:
    if depth and chance.randrange(2) == 0:
        group = chance.choice(["all", "any", "not"])
        inner = [_term(chance, depth - 1) for _ in range(chance.choice([1, 2]))]
        return {group: inner[0] if group == "not" else inner}
    metrics = ["offerCount", "categoryCount", "minScore", "maxPriority", "totalBusinessValue", "averageMargin"]
    operators, values = ["eq", "neq", "gt", "gte", "lt", "lte"], [0, 1, 2, 0.5, 50]
    return {"metric": chance.choice(metrics), "op": chance.choice(operators), "value": chance.choice(values)}


def _cap(chance: random.Random, id_: str, offers: list[str]) -> Thing:
    scopes = [("category", "cat0"), ("channel", "ch0"), *(("offer", name) for name in offers)]
    scope, scope_id = chance.choice(scopes)
    return {
        "id": id_,
        "scope": scope,
        "scopeId": scope_id,
        "maxVolume": chance.choice([1, 2, 3, 5]),
        "period": chance.choice(["daily", "weekly", "monthly"]),
        "enabled": chance.choice([True, True, False]),
    }
