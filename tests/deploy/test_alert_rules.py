"""The rule file for Prometheus: that of the catalogue, about metrics that exist, with a runbook for each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from kaireon_runtime.alert_rules import alert_rules
from kaireon_runtime.catalogue import CATALOGUE, Kind

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy/prometheus/rules.yaml"
RULES = cast("list[dict[str, Any]]", yaml.safe_load(FILE.read_text())["groups"][0]["rules"])
RUNBOOK = (ROOT / "docs/operations/alerts.md").read_text()
SERIES = {
    name
    for metric in CATALOGUE
    for name in (
        [metric.name]
        if metric.kind is not Kind.HISTOGRAM
        else [f"{metric.name}_{part}" for part in ("bucket", "sum", "count")]
    )
}


def test_rule_file_is_that_of_the_catalogue() -> None:
    assert FILE.read_text() == alert_rules(), (
        "run `python -m kaireon_runtime.alert_rules > deploy/prometheus/rules.yaml`"
    )


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_looks_at_series_that_exist_and_has_a_runbook(rule: dict[str, Any]) -> None:
    named = set(re.findall(r"\bkaireon_\w+", rule["expr"]))
    assert named
    assert named <= SERIES
    assert rule["expr"].count("(") == rule["expr"].count(")")
    assert f"\n## {rule['alert']}\n" in RUNBOOK
    assert rule["annotations"]["runbook"] == f"docs/operations/alerts.md#{rule['alert'].lower()}"


def test_every_runbook_belongs_to_an_alert() -> None:
    assert sorted(re.findall(r"^## (\w+)$", RUNBOOK, re.MULTILINE)) == sorted(rule["alert"] for rule in RULES)
