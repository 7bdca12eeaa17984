"""Outcome types: what a customer may do with an offer."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from kaireon_application.catalog.entities import Entity, ListOrder
from kaireon_application.catalog.fields import Count, Key, Name, Status, Text
from kaireon_application.catalog.kind import Change, Document, EntityKind

# Own types stand behind the system's.
_FIRST_OWN_ORDINAL = 100


class NewOutcomeType(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """An outcome type as it is created."""

    key: Key | None = None
    name: Name
    status: Status = "active"
    description: Text | None = None
    classification: Literal["positive", "negative", "neutral"]
    category: Literal["impression", "response"] = "response"
    ordinal: Count = _FIRST_OWN_ORDINAL


def _prepare(change: Change) -> Document:
    return {"isSystem": False, **change.document}


def _locked(entity: Entity) -> str | None:
    return "a system outcome type can be neither changed nor deleted" if entity.body.get("isSystem") else None


OUTCOME_TYPE = EntityKind(
    name="outcome_type",
    noun="outcome type",
    path="outcome-types",
    create=NewOutcomeType,
    example={"key": "renewed", "name": "Renewed", "classification": "positive"},
    order=ListOrder.ORDINAL,
    key_separator="_",
    derived_fields={"is_system": bool},
    prepare=_prepare,
    locked=_locked,
)
