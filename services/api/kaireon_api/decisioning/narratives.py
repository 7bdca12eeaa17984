"""POST /decisions/{id}/narrative: a decision in words."""

from __future__ import annotations

from typing import Any

from kaireon_api.decisioning.decision_id import NO_ID, decision_id
from kaireon_api.operation import WRITE_ERRORS, Call, Operation, Reply, Role
from kaireon_application.catalog.refusal import refuse
from kaireon_application.decisioning.explain_trace import StoredTrace, find_trace
from kaireon_application.decisioning.narrative import Narrative, NarrativeRequest, narrate
from kaireon_application.errors import InvalidInput, NotFound


async def _narrate(call: Call[NarrativeRequest]) -> Reply:
    trace = await _trace(call)
    refuse(InvalidInput, call.body.problems())
    return Reply(content=narrate(trace, call.body))


async def _trace(call: Call[Any]) -> StoredTrace:
    id_ = decision_id(call.path["id"])
    if id_ == NO_ID:
        raise NotFound(f"there is no decision '{call.path['id']}'")
    return await find_trace(call.services.engine.traces, call.tenant_id, id_)


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="POST",
        path="/api/v1/decisions/{id}/narrative",
        role=Role.VIEWER,
        handler=_narrate,
        summary="Tell a decision in words, for a regulator, an agent or the customer",
        body=NarrativeRequest,
        example={"mode": "agent", "language": "en"},
        find=_trace,
        answers={200: Narrative, **WRITE_ERRORS},
    ),
)
