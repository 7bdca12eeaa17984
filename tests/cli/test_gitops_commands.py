"""`kaireon apply` and `kaireon diff` against a real API."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from kaireon_testkit.platform.tenant import Tenant
from tests.api.test_process import environment, started, until_ready
from tests.cli.test_commands import assert_refused, kaireon

OFFERS = """
kind: Offer
key: gold
spec: {name: Gold, priority: 80, categoryId: cards}
---
kind: offer
key: silver
spec: {name: Silver}
"""


@pytest.fixture
async def api(database_url: str, redis_url: str, tenant: Tenant, tmp_path: Path) -> AsyncIterator[Mapping[str, str]]:
    """A running API; yields what names it for the command."""
    variables = environment(database_url, redis_url)
    url = f"http://127.0.0.1:{variables['API_PORT']}"
    with (tmp_path / "api.log").open("wb") as log, started(variables, log):
        await until_ready(url)
        yield {"KAIREON_API_URL": url, "KAIREON_API_KEY": tenant.api_keys["admin"]}


async def test_a_directory_is_applied_and_compared(api: Mapping[str, str], tmp_path: Path) -> None:
    directory = tmp_path / "config"
    (directory / "deep").mkdir(parents=True)
    (directory / "offers.yaml").write_text(OFFERS)
    (directory / "deep" / "cards.yml").write_text("kind: Category\nkey: cards\nspec: {name: Cards}\n")
    (directory / "notes.txt").write_text("no document")

    new = kaireon("diff", "-f", str(directory), environment=api)
    dry = kaireon("apply", "-f", str(directory), "--dry-run", environment=api)
    assert (new.returncode, dry.returncode, new.stdout) == (1, 0, dry.stdout)
    plan = ["+ category cards", "+ offer gold", "+ offer silver"]
    assert new.stdout.splitlines() == [*plan, "not applied: 3 to create, 0 to update, 0 unchanged"]

    done = kaireon("apply", "-f", str(directory), environment=api)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [*plan, "applied: 3 to create, 0 to update, 0 unchanged"]
    same = kaireon("diff", "-f", str(directory), environment=api)
    assert (same.returncode, same.stdout.splitlines()[0]) == (0, "= category cards")

    (directory / "offers.yaml").write_text(OFFERS.replace("80", "30"))
    changed = kaireon("diff", "-f", str(directory), environment=api)
    assert (changed.returncode, changed.stdout.splitlines()[1:3]) == (1, ["~ offer gold", "    priority: 80 -> 30"])
    told = json.loads(kaireon("apply", "-f", str(directory), "--json", environment=api).stdout)
    assert [step["action"] for step in told["steps"]] == ["unchanged", "update", "unchanged"]


WRONG = {
    "a: [": "config/x.yaml",
    "kind: Offer\nkey: a\n": "must have kind, key and spec",
    "[1, 2]": "must have kind, key and spec",
    "kind: Nope\nkey: a\nspec: {}\n": "nope is not known",
    "kind: Offer\nkey: a\nspec: {name: 5}\n": "offer 'a'",
    "": "has no document",
}


async def test_what_cannot_be_applied_is_one_line(api: Mapping[str, str], tmp_path: Path) -> None:
    directory = tmp_path / "config"
    directory.mkdir()
    for content, told in WRONG.items():
        (directory / "x.yaml").write_text(content)
        assert_refused(kaireon("apply", "-f", str(directory), environment=api), told)
    assert_refused(kaireon("apply", "-f", str(tmp_path / "none"), environment=api), "is no directory")
    (directory / "x.yaml").write_text(OFFERS)
    nowhere = {**api, "KAIREON_API_URL": "http://127.0.0.1:1"}
    assert_refused(kaireon("diff", "-f", str(directory), environment=nowhere), "does not answer")
