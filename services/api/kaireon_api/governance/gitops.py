"""Configuration from git over HTTP."""

from __future__ import annotations

from kaireon_api.catalog.crud import caller
from kaireon_api.operation import WRITE_ERRORS, Call, Operation, Reply, Role
from kaireon_application.governance.gitops import ApplyForm, Plan, apply_documents

_BODY_LIMIT = 10 * 1024 * 1024


async def _apply(call: Call[ApplyForm]) -> Reply:
    plan = await apply_documents(call.services.governance.gitops, caller(call), call.body)
    if plan.applied:
        call.services.engine.snapshots.invalidate(str(call.tenant_id))
    return Reply(content=plan)


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="POST",
        path="/api/v1/gitops/apply",
        role=Role.ADMIN,
        handler=_apply,
        summary="Make things be as these documents say, all of them or none, or say what that would change",
        body=ApplyForm,
        example={
            "documents": [{"kind": "offer", "key": "gold", "spec": {"name": "Gold card", "priority": 80}}],
            "dryRun": True,
        },
        body_limit=_BODY_LIMIT,
        answers={200: Plan, **WRITE_ERRORS},
    ),
)
