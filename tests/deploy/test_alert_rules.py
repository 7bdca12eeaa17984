"""The rule file for Prometheus: current, about series that exist, and with a runbook for each alert."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from kaireon_runtime.alert_rules import alert_rules
from kaireon_runtime.objectives import OBJECTIVES
from tests.deploy.promql import series_of, unknown_in

ROOT = Path(__file__).parents[2]
FILE = ROOT / "helm/files/rules.yaml"
GROUPS = cast("list[dict[str, Any]]", yaml.safe_load(FILE.read_text())["groups"])
RULES = [rule for group in GROUPS for rule in group["rules"]]
ALERTS = [rule for rule in RULES if "alert" in rule]
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
RUNBOOK = (ROOT / "docs/operations/alerts.md").read_text()


def _identity(rule: dict[str, Any]) -> str:
    return "-".join([rule.get("alert") or rule["record"], *map(str, rule.get("labels", {}).values())])


def test_rule_file_is_that_of_the_catalogue() -> None:
    assert FILE.read_text() == alert_rules(), "run `python -m kaireon_runtime.alert_rules > helm/files/rules.yaml`"


def test_groups_and_rules_are_told_apart() -> None:
    assert len({group["name"] for group in GROUPS}) == len(GROUPS)
    assert len({_identity(rule) for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("rule", RULES, ids=_identity)
def test_a_rule_looks_at_series_and_labels_that_exist(rule: dict[str, Any]) -> None:
    assert series_of(rule["expr"])
    assert unknown_in(rule["expr"], RECORDED) == set()


@pytest.mark.parametrize("rule", ALERTS, ids=_identity)
def test_an_alert_has_a_runbook(rule: dict[str, Any]) -> None:
    assert f"\n## {rule['alert']}\n" in RUNBOOK
    assert rule["annotations"]["runbook"] == f"docs/operations/alerts.md#{rule['alert'].lower()}"


def test_every_runbook_belongs_to_an_alert() -> None:
    headings = re.findall(r"^## (\w+)$", RUNBOOK, re.MULTILINE)
    assert sorted(headings) == sorted({rule["alert"] for rule in ALERTS})


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda objective: objective.key)
def test_an_objective_has_an_alert_for_every_burn_rate(objective: Any) -> None:
    mine = [rule for rule in ALERTS if rule["alert"] == objective.alert]
    assert [(rule["labels"]["window"], rule["labels"]["severity"]) for rule in mine] == [
        (rate.long, rate.severity) for rate in objective.rates
    ]
    assert objective.rates
    assert objective.budget * max(rate.factor for rate in objective.rates) < 1, "the fastest burn cannot be reached"


@pytest.mark.parametrize(
    ("expression", "unknown"),
    [
        ("rate(kaireon_nothing_total[5m])", {"kaireon_nothing_total"}),
        ("sum by (nobody) (kaireon_dlq_depth)", {"nobody"}),
        ('kaireon_dlq_depth{who="x"}', {"who"}),
        ("kaireon_decision_latency_ms", {"kaireon_decision_latency_ms"}),
    ],
)
def test_what_does_not_exist_is_found(expression: str, unknown: set[str]) -> None:
    assert unknown_in(expression, RECORDED) == unknown
