"""`/api/v1/algorithm-models`: models as things, and what is done with them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from kaireon_api.catalog.crud import (
    create_operation,
    delete_operation,
    finder,
    list_operation,
    update_operation,
)
from kaireon_api.operation import ITEM_ERRORS, READ_ERRORS, WRITE_ERRORS, Call, Operation, Reply, Role
from kaireon_application.catalog.fields import Label
from kaireon_application.catalog.forms import view_form
from kaireon_application.errors import InvalidInput
from kaireon_application.learning.algorithm_model import ALGORITHM_MODEL
from kaireon_application.learning.get_model import get_model
from kaireon_application.learning.promote_model import PromotionAnswer, PromotionRequest
from kaireon_application.learning.request_training import request_training
from kaireon_application.learning.resolve_lifecycle import CHAMPION_WEIGHT, ResolvedLifecycle, resolve_lifecycle
from kaireon_application.learning.score_offer_set import OfferScores, ScoreOfferSetRequest, score_offer_set
from kaireon_application.learning.versions import VersionSummary
from kaireon_application.platform.jobs import JobAccepted, accepted
from kaireon_core.learning.fallback import FallbackReason
from kaireon_core.learning.model import Contribution

_PATH = f"/api/v1/{ALGORITHM_MODEL.path}"
_SCORE_BODY_LIMIT = 10 * 1024 * 1024

AlgorithmModelDetail = msgspec.defstruct(
    "AlgorithmModelDetail",
    [("versions", list[VersionSummary])],
    bases=(view_form(ALGORITHM_MODEL),),
    kw_only=True,
)


class TrainRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Where the rows come from: the model's schema, or stored decisions joined with their outcomes."""

    source: Literal["schema", "interactions"] = "schema"


class ScoreRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One row or many; exactly one of the two."""

    attributes: dict[str, Any] | None = None
    rows: Annotated[list[dict[str, Any]], Meta(max_length=10_000)] | None = None


class ScoreReply(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is answered for `attributes` (the score with its explanation) or for `rows` (the scores, in their order)."""

    model_version: int
    score: float | UnsetType = UNSET
    raw_score: float | UnsetType = UNSET
    base_value: float | UnsetType = UNSET
    explanations: list[Contribution] | UnsetType = UNSET
    confidence: float | UnsetType = UNSET
    fallback_reason: FallbackReason | UnsetType = UNSET
    engine_type: str | UnsetType = UNSET
    degraded: bool | UnsetType = UNSET
    reason: FallbackReason | UnsetType = UNSET
    model_id: UUID | UnsetType = UNSET
    model_key: str | UnsetType = UNSET
    model_type: str | UnsetType = UNSET
    scores: list[float] | UnsetType = UNSET


class ResolveQuery(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Which family, and the champion's share of the traffic in percent."""

    family: Label | None = None
    champion_weight: Annotated[int, Meta(ge=1, le=99)] = CHAMPION_WEIGHT


async def _get(call: Call[None]) -> Reply:
    services = call.services
    return Reply(
        content=await get_model(
            services.entities, services.model_versions, services.model_scoring, call.tenant_id, call.path["id"]
        )
    )


async def _train(call: Call[TrainRequest | None]) -> Reply:
    job_id = await request_training(
        call.services.entities,
        call.services.jobs,
        call.tenant_id,
        call.path["id"],
        has_ml_worker=call.services.settings.ml_worker_url is not None,
        source=call.body.source if call.body is not None else "schema",
    )
    return Reply(content=accepted(job_id), status=202)


async def _score(call: Call[ScoreRequest]) -> Reply:
    attributes, rows = call.body.attributes, call.body.rows
    if (attributes is None) == (rows is None):
        raise InvalidInput.at("$", "send either attributes or rows")
    scoring, reference = call.services.model_scoring, call.path["id"]
    if rows is not None:
        return Reply(content=await scoring.score_rows(call.tenant_id, reference, rows))
    return Reply(content=await scoring.score_row(call.tenant_id, reference, attributes or {}))


async def _score_offer_set(call: Call[ScoreOfferSetRequest]) -> Reply:
    services = call.services
    return Reply(
        content=await score_offer_set(
            services.entities, services.model_scoring, call.tenant_id, call.path["id"], call.body
        )
    )


async def _promote(call: Call[PromotionRequest]) -> Reply:
    answer = await call.services.lifecycle.promote(
        call.tenant_id, call.path["id"], call.body, datetime.now(UTC), call.actor
    )
    return Reply(content=answer)


async def _resolve(call: Call[None]) -> Reply:
    query: ResolveQuery = call.params
    return Reply(
        content=await resolve_lifecycle(call.services.entities, call.tenant_id, query.family, query.champion_weight)
    )


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="GET",
        path=f"{_PATH}/resolve-lifecycle",
        role=Role.VIEWER,
        handler=_resolve,
        summary="Champion, challengers and shadows, ready for a score node",
        query=ResolveQuery,
        answers={200: ResolvedLifecycle, **READ_ERRORS},
    ),
    list_operation(ALGORITHM_MODEL),
    create_operation(ALGORITHM_MODEL),
    Operation(
        method="GET",
        path=f"{_PATH}/{{id}}",
        role=Role.VIEWER,
        handler=_get,
        summary="Get an algorithm model by id or key, with its trained versions",
        answers={200: AlgorithmModelDetail, **ITEM_ERRORS},
    ),
    update_operation(ALGORITHM_MODEL),
    delete_operation(ALGORITHM_MODEL),
    Operation(
        method="POST",
        path=f"{_PATH}/{{id}}/train",
        role=Role.EDITOR,
        handler=_train,
        summary="Train a model on the rows of its schema, or on stored decisions and their outcomes",
        body=TrainRequest,
        is_body_optional=True,
        example={"source": "schema"},
        find=finder(ALGORITHM_MODEL),
        answers={202: JobAccepted, **WRITE_ERRORS, 422: None},
    ),
    Operation(
        method="POST",
        path=f"{_PATH}/{{id}}/score",
        role=Role.VIEWER,
        handler=_score,
        summary="Score one row with its explanation, or many",
        body=ScoreRequest,
        example={"attributes": {"income": 95000}},
        find=finder(ALGORITHM_MODEL),
        body_limit=_SCORE_BODY_LIMIT,
        answers={200: ScoreReply, **WRITE_ERRORS},
    ),
    Operation(
        method="POST",
        path=f"{_PATH}/{{id}}/score-offer-set",
        role=Role.VIEWER,
        handler=_score_offer_set,
        summary="Score a set of offers for one customer",
        body=ScoreOfferSetRequest,
        example={"attributes": {"income": 95000}},
        find=finder(ALGORITHM_MODEL),
        answers={200: OfferScores, **WRITE_ERRORS},
    ),
    Operation(
        method="POST",
        path=f"{_PATH}/{{id}}/promote",
        role=Role.EDITOR,
        handler=_promote,
        summary="Move a model through its lifecycle; a new champion archives the old one",
        body=PromotionRequest,
        example={"toStatus": "shadow"},
        find=finder(ALGORITHM_MODEL),
        answers={200: PromotionAnswer, **WRITE_ERRORS},
    ),
)
