"""Tenant settings over HTTP."""

from __future__ import annotations

from typing import Any

import msgspec

from kaireon_api.operation import Call, Operation, Reply, Role
from kaireon_application.platform.tenant_settings import (
    TenantSettings,
    TenantSettingsChange,
    change_tenant_settings,
    read_tenant_settings,
)

_PATH = "/api/v1/tenant-settings"


async def _read(call: Call[Any]) -> Reply:
    return Reply(content=await read_tenant_settings(call.services.tenants, call.tenant_id))


async def _change(call: Call[msgspec.Struct]) -> Reply:
    return Reply(content=await change_tenant_settings(call.services.tenants, call.tenant_id, call.body, call.actor))


OPERATIONS = (
    Operation(
        method="GET",
        path=_PATH,
        role=Role.ADMIN,
        handler=_read,
        summary="Every setting of the tenant, with its default where it is not set.",
        answers={200: TenantSettings},
    ),
    Operation(
        method="PUT",
        path=_PATH,
        role=Role.ADMIN,
        handler=_change,
        summary="Change some settings; the others stay, at every depth.",
        body=TenantSettingsChange,
        example={"timezone": "Europe/Berlin", "fairnessPolicy": {"thresholds": {"disparateImpactRatio": 0.75}}},
        answers={200: TenantSettings},
    ),
)
