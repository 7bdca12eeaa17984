"""The reference pages say what the code says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from kaireon_core.decisioning.contact_policy import EVALUATED_POLICY_TYPES
from kaireon_core.decisioning.flow import FILTER_OPERATORS, AnyNode, Node
from kaireon_core.decisioning.flow_parts import Hook
from kaireon_core.decisioning.qualify import EVALUATED_RULE_TYPES
from tests.core.decisioning.cases import Case, compile_case

_PAGES = Path(__file__).parents[3] / "docs" / "reference"
_NODES: dict[str, type[Node]] = {str(type_.__struct_config__.tag): type_ for type_ in get_args(AnyNode)}


def _sections() -> dict[str, str]:
    parts = re.split(r"^## ", (_PAGES / "flow-nodes.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {part.split("\n")[0].strip("`"): part for part in parts if part.startswith("`")}


def _table(text: str) -> list[list[str]]:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return rows[2:]


def test_every_node_type_has_its_section() -> None:
    assert _sections().keys() == _NODES.keys()


@pytest.mark.parametrize("type_", _NODES)
def test_fields_and_defaults_of_a_node_are_documented(type_: str) -> None:
    config = next(field.type for field in msgspec.structs.fields(_NODES[type_]) if field.name == "config")
    expected = {field.encode_name: _default(field) for field in msgspec.structs.fields(config)}
    documented = {name.strip("`"): default.strip("`") for name, default, *_ in _table(_sections()[type_])}
    assert documented == expected


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    is_made = field.default is msgspec.NODEFAULT
    value: Any = field.default_factory() if is_made else field.default
    return json.dumps(msgspec.to_builtins(value))


_CLOSED_SETS = [
    ("filter", FILTER_OPERATORS),
    ("qualify", EVALUATED_RULE_TYPES),
    ("contact_policy", EVALUATED_POLICY_TYPES),
]


@pytest.mark.parametrize(("type_", "words"), _CLOSED_SETS)
def test_closed_sets_are_documented(type_: str, words: Any) -> None:
    assert {word for word in words if f"`{word}`" not in _sections()[type_]} == set()


_NEVER: dict[str, Any] = {
    "attribute": "x",
    "operator": "exists",
    "requiredSegments": [],
    "maxDays": 1,
    "minScore": 1,
    "metric": "m",
    "value": 1,
}
_CAPS: dict[str, Any] = {
    "maxPerDay": 1,
    "cooldownHours": 1,
    "offerGroup": [],
    "excludeSegments": [],
    "budgetField": "spent",
    "threshold": 1,
    "afterOutcome": "dismiss",
    "suppressForDays": 1,
    "categoryId": "a",
    "suppressionDays": 1,
    "metric": "m",
    "operator": "gte",
    "value": 1,
}
_LIMITS: dict[str, Any] = {
    "budget": {"dailyCapCents": 1, "lifetimeCapCents": 1},
    "inventory": {"remainingStock": 1},
    "frequencyCaps": {"perCustomer": {"daily": 1}},
    "mandatory": True,
    "mandatoryExpiresAt": "2027-01-01",
}
_EVERYTHING: Case = {
    "catalogue": {
        "offers": [{"id": "limited", **_LIMITS}],
        "guardrails": [{"id": "guardrail", "expressionAst": {"metric": "offerCount", "op": "gt", "value": 1}}],
        "frequency_caps": [{"id": "cap", "scope": "offer", "scopeId": "limited", "maxVolume": 1, "period": "daily"}],
        "qualification_rules": [{"id": type_, "ruleType": type_, "config": _NEVER} for type_ in EVALUATED_RULE_TYPES],
        "contact_policies": [{"id": type_, "ruleType": type_, "config": _CAPS} for type_ in EVALUATED_POLICY_TYPES],
    },
    "flow": {
        "nodes": [
            *({"id": type_, "type": type_} for type_ in _NODES if type_ not in ("extension_point", "optimize")),
            {"id": "optimize", "type": "optimize", "config": {"weights": {"revenue": 1}, "floor": 0.5}},
            *({"id": hook, "type": "extension_point", "config": {"hook": hook, "formula": "true"}} for hook in Hook),
        ]
    },
}


def all_reasons() -> set[tuple[str, str]]:
    """Return (stage, type) of every reason that there is."""
    return {(reason.stage, reason.type) for reason in compile_case(_EVERYTHING).reasons}


def test_every_reason_is_documented() -> None:
    reasons = all_reasons()
    rows = _table((_PAGES / "reasons.md").read_text(encoding="utf-8"))
    assert {(stage.strip("`"), type_.strip("`")) for stage, type_, *_ in rows} == reasons
