"""deptry for each member, and for the tests: nothing undeclared, nothing unused; exceptions stand in pyproject.toml."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEPTRY = Path(sys.executable).parent / "deptry"
MEMBERS = sorted(str(path.parent.relative_to(ROOT)) for path in ROOT.glob("*/*/pyproject.toml"))


@pytest.mark.parametrize(("folder", "sources"), [*((member, ["."]) for member in MEMBERS), (".", ["tests", "perf"])])
def test_declares_what_is_imported_and_imports_what_is_declared(folder: str, sources: list[str]) -> None:
    command = [str(DEPTRY), "--no-ansi", *sources]
    done = subprocess.run(command, cwd=ROOT / folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
