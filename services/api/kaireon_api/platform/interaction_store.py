"""Which interaction store a tenant reads from, over HTTP."""

from __future__ import annotations

from typing import Any

from kaireon_api.operation import Call, Operation, Reply, Role
from kaireon_application.customers.choose_store import StoreForm, StoreSetting, choose_store, read_store_setting

_PATH = "/api/v1/settings/interaction-store"


async def _read(call: Call[Any]) -> Reply:
    services = call.services
    return Reply(content=await read_store_setting(services.tenants, services.engine.stored_history, call.tenant_id))


async def _choose(call: Call[StoreForm]) -> Reply:
    services = call.services
    history = services.engine.stored_history
    return Reply(content=await choose_store(services.tenants, history, call.tenant_id, call.body, call.actor))


OPERATIONS = (
    Operation(
        method="GET",
        path=_PATH,
        role=Role.ADMIN,
        handler=_read,
        summary="The store that customers' histories are read from.",
        answers={200: StoreSetting},
    ),
    Operation(
        method="PUT",
        path=_PATH,
        role=Role.ADMIN,
        handler=_choose,
        summary="Read customers' histories from another store of this installation; nothing is moved.",
        body=StoreForm,
        example={"backend": "postgresql"},
        answers={200: StoreSetting},
    ),
)
