"""What a tenant may set for itself: declared once, with the value that holds until it is changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Protocol, cast
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from msgspec import UNSET, Meta, UnsetType

from kaireon_application.errors import InvalidInput
from kaireon_application.governance.actor import Actor

_Document = dict[str, Any]

Ratio = Annotated[float, Meta(ge=0, le=1)]
Percentage = Annotated[float, Meta(ge=0, le=100)]
Text = Annotated[str, Meta(min_length=1, max_length=255)]


class _Settings(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Base of every group of settings."""


class MlWorkerSettings(_Settings, frozen=True, kw_only=True):
    """A training tier of the tenant's own."""

    url: Annotated[str, Meta(pattern="^https?://", max_length=2048)] | None = None
    enabled: bool = False


class FairnessThresholds(_Settings, frozen=True, kw_only=True):
    """Where the fairness gate refuses a publication."""

    disparate_impact_ratio: Ratio = 0.8
    demographic_parity_gap: Ratio = 0.2
    equal_opportunity_gap: Ratio = 0.2


class FairnessOverride(_Settings, frozen=True, kw_only=True):
    """Who let a flow pass the fairness gate, and until when."""

    approved_by: Text
    expires_at: datetime


class FairnessPolicy(_Settings, frozen=True, kw_only=True):
    """The fairness gate of publications."""

    enabled: bool = False
    sensitive_attribute: Text | None = None
    thresholds: FairnessThresholds = FairnessThresholds()
    min_sample_size: Annotated[int, Meta(ge=1, le=1_000_000)] = 100
    continuous_recheck: bool = False
    override: FairnessOverride | None = None


class GovernanceSettings(_Settings, frozen=True, kw_only=True):
    """Whether a change needs another person than the one who asks for it."""

    four_eyes_enabled: bool = False


class AiAnalyzerSettings(_Settings, frozen=True, kw_only=True):
    """The group under which the product keeps its governance settings."""

    governance: GovernanceSettings = GovernanceSettings()


class StoreChoice(StrEnum):
    """The interaction stores, as tenants name them."""

    POSTGRESQL = "postgresql"
    KEYSPACES = "keyspaces"
    SCYLLA = "scylla"
    DYNAMODB = "dynamodb"
    CASSANDRA = "cassandra"


class TenantSettings(_Settings, frozen=True, kw_only=True):
    """Every setting of a tenant."""

    decision_trace_enabled: bool = True
    decision_trace_sample_rate: Ratio = 1
    default_ranking_profile_id: Text | None = None
    holdout_percentage: Percentage = 0
    enable_experiments: bool = True
    enable_budgets: bool = True
    enable_guardrails: bool = True
    enable_journeys: bool = True
    enable_content_management: bool = True
    enable_behavioral_metrics: bool = True
    max_offers_per_decision: Annotated[int, Meta(ge=1, le=100)] = 100
    default_channel_timeout: Annotated[int, Meta(ge=100, le=60_000)] = 5_000
    max_mandatory_per_day: Annotated[int, Meta(ge=0, le=100)] = 5
    retention_days: Annotated[int, Meta(ge=1, le=3_650)] = 365
    approval_workflow_enabled: bool = False
    require_publish_approval: bool = False
    ai_analyzer_settings: AiAnalyzerSettings = AiAnalyzerSettings()
    mfa_required: bool = False
    theme: Text = "system"
    locale: Text = "en-US"
    timezone: Text = "UTC"
    ml_worker: MlWorkerSettings = MlWorkerSettings()
    fairness_policy: FairnessPolicy = FairnessPolicy()
    flow_ir_enabled: bool = True
    interaction_store: StoreChoice | None = None


def _partial(settings: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """Return the type of a change: the same fields at every depth, each of which may be left out."""
    fields = [
        (field.name, _partial_field(field.type), msgspec.field(default=UNSET, name=field.encode_name))
        for field in msgspec.structs.fields(settings)
    ]
    return msgspec.defstruct(
        f"{settings.__name__}Change", fields, bases=(_Settings,), module=__name__, kw_only=True, frozen=True
    )


def _partial_field(declared: Any) -> Any:
    is_group = isinstance(declared, type) and issubclass(cast("type[object]", declared), _Settings)
    partial: Any = _partial(declared) if is_group else declared
    return partial | UnsetType


TenantSettingsChange: type[msgspec.Struct] = _partial(TenantSettings)
"""A change of some settings, merged into the stored ones at every depth."""


class TenantSettingsStore(Protocol):
    """Keeps what tenants have set, as documents. Every method may raise `Unavailable`."""

    async def read(self, tenant_id: UUID) -> dict[str, Any]:
        """Return what the tenant has set."""
        ...

    async def change(
        self, tenant_id: UUID, change: Callable[[dict[str, Any]], dict[str, Any]], actor: Actor
    ) -> dict[str, Any]:
        """Replace what is set, one writer at a time; raise the tenant's configuration version and note who did it."""
        ...


def effective_settings(stored: dict[str, Any]) -> TenantSettings:
    """Return every setting: what is stored, else its default."""
    return msgspec.convert(stored, TenantSettings)


def publishing_needs_approval(stored: dict[str, Any]) -> bool:
    """Return whether a flow may be published only once that was approved; settings that cannot be read say yes."""
    try:
        return effective_settings(stored).require_publish_approval
    except msgspec.ValidationError:
        return True


async def read_tenant_settings(store: TenantSettingsStore, tenant_id: UUID) -> TenantSettings:
    """Return every setting of the tenant."""
    return effective_settings(await store.read(tenant_id))


async def change_tenant_settings(
    store: TenantSettingsStore, tenant_id: UUID, change: msgspec.Struct, actor: Actor
) -> TenantSettings:
    """Merge the change into what is set; return every setting. Raises `InvalidInput` for a time zone unknown here."""
    changed = msgspec.to_builtins(change)
    _require_time_zone(changed.get("timezone"))
    return effective_settings(await store.change(tenant_id, lambda stored: _merged(stored, changed), actor))


def _merged(stored: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    merged = dict(stored)
    for name, value in change.items():
        before = merged.get(name)
        is_group = isinstance(before, dict) and isinstance(value, dict)
        merged[name] = _merged(cast("_Document", before), cast("_Document", value)) if is_group else value
    return merged


def _require_time_zone(name: str | None) -> None:
    if name is None:
        return
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError
        raise InvalidInput.at("$.timezone", f"{name} is no IANA time zone, such as Europe/Berlin") from None
