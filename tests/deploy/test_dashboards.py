"""The dashboards for Grafana: current, complete, and made of expressions about series that exist."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from kaireon_runtime.catalogue import CATALOGUE
from kaireon_runtime.grafana import files
from kaireon_runtime.objectives import OBJECTIVES, WINDOWS, recorded
from kaireon_runtime.reference_pages import pages
from tests.deploy.promql import series_of, unknown_in

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "helm/dashboards"
BOARDS: dict[str, Any] = {path.name: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
PANELS = [
    pytest.param(panel, id=f"{name}-{panel['title']}") for name, board in BOARDS.items() for panel in board["panels"]
]
RECORDED = {recorded(objective, window).partition("{")[0] for objective in OBJECTIVES for window in WINDOWS}
# Grafana's ids of units that the boards use: packages/grafana-data/src/valueFormats/categories.ts
UNITS = {"s", "ms", "short", "ops", "reqps", "percentunit"}


def _expressions(board: Any) -> list[str]:
    return [
        target["expr"].replace("$__rate_interval", "1m") for panel in board["panels"] for target in panel["targets"]
    ]


def test_files_are_those_of_the_catalogue() -> None:
    kept = {path.name: path.read_text() for path in FOLDER.iterdir()}
    assert kept == files(), "run `python -m kaireon_runtime.grafana helm/dashboards`"


@pytest.mark.parametrize("name", sorted(pages()))
def test_page_is_current(name: str) -> None:
    assert (ROOT / "docs/reference" / name).read_text() == pages()[name], (
        "run `python -m kaireon_runtime.reference_pages docs/reference`"
    )


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS.keys())
def test_a_board_is_one_that_grafana_loads(board: Any) -> None:
    assert board["schemaVersion"] >= 36
    assert 0 < len(board["uid"]) <= 40
    assert [variable["type"] for variable in board["templating"]["list"]] == ["datasource"]
    assert [panel["id"] for panel in board["panels"]] == list(range(1, len(board["panels"]) + 1))
    taken = set[tuple[int, int]]()
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & cells
        taken |= cells


def test_boards_have_uids_and_titles_of_their_own() -> None:
    for field in ("uid", "title"):
        assert len({board[field] for board in BOARDS.values()}) == len(BOARDS)


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_reads_series_that_exist_from_the_chosen_source(panel: Any) -> None:
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert panel["description"]
    assert panel["targets"]
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    for target in panel["targets"]:
        assert target["datasource"] == panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert unknown_in(target["expr"].replace("$__rate_interval", "1m"), RECORDED) == set()


def test_every_metric_is_on_a_board() -> None:
    shown = {
        series for board in BOARDS.values() for expression in _expressions(board) for series in series_of(expression)
    }
    shown |= {series.removesuffix("_bucket") for series in shown}
    assert {metric.name for metric in CATALOGUE} <= shown


def test_compose_loads_these_files() -> None:
    volumes = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["grafana"]["volumes"]
    provider = yaml.safe_load((ROOT / "deploy/compose/grafana-dashboards.yaml").read_text())["providers"][0]
    assert f"./helm/dashboards:{provider['options']['path']}:ro" in volumes
    assert "./deploy/compose/grafana-dashboards.yaml:/etc/grafana/provisioning/dashboards/kaireon.yaml:ro" in volumes
