"""`python -m kaireon_runtime.alert_rules`: a rule file for Prometheus, on stdout.

It holds the catalogue's alerts, and for each objective its recording rules and the alerts on its burn rates.
"""

from __future__ import annotations

import json
import sys

from kaireon_runtime.catalogue import CATALOGUE
from kaireon_runtime.metric import Alert, Metric
from kaireon_runtime.objectives import OBJECTIVES, WINDOWS, BurnRate, Objective, errors, recorded

_HEAD = """\
# The alerts of kaireon_runtime/catalogue.py and objectives.py; a test says when this file must be written anew:
#   python -m kaireon_runtime.alert_rules > helm/files/rules.yaml
groups:
"""
_GROUP = "  - name: {name}\n    rules:\n"


def alert_name(metric: Metric) -> str:
    """Return the name of a metric's alert, which is also its heading in docs/operations/alerts.md."""
    return "".join(word.capitalize() for word in metric.name.removesuffix("_total").split("_"))


def alert_rules() -> str:
    """Return the rule file."""
    rules = [_rule(alert_name(metric), metric.alert) for metric in CATALOGUE if metric.alert is not None]
    shares = [_share(objective, window) for objective in OBJECTIVES for window in WINDOWS]
    burns = [_burn(objective, rate) for objective in OBJECTIVES for rate in objective.rates]
    groups = (("kaireon", rules), ("kaireon-slo-shares", shares), ("kaireon-slo-alerts", burns))
    return _HEAD + "".join(_GROUP.format(name=name) + "".join(members) for name, members in groups)


def burn_expression(objective: Objective, rate: BurnRate) -> str:
    """Return the PromQL of an alert on a burn rate."""
    if not objective.budget:
        return f"{recorded(objective, rate.long)} > 0"
    most = f"{rate.factor:g} * {objective.budget:g}"
    return f"{recorded(objective, rate.long)} > {most} and {recorded(objective, rate.short)} > {most}"


# A JSON string is a YAML string.


def _rule(name: str, alert: Alert) -> str:
    return (
        f"      - alert: {name}\n"
        f"        expr: {json.dumps(alert.expression)}\n"
        f"        for: {alert.for_seconds}s\n" + _annotations(name, alert.summary)
    )


def _share(objective: Objective, window: str) -> str:
    return (
        f"      - record: {recorded(objective, window).partition('{')[0]}\n"
        f"        expr: {json.dumps(errors(objective, window))}\n"
        f"        labels:\n"
        f"          slo: {objective.key}\n"
    )


def _burn(objective: Objective, rate: BurnRate) -> str:
    return (
        f"      - alert: {objective.alert}\n"
        f"        expr: {json.dumps(burn_expression(objective, rate))}\n"
        f"        labels:\n"
        f"          severity: {rate.severity}\n"
        f"          window: {rate.long}\n" + _annotations(objective.alert, objective.summary)
    )


def _annotations(name: str, summary: str) -> str:
    return (
        f"        annotations:\n"
        f"          summary: {json.dumps(summary)}\n"
        f"          runbook: docs/operations/alerts.md#{name.lower()}\n"
    )


if __name__ == "__main__":
    sys.stdout.write(alert_rules())
