"""`python -m kaireon_runtime.alert_rules`: the catalogue's alerts as a rule file for Prometheus, on stdout."""

from __future__ import annotations

import json
import sys

from kaireon_runtime.catalogue import CATALOGUE, Alert, Metric

_HEAD = """\
# The alerts of kaireon_runtime/catalogue.py; a test says when this file must be written anew:
#   python -m kaireon_runtime.alert_rules > deploy/prometheus/rules.yaml
groups:
  - name: kaireon
    rules:
"""


def alert_name(metric: Metric) -> str:
    """Return the name of a metric's alert, which is also its heading in docs/operations/alerts.md."""
    return "".join(word.capitalize() for word in metric.name.removesuffix("_total").split("_"))


def alert_rules() -> str:
    """Return the rule file."""
    rules = [_rule(metric, metric.alert) for metric in CATALOGUE if metric.alert is not None]
    return _HEAD + "".join(rules)


def _rule(metric: Metric, alert: Alert) -> str:
    # A JSON string is a YAML string.
    name = alert_name(metric)
    return (
        f"      - alert: {name}\n"
        f"        expr: {json.dumps(alert.expression)}\n"
        f"        for: {alert.for_seconds}s\n"
        "        annotations:\n"
        f"          summary: {json.dumps(alert.summary)}\n"
        f"          runbook: docs/operations/alerts.md#{name.lower()}\n"
    )


if __name__ == "__main__":
    sys.stdout.write(alert_rules())
