"""Off-policy evaluation: what another policy would have earned, from logs and from stored decisions."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from kaireon_api.catalog.crud import finder
from kaireon_api.learning.decision_logs import PageQuery, pagination_of, parsed_id
from kaireon_api.operation import ITEM_ERRORS, READ_ERRORS, WRITE_ERRORS, Call, Operation, Reply, Role
from kaireon_application.catalog.forms import Pagination
from kaireon_application.catalog.read_entity import get_entity
from kaireon_application.decisioning.decision_flow import DECISION_FLOW
from kaireon_application.errors import NotFound
from kaireon_application.learning.algorithm_model import ALGORITHM_MODEL
from kaireon_application.learning.evaluation_request import (
    EvaluationRequest,
    FlowEvaluationRequest,
    ModelEvaluationRequest,
)
from kaireon_application.learning.off_policy_evaluation import EvaluationQuery, EvaluationResult, StoredEvaluation

_PATH = "/api/v1/off-policy-evaluations"
_ANSWERS = {200: EvaluationResult, **WRITE_ERRORS, 410: None, 422: None}
_HEADERS = {"Location": "Where the evaluation is kept."}
_NO_ID = "00000000-0000-0000-0000-000000000000"
_RANGE = {"flowKey": "main", "from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}


class EvaluationParameters(PageQuery, frozen=True, kw_only=True, rename="camel"):
    """The query string of the list: all evaluations, or those of a model or flow, by id or key."""

    model: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    flow: Annotated[str, Meta(min_length=1, max_length=255)] | None = None


class EvaluationList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of evaluations, newest first."""

    data: list[StoredEvaluation]
    pagination: Pagination


async def _evaluate(call: Call[EvaluationRequest]) -> Reply:
    return _answered(await call.services.off_policy.evaluate.of_target(call.tenant_id, call.body))


async def _evaluate_model(call: Call[ModelEvaluationRequest]) -> Reply:
    evaluate = call.services.off_policy.evaluate
    return _answered(await evaluate.of_model(call.tenant_id, call.path["id"], call.body))


async def _evaluate_flow(call: Call[FlowEvaluationRequest]) -> Reply:
    return _answered(await call.services.off_policy.evaluate.of_flow(call.tenant_id, call.path["id"], call.body))


def _answered(evaluation: StoredEvaluation) -> Reply:
    return Reply(content=evaluation.result, headers={"Location": f"{_PATH}/{evaluation.id}"})


async def _list(call: Call[None]) -> Reply:
    parameters: EvaluationParameters = call.params
    query = EvaluationQuery(
        limit=parameters.limit,
        offset=parameters.start,
        model_id=await _id_of(call, ALGORITHM_MODEL.name, parameters.model),
        flow_id=await _id_of(call, DECISION_FLOW.name, parameters.flow),
    )
    page = await call.services.off_policy.evaluations.page(call.tenant_id, query)
    pagination = pagination_of(parameters, len(page.evaluations), page.total)
    return Reply(content=EvaluationList(data=page.evaluations, pagination=pagination))


async def _id_of(call: Call[None], kind: str, reference: str | None) -> UUID | None:
    """Return the id of a thing; one that there is not has no evaluations, unless it had that id once."""
    if reference is None:
        return None
    try:
        return (await get_entity(call.services.entities, call.tenant_id, kind, reference)).id
    except NotFound:
        return parsed_id(reference) or UUID(_NO_ID)


async def _get(call: Call[None]) -> Reply:
    evaluation_id = parsed_id(call.path["id"])
    evaluations = call.services.off_policy.evaluations
    found = None if evaluation_id is None else await evaluations.get(call.tenant_id, evaluation_id)
    if found is None:
        raise NotFound("there is no such evaluation")
    return Reply(content=found)


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="POST",
        path=_PATH,
        role=Role.EDITOR,
        handler=_evaluate,
        summary="Estimate what a policy would have earned, from a log or from stored decisions",
        body=EvaluationRequest,
        example={
            "logId": _NO_ID,
            "target": {"type": "table", "by": "slot", "probabilities": {"1": {"gold": 0.7, "silver": 0.3}}},
            "confidence": 0.95,
        },
        headers=_HEADERS,
        answers=_ANSWERS,
    ),
    Operation(
        method="GET",
        path=_PATH,
        role=Role.VIEWER,
        handler=_list,
        summary="List evaluations of policies, newest first",
        query=EvaluationParameters,
        answers={200: EvaluationList, **READ_ERRORS},
    ),
    Operation(
        method="GET",
        path=f"{_PATH}/{{id}}",
        role=Role.VIEWER,
        handler=_get,
        summary="Get an evaluation with its source and its target",
        answers={200: StoredEvaluation, **ITEM_ERRORS},
    ),
    Operation(
        method="POST",
        path=f"/api/v1/{ALGORITHM_MODEL.path}/{{id}}/evaluate",
        role=Role.EDITOR,
        handler=_evaluate_model,
        summary="Estimate what a model would have earned, from a log or from stored decisions",
        body=ModelEvaluationRequest,
        example={"traces": _RANGE, "policy": {"type": "greedy"}},
        find=finder(ALGORITHM_MODEL),
        headers=_HEADERS,
        answers=_ANSWERS,
    ),
    Operation(
        method="POST",
        path=f"/api/v1/{DECISION_FLOW.path}/{{id}}/evaluate",
        role=Role.EDITOR,
        handler=_evaluate_flow,
        summary="Estimate what a flow would have earned, by deciding stored decisions again",
        body=FlowEvaluationRequest,
        example={"traces": _RANGE},
        find=finder(DECISION_FLOW),
        headers=_HEADERS,
        answers=_ANSWERS,
    ),
)
