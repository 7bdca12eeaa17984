"""`python -m kaireon_runtime.grafana helm/dashboards`: the boards as files for Grafana."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from kaireon_runtime.boards import Board, Panel, boards

# That of Grafana 11; newer ones bring a board up to date when they load it.
_SCHEMA_VERSION = 40
_COLUMNS, _WIDTH, _HEIGHT = 3, 8, 8
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def files() -> dict[str, str]:
    """Return the name and the text of each file."""
    return {f"{board.key}.json": json.dumps(_dashboard(board), indent=2) + "\n" for board in boards()}


def _dashboard(board: Board) -> dict[str, Any]:
    return {
        "uid": f"kaireon-{board.key}",
        "title": board.title,
        "tags": ["kaireon"],
        "schemaVersion": _SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "",
        "annotations": {"list": []},
        "links": [{"type": "dashboards", "title": "Kaireon", "tags": ["kaireon"], "asDropdown": True}],
        "templating": {
            "list": [{"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}]
        },
        "panels": [_panel(number, panel) for number, panel in enumerate(board.panels)],
    }


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    row, column = divmod(number, _COLUMNS)
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.meaning,
        "datasource": _SOURCE,
        "gridPos": {"h": _HEIGHT, "w": _WIDTH, "x": column * _WIDTH, "y": row * _HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0, **_line(panel.most)}, "overrides": []},
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "datasource": _SOURCE,
                "expr": query.expression,
                "legendFormat": query.legend,
            }
            for place, query in enumerate(panel.queries)
        ],
    }


def _line(most: float | None) -> dict[str, Any]:
    if most is None:
        return {}
    steps = [{"color": "green", "value": None}, {"color": "red", "value": most}]
    return {
        "thresholds": {"mode": "absolute", "steps": steps},
        "custom": {"thresholdsStyle": {"mode": "line"}},
    }


def main() -> None:
    """Write the files into the folder that the argument names; what else is there is removed."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for stale in set(folder.glob("*.json")) - {folder / name for name in files()}:
        stale.unlink()
    for name, text in files().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
