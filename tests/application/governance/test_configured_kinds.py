"""What readers and the audit log are shown of each kind."""

from __future__ import annotations

import pkgutil
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING
from uuid import uuid4

import kaireon_application
from kaireon_application.catalog.entities import Entity
from kaireon_application.catalog.kind import Document, EntityKind
from kaireon_application.catalog.offer import OFFER
from kaireon_application.catalog.read_entity import view
from kaireon_application.governance import configured_kinds
from kaireon_application.governance.configured_kinds import CONFIGURED_KINDS, shown

if TYPE_CHECKING:
    import pytest


def test_every_kind_is_known() -> None:
    names = [found.name for found in pkgutil.walk_packages(kaireon_application.__path__, "kaireon_application.")]
    values = [value for name in names for value in vars(import_module(name)).values()]
    assert {value.name for value in values if isinstance(value, EntityKind)} == set(CONFIGURED_KINDS)


def test_what_a_kind_keeps_to_itself_is_in_neither_answers_nor_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_secret(document: Document) -> Document:
        return {**document, "secret": "***"}

    kind = replace(OFFER, shown=without_secret)
    monkeypatch.setitem(configured_kinds.CONFIGURED_KINDS, "offer", kind)
    now = datetime.now(UTC)
    offer = Entity(
        id=uuid4(),
        kind="offer",
        key="gold",
        name="Gold",
        status="active",
        body={"secret": "hunter2"},
        row_version=1,
        created_at=now,
        updated_at=now,
    )
    assert view(uuid4(), kind, offer)["secret"] == "***"
    assert shown("offer", {"name": "Gold", "secret": "hunter2"}) == {"name": "Gold", "secret": "***"}
