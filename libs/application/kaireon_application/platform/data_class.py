"""Classes of data: how long each is kept, and whether it is on legal hold."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Protocol
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from kaireon_application.governance.actor import Actor


class DataClass(StrEnum):
    """What is kept and deleted together."""

    INTERACTIONS = "interactions"
    SUMMARIES = "summaries"
    DECISIONS = "decisions"
    RUNS = "runs"
    AUDIT = "audit"
    OFF_POLICY = "off_policy"
    MODELS = "models"
    DSAR = "dsar"


# Kept for as long as the tenant's `retentionDays` says, unless the class has a number of its own.
BY_SETTING = frozenset({DataClass.INTERACTIONS, DataClass.SUMMARIES, DataClass.DECISIONS, DataClass.RUNS})
# The number of the others; None: for ever.
DEFAULT_DAYS: dict[DataClass, int | None] = {
    DataClass.AUDIT: None,
    DataClass.OFF_POLICY: None,
    DataClass.MODELS: 30,
    DataClass.DSAR: 30,
}


class RetentionForm(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A change of one class; `retentionDays` null goes back to the default."""

    data_class: DataClass
    retention_days: Annotated[int, Meta(ge=1, le=3650)] | UnsetType | None = UNSET
    legal_hold: bool | UnsetType = UNSET


class RetentionConfig(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A class as it is now; `retentionDays` null: for ever. `updatedAt` null: as by default."""

    data_class: DataClass
    retention_days: int | None
    legal_hold: bool
    updated_at: datetime | None


class StoredRetention(msgspec.Struct, frozen=True, kw_only=True):
    """What a tenant has set for a class."""

    data_class: str
    retention_days: int | None
    legal_hold: bool
    updated_at: datetime | None = None


class RetentionConfigs(Protocol):
    """Keeps what tenants set. Every method raises `Unavailable` while the storage is away."""

    async def read(self, tenant_id: UUID) -> tuple[int, list[StoredRetention]]:
        """Return the tenant's `retentionDays` and what it has set by class."""
        ...

    async def change(self, tenant_id: UUID, form: RetentionForm, actor: Actor) -> None:
        """Set what the form sets, and note it in the audit log."""
        ...


async def read_retention(configs: RetentionConfigs, tenant_id: UUID) -> list[RetentionConfig]:
    """Return every class of the tenant."""
    setting_days, stored = await configs.read(tenant_id)
    found = {one.data_class: one for one in stored}
    return [_effective(data_class, setting_days, found.get(data_class)) for data_class in DataClass]


def kept_days(setting_days: int, stored: dict[str, StoredRetention]) -> dict[DataClass, int | None]:
    """Return for how many days each class is kept; None: for ever, or for as long as it is on hold."""
    return {
        one.data_class: None if one.legal_hold else one.retention_days
        for one in (_effective(data_class, setting_days, stored.get(data_class)) for data_class in DataClass)
    }


def _effective(data_class: DataClass, setting_days: int, stored: StoredRetention | None) -> RetentionConfig:
    default = setting_days if data_class in BY_SETTING else DEFAULT_DAYS[data_class]
    own = None if stored is None else stored.retention_days
    return RetentionConfig(
        data_class=data_class,
        retention_days=default if own is None else own,
        legal_hold=stored is not None and stored.legal_hold,
        updated_at=None if stored is None else stored.updated_at,
    )
