"""Drift over HTTP: a check of a model, at once or as a job, and what earlier ones have found."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from kaireon_api.catalog.crud import finder
from kaireon_api.operation import ITEM_ERRORS, WRITE_ERRORS, Call, Operation, Reply, Role
from kaireon_api.platform.jobs import accept
from kaireon_application.catalog.fields import EntityRef
from kaireon_application.catalog.read_entity import get_entity
from kaireon_application.errors import InvalidInput, NotFound
from kaireon_application.learning.algorithm_model import ALGORITHM_MODEL, KIND
from kaireon_application.learning.check_drift import is_job, request_drift_check
from kaireon_application.learning.drift_check import DriftCheck, DriftRequest
from kaireon_application.platform.jobs import JobAccepted

_BODY_LIMIT = 10 * 1024 * 1024
_EXAMPLE = {
    "reference": {"age": [23, 31, 44, 52], "plan": ["basic", "gold", "gold", None]},
    "current": {"age": [24, 35, 47, 61], "plan": ["basic", "basic", "gold", "gold"]},
}


class GovernanceQuery(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Which model."""

    model_id: EntityRef | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 25


class GovernanceAction(DriftRequest, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A check of a model that the body names."""

    action: Literal["drift_check"]
    model_id: EntityRef


class Approval(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A request to put a version into use."""

    id: UUID
    model_id: UUID
    version: int
    requested_by: str
    status: str
    reviewed_by: str | None
    reason: str | None
    created_at: datetime


class ModelGovernance(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is known of a model's oversight, newest first; there are no approvals yet."""

    model_id: UUID
    approvals: list[Approval]
    drift_checks: list[DriftCheck]


async def _check(call: Call[DriftRequest | None]) -> Reply:
    return await _checked(call, call.path["id"], call.body or DriftRequest())


async def _checked(call: Call[Any], reference: str, request: DriftRequest) -> Reply:
    services = call.services
    if is_job(request):
        return accept(await request_drift_check(services.entities, services.jobs, call.tenant_id, reference, request))
    return Reply(content=await services.check_drift.now(call.tenant_id, reference, request, call.actor))


async def _govern(call: Call[GovernanceAction]) -> Reply:
    given = {name: getattr(call.body, name) for name in DriftRequest.__struct_fields__}
    try:
        return await _checked(call, call.body.model_id, DriftRequest(**given))
    except NotFound as error:
        raise NotFound.reference("$.modelId", error.message) from None


async def _overview(call: Call[None]) -> Reply:
    query: GovernanceQuery = call.params
    if query.model_id is None:
        raise InvalidInput.at("query.modelId", "modelId is required")
    model = await get_entity(call.services.entities, call.tenant_id, KIND, query.model_id)
    checks = await call.services.check_drift.checks.list(call.tenant_id, model.id, query.limit)
    return Reply(content=ModelGovernance(model_id=model.id, approvals=[], drift_checks=list(checks)))


def _drift_operation(path: str, summary: str) -> Operation:
    return Operation(
        method="POST",
        path=f"/api/v1/{path}/{{id}}/drift",
        role=Role.EDITOR,
        handler=_check,
        summary=summary,
        body=DriftRequest,
        is_body_optional=True,
        example=_EXAMPLE,
        find=finder(ALGORITHM_MODEL),
        body_limit=_BODY_LIMIT,
        answers={200: DriftCheck, 202: JobAccepted, **WRITE_ERRORS, 422: None},
    )


OPERATIONS: tuple[Operation, ...] = (
    _drift_operation("models", "Compare what a model sees with what it was trained on"),
    _drift_operation("algorithm-models", "Compare what a model sees with what it was trained on (longer name)"),
    Operation(
        method="GET",
        path="/api/v1/model-governance",
        role=Role.VIEWER,
        handler=_overview,
        summary="List the checks of a model for drift, newest first",
        query=GovernanceQuery,
        answers={200: ModelGovernance, **ITEM_ERRORS},
    ),
    Operation(
        method="POST",
        path="/api/v1/model-governance",
        role=Role.EDITOR,
        handler=_govern,
        summary="Check a model that the body names for drift",
        body=GovernanceAction,
        example={"action": "drift_check", "modelId": "premium_card_v1", **_EXAMPLE},
        body_limit=_BODY_LIMIT,
        answers={200: DriftCheck, 202: JobAccepted, **WRITE_ERRORS, 422: None},
    ),
)
