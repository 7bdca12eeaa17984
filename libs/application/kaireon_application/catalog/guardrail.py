"""Guardrails: what must hold of the offers that a customer may be shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from msgspec import Struct, field

from kaireon_application.catalog.entities import ListOrder
from kaireon_application.catalog.fields import Count, Key, Label, Name, OpenObject, Status, Text
from kaireon_application.catalog.kind import Change, EntityKind
from kaireon_core.decisioning.guardrails import expression_problems
from kaireon_core.problems import Problem


class NewGuardrail(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A guardrail as it is created: `hard` ones block, `soft` ones warn."""

    key: Key | None = None
    name: Name
    status: Status = "active"
    description: Text | None = None
    severity: Literal["hard", "soft"] = "hard"
    expression_ast: dict[str, Any]
    priority: Count = 50
    type: Label | None = None
    scope: Label = "global"
    config: OpenObject = field(default_factory=dict)
    conditions: list[OpenObject] = field(default_factory=list[OpenObject])


def _problems(change: Change) -> Iterator[Problem]:
    yield from expression_problems(change.document["expressionAst"], f"{change.path}.expressionAst")


GUARDRAIL = EntityKind(
    name="guardrail",
    noun="guardrail",
    path="guardrails",
    create=NewGuardrail,
    example={
        "key": "enough-choice",
        "name": "Enough choice",
        "severity": "soft",
        "expressionAst": {"all": [{"metric": "offerCount", "op": "gte", "value": 2}]},
    },
    order=ListOrder.PRIORITY,
    problems=_problems,
)
