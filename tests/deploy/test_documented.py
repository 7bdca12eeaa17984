"""Each row of the two pages of deployment has a test that is there, and a page that says what differs."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TABLES: dict[str, list[dict[str, Any]]] = tomllib.loads((Path(__file__).parent / "documented.toml").read_text())
# How many rows each table has, so that none is lost.
ROWS = {
    "usage": 2,
    "tier layout": 7,
    "datastores": 5,
    "overlay keys": 4,
    "honest limits": 5,
    "tiers": 5,
    "jobs": 8,
    "modes": 4,
    "redis": 8,
    "ml worker": 4,
    "without the ml worker": 4,
    "response times": 13,
    "levers": 6,
    "tips": 6,
}
DIFFERENT = [(row["is"], *row["ours"]) for rows in TABLES.values() for row in rows if "ours" in row]


@pytest.fixture(scope="module")
def collected() -> set[str]:
    """The ids of the tests in the files that are named."""
    files = {test.split("::")[0] for rows in TABLES.values() for row in rows for test in row["by"]}
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "", *sorted(files)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300)
    ids = {line for line in done.stdout.splitlines() if "::" in line}
    return ids | {name.partition("[")[0] for name in ids} | {name.partition("::")[0] for name in ids}


def test_every_table_has_all_of_its_rows() -> None:
    assert {name: len(rows) for name, rows in TABLES.items()} == ROWS
    said = [row["is"] for rows in TABLES.values() for row in rows]
    assert len(said) == len(set(said))


def test_every_row_has_tests_that_exist(collected: set[str]) -> None:
    named = {row["is"]: row["by"] for rows in TABLES.values() for row in rows}
    assert all(named.values())
    assert {row: set(tests) - collected for row, tests in named.items() if set(tests) - collected} == {}


@pytest.mark.parametrize(("row", "page", "words"), DIFFERENT)
def test_what_differs_is_told_on_its_page(row: str, page: str, words: str) -> None:
    assert words in " ".join((ROOT / page).read_text().split()), row
