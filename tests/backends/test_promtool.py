"""The rules as Prometheus reads them: checked by promtool, and evaluated over series that it makes up."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from kaireon_runtime.grafana import files
from kaireon_runtime.objectives import OBJECTIVES, Objective
from kaireon_testkit.native.debian import NoProgram, find_program
from kaireon_testkit.native.home import find_home

pytestmark = pytest.mark.backends
REQUESTS = 'kaireon_http_request_duration_seconds_count{route="/api/v1/recommend",status="%s"}'
WITHIN = 'kaireon_http_request_duration_seconds_bucket{route="/api/v1/recommend",status="200",le="0.4"}'
VIOLATIONS = 'kaireon_cap_violations_total{instance="%s",ruleType="frequency_cap"}'
# objective -> series by minute: while it is kept, and while it is broken
SERIES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "decision-availability": (
        {REQUESTS % 200: "0+10000x400", REQUESTS % 503: "0+1x400"},
        {REQUESTS % 200: "0+1000x400", REQUESTS % 503: "0+20x400"},
    ),
    "decision-latency": (
        {REQUESTS % 200: "0+1000x400", WITHIN: "0+999x400"},
        {REQUESTS % 200: "0+1000x400", WITHIN: "0+800x400"},
    ),
    "model-scores": (
        {'kaireon_scoring_candidates_total{modelKey="m"}': "0+1000x400"},
        {
            'kaireon_scoring_candidates_total{modelKey="m"}': "0+1000x400",
            'kaireon_scoring_fallback_total{modelKey="m",reason="timeout"}': "0+300x400",
        },
    ),
    "outbox-lag": ({"kaireon_outbox_lag_seconds": "59x400"}, {"kaireon_outbox_lag_seconds": "61x400"}),
    "queue-age": (
        {'kaireon_job_queue_age_seconds{queue="batch-jobs"}': "299x400"},
        {'kaireon_job_queue_age_seconds{queue="batch-jobs"}': "301x400"},
    ),
    # Violations of last week, told by two workers, one of which started a while ago; and one more, found between the
    # end of a worker and the beginning of the next.
    "cap-violations": (
        {VIOLATIONS % "one": "3x400", VIOLATIONS % "other": "_x350 3x50"},
        {VIOLATIONS % "one": "3x370 stale", VIOLATIONS % "other": "_x380 4x20"},
    ),
}


@pytest.fixture(scope="module")
def promtool(clone: Path) -> Path:
    try:
        return find_program(find_home(clone, clone / "var"), "usr/bin/promtool", ("prometheus",))
    except NoProgram as error:
        pytest.skip(str(error))


def _run(promtool: Path, *arguments: object) -> str:
    done = subprocess.run([promtool, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_rules_are_rules(promtool: Path, clone: Path) -> None:
    assert "SUCCESS" in _run(promtool, "check", "rules", "--lint-fatal", clone / "helm/files/rules.yaml")


def test_expressions_of_dashboards_are_of_the_right_types(promtool: Path, tmp_path: Path) -> None:
    expressions = [
        target["expr"].replace("$__rate_interval", "1m")
        for text in files().values()
        for panel in json.loads(text)["panels"]
        for target in panel["targets"]
    ]
    rules = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(expressions)]
    file = tmp_path / "panels.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    assert f"{len(expressions)} rules found" in _run(promtool, "check", "rules", file)


def _case(series: dict[str, str], objective: Objective, *, is_firing: bool) -> dict[str, Any]:
    raised = [
        {
            "exp_labels": {
                "alertname": objective.alert,
                "severity": rate.severity,
                "window": rate.long,
                "slo": objective.key,
            },
            "exp_annotations": {
                "summary": objective.summary,
                "runbook": f"docs/operations/alerts.md#{objective.alert.lower()}",
            },
        }
        for rate in objective.rates
    ]
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [
            {"eval_time": "390m", "alertname": objective.alert, "exp_alerts": raised if is_firing else []},
        ],
    }


@pytest.mark.parametrize("is_broken", [False, True], ids=["kept", "broken"])
@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda objective: objective.key)
def test_an_objective_has_its_alerts_when_it_is_broken_and_only_then(
    promtool: Path, clone: Path, tmp_path: Path, objective: Objective, is_broken: bool
) -> None:
    case = _case(SERIES[objective.key][is_broken], objective, is_firing=is_broken)
    file = tmp_path / "case.yaml"
    rules = str(clone / "helm/files/rules.yaml")
    file.write_text(yaml.safe_dump({"rule_files": [rules], "evaluation_interval": "1m", "tests": [case]}))
    assert "SUCCESS" in _run(promtool, "test", "rules", file)


def test_no_publisher_is_an_alert_and_one_that_has_nothing_to_do_is_none(
    promtool: Path, clone: Path, tmp_path: Path
) -> None:
    alert = "KaireonOutboxLagSeconds"
    rules = yaml.safe_load((clone / "helm/files/rules.yaml").read_text())["groups"][0]["rules"]
    annotations = next(rule["annotations"] for rule in rules if rule["alert"] == alert)
    raised = [{"exp_labels": {"alertname": alert}, "exp_annotations": annotations}]

    def case(series: str, alerts: list[Any]) -> dict[str, Any]:
        return {
            "interval": "1m",
            "input_series": [{"series": series, "values": "0x60"}],
            "alert_rule_test": [{"eval_time": "30m", "alertname": alert, "exp_alerts": alerts}],
        }

    file = tmp_path / "case.yaml"
    tests = [case("kaireon_outbox_lag_seconds", []), case("up", raised)]
    rule_files = [str(clone / "helm/files/rules.yaml")]
    file.write_text(yaml.safe_dump({"rule_files": rule_files, "evaluation_interval": "1m", "tests": tests}))
    assert "SUCCESS" in _run(promtool, "test", "rules", file)
