"""The documents: links lead somewhere, decisions have their parts, lists match what they list."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("perf/*.md")])
DECISIONS = sorted(ROOT.glob("docs/decisions/0*.md"))
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
PATH = re.compile(r"`((?:libs|services|tests|deploy|docs|perf)/[\w./-]+)`")
README_LINES = 100  # two screens


def _identity(document: Path) -> str:
    return str(document.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=_identity)
def test_links_and_paths_lead_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    local = [link for link in LINK.findall(text) if "://" not in link]
    assert [link for link in local if not (document.parent / link).exists()] == []
    assert [path for path in PATH.findall(text) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("decision", DECISIONS, ids=_identity)
def test_decision_has_its_parts_and_its_number(decision: Path) -> None:
    text = decision.read_text(encoding="utf-8")
    assert text.startswith(f"# {decision.name[:4]}: ")
    parts = re.findall(r"^\*\*(Context|Decision|Consequence|Check)\.\*\*", text, re.MULTILINE)
    assert parts == ["Context", "Decision", "Consequence", "Check"]
    assert f"({decision.name})" in (decision.parent / "README.md").read_text(encoding="utf-8")


def test_decisions_are_numbered_without_gaps() -> None:
    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))


def test_every_declared_dependency_has_its_reason() -> None:
    listed = (ROOT / "docs/decisions/0009-dependencies.md").read_text(encoding="utf-8")
    names: set[str] = set()
    for path in [ROOT / "pyproject.toml", *ROOT.glob("*/*/pyproject.toml")]:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        project = document["project"]
        groups = [
            project.get("dependencies", []),
            *project.get("optional-dependencies", {}).values(),
            *document.get("dependency-groups", {}).values(),
        ]
        names |= {re.split(r"[^\w-]", requirement)[0] for group in groups for requirement in group}
    missing = {name for name in names if not re.search(rf"\b{re.escape(name)}\b", listed)}
    assert {name for name in missing if not name.startswith("kaireon-")} == set()


def test_readme_fits_two_screens() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= README_LINES
