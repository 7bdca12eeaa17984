"""The shape of the tree: few entries at the root, small files and functions, names that can be guessed."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST_ROOT_ENTRIES = 16
MOST_FILE_LINES = 400
MOST_FUNCTION_LINES = 40
AREAS = {
    "catalog",
    "decisioning",
    "learning",
    "experimentation",
    "customers",
    "engagement",
    "governance",
    "platform",
}
# Folders of a package that are no area, and why.
OTHER_FOLDERS = {
    "kaireon_core": {"formula"},  # a small language, which no area owns
    "kaireon_storage": {
        "postgres",
        "redis",
        "broker",
        "external",
        "outbound",
        "interactions",
        "search",
        "migrations",
    },  # one folder for each server
    "kaireon_testkit": {"native", "contracts"},  # servers as processes; suites for ports
    "kaireon_worker": {"samples", "queues"},  # data packs; one file for each queue
    "kaireon_outbox_publisher": {"sinks"},  # one file for each event bus
    "kaireon_stream": {"sources"},  # one file for each broker
    "kaireon_cli": {"run", "commands", "doctor"},  # the supervisor; one file for each command; one for each server
}
# Longer functions, and why.
LONG_FUNCTIONS = {
    ("libs/decision-core/kaireon_core/decisioning/compile.py", "compile_flow"),  # half of it the fields of its result
    ("services/api/kaireon_api/app.py", "build_services"),  # most of it the fields of its result
    ("services/worker/kaireon_worker/samples/completejourney/rules.py", "qualification_rules"),  # a table, as code
    ("services/worker/kaireon_worker/samples/completejourney/rules.py", "contact_policies"),  # the same
}
# No nouns: whatever is in them belongs to a noun's own file. `models` are ML models here.
FORBIDDEN_NAMES = {"utils.py", "util.py", "helpers.py", "helper.py", "common.py", "misc.py", "models.py"}

_LISTED = subprocess.run(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard"],  # noqa: S607 - git is found on the path
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
).stdout.splitlines()
FILES = sorted(name for name in _LISTED if (ROOT / name).is_file())
SOURCES = [name for name in FILES if name.endswith(".py")]
PACKAGES = [name for name in SOURCES if name.startswith(("libs/", "services/"))]


def test_root_has_few_visible_entries() -> None:
    entries = {name.split("/")[0] for name in FILES if not name.startswith(".")}
    assert len(entries) <= MOST_ROOT_ENTRIES, sorted(entries)


@pytest.mark.parametrize("name", SOURCES)
def test_file_and_its_functions_are_small(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_FILE_LINES, f"{name} holds two nouns"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (name, node.name) not in LONG_FUNCTIONS:
            lines = (node.end_lineno or node.lineno) - node.lineno + 1 - _docstring_lines(node)
            assert lines <= MOST_FUNCTION_LINES, f"{name}:{node.lineno} {node.name} has {lines} lines"


def _docstring_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[0]
    if ast.get_docstring(node) is None:
        return 0
    return (first.end_lineno or first.lineno) - first.lineno + 1


def test_no_file_has_a_name_that_says_nothing() -> None:
    assert [name for name in SOURCES if Path(name).name in FORBIDDEN_NAMES] == []


def test_folders_of_a_package_are_areas() -> None:
    strange = {
        "/".join(parts[2:4])
        for parts in (name.split("/") for name in PACKAGES)
        if len(parts) > 4 and parts[3] not in AREAS | OTHER_FOLDERS.get(parts[2], set())
    }
    assert strange == set()


def test_every_package_is_typed() -> None:
    members = sorted({"/".join(name.split("/")[:3]) for name in PACKAGES})
    assert [member for member in members if f"{member}/py.typed" not in FILES] == []


def test_sql_lives_in_sql_files_only() -> None:
    """Every folder of statements is storage's; a service holds none."""
    assert [name for name in FILES if name.endswith(".sql") and not name.startswith("libs/storage/")] == []
