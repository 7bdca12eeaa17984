"""What cannot be is refused with its remedy; what is named and not filled in is told, and refused when strict."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.helm.rendering import CHART, Refused, notes, render

MESSAGES = {"_problems": 22, "_notes": 9}
SAID = tomllib.loads((Path(__file__).parent / "said.toml").read_text(encoding="utf-8"))


def cases(table: str) -> list[Any]:
    """Return the cases of a table: topology, settings, line."""
    found = [(case["topology"], tuple(case["sets"]), case["line"]) for case in SAID[table]]
    return [pytest.param(*case, id=f"{case[0]}-{' '.join(case[1])}-{case[2][:30]}") for case in found]


@pytest.mark.parametrize(("topology", "sets", "line"), cases("errors"))
def test_what_cannot_be_is_refused_with_its_remedy(topology: str, sets: tuple[str, ...], line: str) -> None:
    with pytest.raises(Refused) as refused:
        render(topology, *sets)
    assert line in str(refused.value).splitlines()


@pytest.mark.parametrize(("topology", "sets", "line"), cases("mismatches"))
def test_what_is_not_filled_in_is_told_and_refused_when_strict(topology: str, sets: tuple[str, ...], line: str) -> None:
    assert f"  - {line}" in notes(topology, "strict=false", *sets).splitlines()
    with pytest.raises(Refused) as refused:
        render(topology, "strict=true", *sets)
    assert line in str(refused.value).splitlines()


def test_all_mistakes_are_told_together() -> None:
    with pytest.raises(Refused) as refused:
        render("base", "redis.cluster=true", "api.ingress.enabled=true", "config.TYPO=1")
    said = str(refused.value).splitlines()
    assert len([line for line in said if line.endswith((".", "variables."))]) == 3


@pytest.mark.parametrize(("topology", "sets", "line"), cases("schema"))
def test_the_schema_refuses_what_is_no_value(topology: str, sets: tuple[str, ...], line: str) -> None:
    with pytest.raises(Refused) as refused:
        render(topology, *sets)
    assert line in str(refused.value)


def test_a_complete_topology_misses_nothing() -> None:
    assert "NOT FILLED IN" not in notes("large")
    assert "NOT FILLED IN" not in notes("base")


def test_notes_of_the_overlay_name_everything_that_it_leaves_open() -> None:
    missing = [line for line in notes("overlay").splitlines() if line.startswith("  - ")]
    named = ("kafka.brokers", "dynamodb.table", "dynamodb.region", "postgres.external.host", "redis.external.url")
    for name in (*named, "redis.broker", "opensearch.url"):
        assert any(f"{name} is empty" in line for line in missing), name
    assert len(missing) == 7


@pytest.mark.parametrize(("topology", "sets", "line"), cases("notes"))
def test_notes_say_what_comes_next(topology: str, sets: tuple[str, ...], line: str) -> None:
    assert line in notes(topology, *sets).splitlines()


@pytest.mark.parametrize(("file", "tables"), [("_problems", ("errors", "mismatches")), ("_notes", ("notes",))])
def test_everything_that_may_be_said_is_a_case(file: str, tables: tuple[str, ...]) -> None:
    """In these templates a line that does not begin with an action is a message."""
    text = re.sub(r"{{/\*.*?\*/}}", "", (CHART / f"templates/{file}.tpl").read_text(encoding="utf-8"), flags=re.DOTALL)
    messages = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("{{-")]
    said = [case["line"].strip() for table in tables for case in SAID[table]]
    patterns = [".+".join(map(re.escape, re.split(r"{{.*?}}", message))) for message in messages]
    assert len(patterns) >= MESSAGES[file]
    assert [each for each in patterns if not any(re.fullmatch(each, line) for line in said)] == []


def test_notes_keep_advice_to_where_it_applies() -> None:
    said = notes("trial")
    for word in ("advisory", "ScaledObjects", "Pods wait", "choose the way"):
        assert word not in said
