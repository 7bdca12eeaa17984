"""`/api/v1/algorithm-models/{id}`: what a model has learnt, told and forgotten."""

from __future__ import annotations

from kaireon_api.catalog.crud import finder
from kaireon_api.learning.algorithm_models import AlgorithmModelDetail
from kaireon_api.operation import ITEM_ERRORS, WRITE_ERRORS, Call, Operation, Reply, Role
from kaireon_application.learning.algorithm_model import ALGORITHM_MODEL
from kaireon_application.learning.get_model import get_model
from kaireon_application.learning.model_card import ModelCard, model_card
from kaireon_application.learning.model_card_text import model_card_text
from kaireon_application.learning.reset_learning import reset_learning

_PATH = f"/api/v1/{ALGORITHM_MODEL.path}/{{id}}"
_MARKDOWN = "text/markdown"


async def _reset(call: Call[None]) -> Reply:
    services, reference = call.services, call.path["id"]
    await reset_learning(
        services.entities, services.model_versions, services.model_scoring, call.tenant_id, reference, call.actor
    )
    return Reply(
        content=await get_model(
            services.entities, services.model_versions, services.model_scoring, call.tenant_id, reference
        )
    )


async def _card(call: Call[None]) -> Reply:
    card = await model_card(call.services.entities, call.services.model_versions, call.tenant_id, call.path["id"])
    if _MARKDOWN in call.headers.get("accept", ""):
        return Reply(content=model_card_text(card).encode(), media_type=f"{_MARKDOWN}; charset=utf-8")
    return Reply(content=card)


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="POST",
        path=f"{_PATH}/reset-learning",
        role=Role.EDITOR,
        handler=_reset,
        summary="Keep what a model has learnt as a version and start again as an untrained draft",
        find=finder(ALGORITHM_MODEL),
        answers={200: AlgorithmModelDetail, **WRITE_ERRORS},
    ),
    Operation(
        method="GET",
        path=f"{_PATH}/card",
        role=Role.VIEWER,
        handler=_card,
        summary="The model card: use, data, features, metrics, lifecycle and limits",
        answers={200: ModelCard, **ITEM_ERRORS},
        other_forms={_MARKDOWN: "The same, to be read by people."},
    ),
)
