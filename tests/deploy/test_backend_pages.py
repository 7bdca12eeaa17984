"""Every backend has its page, and every setting of one stands on a page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kaireon_runtime.brokers import AwsSettings, KafkaSettings, MskSettings, Publisher, PulsarSettings
from kaireon_runtime.settings import ProcessSettings, SearchBackend, SearchSettings
from kaireon_runtime.store_settings import InteractionStoreSettings, StoreBackend

OPERATIONS = Path(__file__).parents[2] / "docs/operations"
PAGES = OPERATIONS / "backends"
INDEX = (PAGES / "README.md").read_text(encoding="utf-8")
BACKENDS = [str(backend) for kind in (Publisher, StoreBackend, SearchBackend) for backend in kind if backend != "pg"]
SETTINGS = [KafkaSettings, MskSettings, AwsSettings, PulsarSettings, InteractionStoreSettings, SearchSettings]
INHERITED = set(ProcessSettings.model_fields)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_backend_has_its_page_with_its_limits(backend: str) -> None:
    row = next(row for row in INDEX.splitlines() if re.search(rf"[`=]{backend}`", row))
    page = re.search(r"\]\(([\w-]+\.md)\)", row)
    assert page is not None
    text = (PAGES / page[1]).read_text(encoding="utf-8")
    assert re.search(rf"[`=]{backend}`", text)
    assert re.search("^## (What is not|Limits)|The limits are|and what is not", text, re.MULTILINE)


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: settings.__name__)
def test_every_setting_stands_on_a_page(settings: type[ProcessSettings]) -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in OPERATIONS.rglob("*.md"))
    names = {name.upper() for name in set(settings.model_fields) - INHERITED}
    assert {name for name in names if f"`{name}`" not in text} == set()
