"""`python -m kaireon_runtime.reference_pages docs/reference`: the pages about metrics and objectives."""

from __future__ import annotations

import sys
from pathlib import Path

from kaireon_runtime.alert_rules import alert_name
from kaireon_runtime.boards import boards
from kaireon_runtime.catalogue import CATALOGUE
from kaireon_runtime.metric import Metric
from kaireon_runtime.objectives import BURN_RATES, OBJECTIVES, PERIOD_DAYS, BurnRate, Objective

_MADE = "<!-- Made by `python -m kaireon_runtime.reference_pages docs/reference`; change {source}. -->"
_METRICS = """\
# Metrics

{made}

`GET /api/metrics` of the API, `/metrics` on `WORKER_METRICS_PORT`, `OUTBOX_HEALTH_PORT`, `STREAM_HEALTH_PORT` and
`MCP_PORT` of the other tiers, in Prometheus' text form. Every tier serves every name; what it does not measure has no
value, or is 0. No label holds a customer. {boards} dashboards for Grafana show them all: `helm/dashboards`, which
compose's profile `observability` loads. [Alerts](../operations/alerts.md), [objectives](slos.md).

| metric | kind | unit | labels | meaning | alert |
|---|---|---|---|---|---|
"""
_SLOS = """\
# Service level objectives

{made}

Over {days} days. They are aims for an installation, and what its alerts are made of; `make bench` measures what a
machine can do.

| objective | target | what is promised | how it is measured | alert |
|---|---|---|---|---|
"""
_BURNS = """
A burn rate says how many times too fast the errors of a window spend the budget (what the target leaves of 1) of {days}
days. An alert needs the long window, so that it is worth a look, and the short one, so that it ends soon after the
trouble: Google, *The Site Reliability Workbook* (2018), chapter 5, table 5-8. Hardly any traffic makes every share
coarse: one failure of ten calls in an hour is an alert.

| long window | short window | burn rate | budget spent | severity |
|---|---|---|---|---|
"""
_FOOT = """
A target of 100 % leaves no budget, so that any burn rate is too much: its errors are a count, not a share, and a single
one is an alert, `page` for an hour and `ticket` for three days.

The shares of errors, and such counts, are recorded as `kaireon:slo_errors:ratio_<window>{slo="<objective>"}`; the rules
are in `helm/files/rules.yaml`, their list in `kaireon_runtime/objectives.py`. Prometheus has to keep three days.
"""
_HOURS = {"1h": 1, "6h": 6, "3d": 72}


def pages() -> dict[str, str]:
    """Return the name and the text of each page."""
    return {"metrics.md": _metrics(), "slos.md": _slos()}


def _metrics() -> str:
    head = _METRICS.format(made=_MADE.format(source="kaireon_runtime/catalogue.py"), boards=len(boards()))
    return head + "".join(_metric(metric) for metric in CATALOGUE)


def _metric(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    alert = "" if metric.alert is None else _link(alert_name(metric))
    unit = "" if metric.unit == "1" else metric.unit
    return f"| `{metric.name}` | {metric.kind} | {unit} | {labels} | {metric.meaning} | {alert} |\n"


def _slos() -> str:
    head = _SLOS.format(made=_MADE.format(source="kaireon_runtime/objectives.py"), days=PERIOD_DAYS)
    rows = "".join(_objective(objective) for objective in OBJECTIVES)
    return head + rows + _BURNS.format(days=PERIOD_DAYS) + "".join(_rate(rate) for rate in BURN_RATES) + _FOOT


def _objective(objective: Objective) -> str:
    target = f"{objective.target * 100:g} %"
    return f"| {objective.key} | {target} | {objective.promise} | {objective.measured} | {_link(objective.alert)} |\n"


def _rate(rate: BurnRate) -> str:
    spent = rate.factor * _HOURS[rate.long] / (24 * PERIOD_DAYS)
    return f"| {rate.long} | {rate.short} | {rate.factor:g} | {spent:.0%} | {rate.severity} |\n"


def _link(name: str) -> str:
    return f"[{name}](../operations/alerts.md#{name.lower()})"


def main() -> None:
    """Write the pages into the folder that the argument names."""
    for name, text in pages().items():
        (Path(sys.argv[1]) / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
