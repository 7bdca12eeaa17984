"""A customer's engagement health over HTTP."""

from __future__ import annotations

from typing import Any

from kaireon_api.operation import ITEM_ERRORS, Call, Operation, Reply, Role
from kaireon_application.customers.engagement_health import EngagementHealth, read_engagement


async def _get(call: Call[Any]) -> Reply:
    store = call.services.governance.engagement_health
    return Reply(content=await read_engagement(store, call.tenant_id, call.path["id"]))


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="GET",
        path="/api/v1/customers/{id}/engagement-health",
        role=Role.VIEWER,
        handler=_get,
        summary="How engaged a customer is, as worked out last night",
        answers={200: EngagementHealth, **ITEM_ERRORS},
    ),
)
