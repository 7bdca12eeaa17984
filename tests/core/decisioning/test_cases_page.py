"""Every node, rule, policy, method, formula and reason has its golden case, and the page of cases links to it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast, get_args

import msgspec
import pytest

from kaireon_core.column import Operator
from kaireon_core.decisioning.contact_policy import EVALUATED_POLICY_TYPES
from kaireon_core.decisioning.flow import AnyNode, InventoryConfig, MatchCreativesConfig, Node, ScoreConfig
from kaireon_core.decisioning.flow_parts import Hook
from kaireon_core.decisioning.qualify import EVALUATED_RULE_TYPES
from kaireon_core.formula.syntax import FUNCTIONS
from tests.core.decisioning.test_documents import all_reasons

_PAGES = Path(__file__).parents[3] / "docs" / "reference"
_ROW = re.compile(r"^\| (.+?) \| \[.+?\]\((.+?)\) \|$", re.MULTILINE)
_NODES: dict[str, type[Node]] = {str(type_.__struct_config__.tag): type_ for type_ in get_args(AnyNode)}


def _choices(config: type[msgspec.Struct], name: str) -> tuple[str, ...]:
    return get_args(next(field.type for field in msgspec.structs.fields(config) if field.name == name))


def _config(type_: str) -> type[msgspec.Struct]:
    return next(field.type for field in msgspec.structs.fields(_NODES[type_]) if field.name == "config")


MODEL_INPUTS = ("customer", "attributes", "context", "request", "offer", "creative", "channel", "placement")

# What there is, by the heading of its table.
KINDS: dict[str, list[str]] = {
    "Nodes": sorted(_NODES),
    "Qualification rules": sorted(EVALUATED_RULE_TYPES),
    "Contact policies": sorted(EVALUATED_POLICY_TYPES),
    "Inventory scopes": list(_choices(InventoryConfig, "scope")),
    "Placement modes": list(_choices(MatchCreativesConfig, "placement_match_mode")),
    "Score methods": list(_choices(ScoreConfig, "method")),
    "Rank methods": list(_choices(_config("rank"), "method")),
    "Optimize methods": list(_choices(_config("optimize"), "method")),
    "Hooks": [hook.value for hook in Hook],
    "Operators": [operator.value for operator in Operator],
    "Formula functions": sorted(FUNCTIONS),
    "Model inputs": ["X", *(f"{name}.X" for name in MODEL_INPUTS)],
    "Reasons": sorted(f"{stage} {type_}" for stage, type_ in all_reasons()),
}
_FIELDS = {
    "Nodes": "type",
    "Qualification rules": "ruleType",
    "Contact policies": "ruleType",
    "Inventory scopes": "scope",
    "Placement modes": "placementMatchMode",
    "Score methods": "method",
    "Rank methods": "method",
    "Optimize methods": "method",
    "Hooks": "hook",
    "Operators": "operator",
}


def _tables() -> dict[str, dict[str, str]]:
    parts = re.split(r"^## ", (_PAGES / "cases.md").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {part.split("\n")[0]: {name.replace("`", ""): link for name, link in _ROW.findall(part)} for part in parts}


def _walk(value: Any) -> Iterator[dict[str, Any]]:
    inner: list[Any] = []
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        yield members
        inner = list(members.values())
    elif isinstance(value, list):
        inner = cast("list[Any]", value)
    for one in inner:
        yield from _walk(one)


def shows(kind: str, name: str, case: Any) -> bool:
    """Return whether a golden case is about this."""
    if kind == "Formula functions":
        return any(f"{name}(" in one.get("formula", "") for one in _walk(case))
    if kind == "Model inputs":
        read = [str(one["field"]) for one in _walk(case.get("models")) if "field" in one]
        return any("." not in field if name == "X" else field.startswith(name.removesuffix("X")) for field in read)
    if kind == "Reasons":
        told = [reason for one in case["expectations"] for reason in one["dropped"].values()]
        return any(reason == name or reason.startswith(f"{name} ") for reason in told)
    return any(one.get(_FIELDS[kind]) == name for one in _walk(case))


@pytest.mark.parametrize("kind", KINDS)
def test_everything_links_to_a_golden_case_that_shows_it(kind: str) -> None:
    table = _tables()[kind]
    assert list(table) == KINDS[kind]
    for name, link in table.items():
        assert shows(kind, name, json.loads((_PAGES / link).read_text(encoding="utf-8"))), (name, link)
