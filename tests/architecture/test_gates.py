"""Every gate is proven by a violation planted in a copy of the tree: a gate that cannot fail protects nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
MEMBERS = sorted(path.parent for folder in ("libs", "services") for path in (ROOT / folder).glob("*/pyproject.toml"))
HEADER = '"""Planted."""\n\nfrom __future__ import annotations\n\n'


class Planted(msgspec.Struct, frozen=True, kw_only=True):
    """A file that must make `gate` fail, saying `complaint`."""

    gate: str
    path: str
    code: str
    complaint: str

    def __str__(self) -> str:
        return f"{self.gate}: {self.complaint}"


PLANTED = msgspec.toml.decode((Path(__file__).parent / "planted.toml").read_bytes(), type=dict[str, list[Planted]])


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the configuration and the packages, with the checkout's environment."""
    copy = tmp_path_factory.mktemp("tree")
    shutil.copy(ROOT / "pyproject.toml", copy)
    ignore = shutil.ignore_patterns("__pycache__", ".venv", "*.egg-info")
    for folder in ("libs", "services"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=ignore)
    for folder in ("tests", "perf"):
        (copy / folder).mkdir()
    (copy / ".venv").symlink_to(BIN.parent)
    return copy


def _command(gate: str, path: str) -> list[str]:
    commands = {
        "ruff": [str(BIN / "ruff"), "check", "--no-cache", path],
        "basedpyright": [str(BIN / "basedpyright"), path],
        "lint-imports": [str(BIN / "lint-imports"), "--no-cache"],
        "deptry": [str(BIN / "deptry"), "--no-ansi", "."],
    }
    return commands[gate]


def _run(command: list[str], folder: Path) -> tuple[int, str]:
    """Run a gate on the copy's own packages; return its exit code and everything it said, on one line."""
    members = os.pathsep.join(str(folder / member.relative_to(ROOT)) for member in MEMBERS)
    environment = {**os.environ, "PYTHONPATH": members, "NO_COLOR": "1", "COLUMNS": "300"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize("planted", PLANTED["planted"], ids=str)
def test_gate_fails_on_a_planted_violation(tree: Path, planted: Planted) -> None:
    target = tree / planted.path
    target.write_text(HEADER + planted.code)
    try:
        code, said = _run(_command(planted.gate, planted.path), tree)
    finally:
        target.unlink()
    assert code == 1, said
    assert planted.complaint in said


def test_deptry_fails_on_an_undeclared_and_on_an_unused_dependency(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "m"\nversion = "1"\ndependencies = ["msgspec"]\n')
    (tmp_path / "planted.py").write_text("import httpx\n")
    code, said = _run(_command("deptry", "."), tmp_path)
    assert code == 1
    assert "DEP002 'msgspec' defined as a dependency but not used" in said
    assert "'httpx' imported but" in said


def test_pytest_turns_a_warning_into_a_failure_and_refuses_an_unknown_marker(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "test_warning.py").write_text("import warnings\n\n\ndef test_it():\n    warnings.warn('w')\n")
    (tests / "test_marker.py").write_text("import pytest\n\n\n@pytest.mark.unheard\ndef test_it():\n    pass\n")
    _, said = _run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], tmp_path)
    assert "'unheard' not found in `markers`" in said
    _, said = _run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_warning.py"], tmp_path)
    assert "1 failed" in said
