"""Triggers: when a customer's event comes and a condition holds, something is done, at most once in so long."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from kaireon_application.catalog.entities import ListOrder
from kaireon_application.catalog.fields import Key, Name, Percentage, Status, Text
from kaireon_application.catalog.kind import Change, Document, EntityKind, Filter, Reference
from kaireon_application.engagement.behavioral_event import EventType
from kaireon_application.engagement.condition import condition_problems
from kaireon_application.engagement.journey_node import Open
from kaireon_application.engagement.trigger_action import ActionType, WebhookConfig, action_of, config_problems
from kaireon_application.learning.endpoint_rules import SECRET_REFERENCE
from kaireon_core.problems import Problem

KIND = "trigger"
_OLDER_NAMES = {"decision_request": ActionType.FIRE_RECOMMEND.value}
_MAX_COOLDOWN_MS = 366 * 24 * 3600 * 1000
# The fields of actions that name other things, with the kinds of these.
_REFERRED = {"journeyId": "journey", "decisionFlowKey": "decision_flow", "schemaId": "schema"}


class NewTrigger(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A trigger as it is created; those of higher `priority` are looked at first."""

    key: Key | None = None
    name: Name
    status: Status = "active"
    description: Text | None = None
    event_type: EventType
    condition: Open = {}
    action_type: Literal["enroll_journey", "fire_recommend", "webhook", "update_attribute", "decision_request"]
    action_config: dict[str, Any] = {}
    priority: Percentage = 50
    cooldown_ms: Annotated[int, Meta(ge=0, le=_MAX_COOLDOWN_MS)] = 0


def _prepare(change: Change) -> Document:
    given: str = change.document["actionType"]
    return {**change.document, "actionType": _OLDER_NAMES.get(given, given)}


def _problems(change: Change) -> Iterator[Problem]:
    document = change.document
    yield from condition_problems(document["condition"], f"{change.path}.condition")
    path = f"{change.path}.actionConfig"
    wrong = list(config_problems(document["actionType"], document["actionConfig"], path))
    yield from wrong
    if wrong:
        return
    action = action_of(document)
    if isinstance(action, WebhookConfig):
        unreachable = change.caller.reach.problem(action.url)
        if unreachable is not None:
            yield Problem(path=f"{path}.url", message=unreachable)
        if action.secret is not None and SECRET_REFERENCE.fullmatch(action.secret) is None:
            yield Problem(path=f"{path}.secret", message="must be secret://env/NAME or secret://file/NAME")


def _references(document: Document) -> Iterable[Reference]:
    for field, kind in _REFERRED.items():
        if document["actionConfig"].get(field) is not None:
            yield Reference(path=("actionConfig", field), kind=kind)


TRIGGER = EntityKind(
    name=KIND,
    noun="trigger",
    path="triggers",
    create=NewTrigger,
    example={
        "name": "Large carts",
        "key": "large-carts",
        "eventType": "cart.abandoned",
        "condition": {"all": [{"field": "properties.amount", "operator": "gt", "value": 100}]},
        "actionType": "fire_recommend",
        "actionConfig": {"channel": "email", "limit": 1},
        "cooldownMs": 86_400_000,
    },
    order=ListOrder.PRIORITY,
    filters=(Filter(parameter="eventType", field="eventType"),),
    references=_references,
    prepare=_prepare,
    problems=_problems,
)
