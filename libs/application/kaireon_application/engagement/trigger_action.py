"""What a trigger does when it fires, as it is configured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta, Struct

from kaireon_application.catalog.fields import EntityRef, Label
from kaireon_application.decisioning.wire import ShortText, SlotCount
from kaireon_application.engagement.journey_node import Open
from kaireon_core.problems import problems_of

_TOKEN = r"^[A-Za-z0-9-]+$"  # noqa: S105 - of a header's name
Header: TypeAlias = Annotated[str, Meta(min_length=1, max_length=100, pattern=_TOKEN)]
HeaderValue: TypeAlias = Annotated[str, Meta(max_length=1_000, pattern=r"^[\x20-\x7e]*$")]


class ActionType(StrEnum):
    """The actions."""

    ENROLL_JOURNEY = "enroll_journey"
    FIRE_RECOMMEND = "fire_recommend"
    WEBHOOK = "webhook"
    UPDATE_ATTRIBUTE = "update_attribute"


class _Config(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What an action is told."""


class EnrollConfig(_Config, frozen=True, kw_only=True):
    """The journey that the customer enters."""

    journey_id: EntityRef


class RecommendConfig(_Config, frozen=True, kw_only=True):
    """What is asked, as of /recommend."""

    decision_flow_key: EntityRef | None = None
    channel: ShortText | None = None
    placement: ShortText | None = None
    limit: SlotCount = 5
    context: Open = {}


class WebhookConfig(_Config, frozen=True, kw_only=True):
    """Where the event is sent, and the reference of the secret that signs it: the installation's when there is none."""

    url: Annotated[str, Meta(max_length=2_048)]
    secret: Annotated[str, Meta(max_length=300)] | None = None
    headers: Annotated[dict[Header, HeaderValue], Meta(max_length=20)] = {}
    timeout_ms: Annotated[int, Meta(ge=100, le=30_000)] = 5_000


class AttributeConfig(_Config, frozen=True, kw_only=True):
    """Which field of the customer's row in which schema is set: to a value, or to one of the event's."""

    schema_id: EntityRef
    field: Label
    value: Any = None
    value_from: Label | None = None


ActionConfig: TypeAlias = EnrollConfig | RecommendConfig | WebhookConfig | AttributeConfig

CONFIGS: Mapping[str, type[ActionConfig]] = MappingProxyType(
    {
        ActionType.ENROLL_JOURNEY: EnrollConfig,
        ActionType.FIRE_RECOMMEND: RecommendConfig,
        ActionType.WEBHOOK: WebhookConfig,
        ActionType.UPDATE_ATTRIBUTE: AttributeConfig,
    }
)


def action_of(body: Mapping[str, Any]) -> ActionConfig:
    """Return the action of a stored trigger."""
    return msgspec.convert(body["actionConfig"], CONFIGS[body["actionType"]])


def config_problems(action_type: str, config: object, path: str) -> Iterator[Any]:
    """Yield what is wrong with the types of a config."""
    yield from problems_of(config, CONFIGS[action_type], path)
