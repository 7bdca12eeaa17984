"""The files of the chart that are made from elsewhere, and what each must hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from deploy.chart.environment import environment_file
from deploy.chart.readme import readme

CHART = Path(__file__).parents[2] / "helm"
GENERATED: Mapping[Path, Callable[[], str]] = {
    CHART / "README.md": lambda: readme(CHART / "values.yaml"),
    CHART / "files/environment.yaml": environment_file,
}
