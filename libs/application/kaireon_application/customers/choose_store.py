"""Choosing where a tenant's interactions are read from, among the stores of this installation."""

from __future__ import annotations

from uuid import UUID

import msgspec

from kaireon_application.customers.stored_history import StoredHistory
from kaireon_application.errors import InvalidInput
from kaireon_application.governance.actor import Actor
from kaireon_application.platform.tenant_settings import (
    StoreChoice,
    TenantSettingsChange,
    TenantSettingsStore,
    change_tenant_settings,
    read_tenant_settings,
)


class StoreForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which store to read from."""

    backend: StoreChoice


class StoreSetting(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Which store is read from, and every one that the product knows."""

    backend: StoreChoice
    allowed_backends: list[StoreChoice]


async def read_store_setting(settings: TenantSettingsStore, history: StoredHistory, tenant_id: UUID) -> StoreSetting:
    """Return the store that the tenant reads from: what it has chosen, where that is still there, else the default."""
    chosen = (await read_tenant_settings(settings, tenant_id)).interaction_store
    return _setting(history, chosen)


async def choose_store(
    settings: TenantSettingsStore, history: StoredHistory, tenant_id: UUID, form: StoreForm, actor: Actor
) -> StoreSetting:
    """Read from another store from now on; nothing is moved. Raises `InvalidInput` for one that is not here."""
    if form.backend not in history.backends:
        here = ", ".join(history.backends)
        raise InvalidInput.at("$.backend", f"{form.backend} is no store of this installation, which has: {here}")
    change = msgspec.convert({"interactionStore": form.backend}, TenantSettingsChange)
    changed = await change_tenant_settings(settings, tenant_id, change, actor)
    return _setting(history, changed.interaction_store)


def _setting(history: StoredHistory, chosen: StoreChoice | None) -> StoreSetting:
    return StoreSetting(backend=StoreChoice(history.backend_of(chosen)), allowed_backends=list(StoreChoice))
