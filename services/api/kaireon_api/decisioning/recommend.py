"""POST /recommend."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from kaireon_api.operation import WRITE_ERRORS, Call, Operation, Reply, Role
from kaireon_application.catalog.refusal import refuse
from kaireon_application.decisioning.record_decision import IdempotencyDraft
from kaireon_application.decisioning.wire import Recommendation, RecommendRequest
from kaireon_application.errors import IdempotencyMismatch, IdempotencyTaken, InvalidInput

_MAX_KEY_LENGTH = 255
# Keys of decisions are kept apart from those of responses.
_PREFIX = "recommend:"
_encode = msgspec.json.Encoder().encode


async def _recommend(call: Call[RecommendRequest]) -> Reply:
    refuse(InvalidInput, call.body.problems())
    engine, request, tenant_id = call.services.engine, call.body, str(call.tenant_id)
    key = call.headers.get("idempotency-key")
    if key is None:
        return Reply(
            content=await engine.recommend(tenant_id, request, caller=call.caller, validation_ms=call.decode_ms)
        )
    return await _recommend_once(call, tenant_id, key)


async def _recommend_once(call: Call[RecommendRequest], tenant_id: str, key: str) -> Reply:
    """Answer a repeated key with the first body; whoever comes second while the first is in flight gets it too."""
    if not 0 < len(key) <= _MAX_KEY_LENGTH:
        raise InvalidInput.at("header Idempotency-Key", f"must have 1 to {_MAX_KEY_LENGTH} characters")
    engine = call.services.engine
    draft = IdempotencyDraft(key=_PREFIX + key, body_hash=hashlib.sha256(_encode(call.body)).digest())
    replayed = await _replay(call, tenant_id, draft)
    if replayed is not None:
        return replayed
    try:
        answer = await engine.recommend(
            tenant_id, call.body, caller=call.caller, idempotency=draft, validation_ms=call.decode_ms
        )
    except IdempotencyTaken:
        replayed = await _replay(call, tenant_id, draft)
        assert replayed is not None, key  # noqa: S101 - the commit has just found the key
        return replayed
    return Reply(content=_encode(answer))


async def _replay(call: Call[Any], tenant_id: str, draft: IdempotencyDraft) -> Reply | None:
    stored = await call.services.engine.decisions.answer_under(tenant_id, draft.key)
    if stored is None:
        return None
    if stored[0] != draft.body_hash:
        raise IdempotencyMismatch
    return Reply(content=stored[1], headers={"Idempotent-Replayed": "true"})


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="POST",
        path="/api/v1/recommend",
        role=Role.VIEWER,
        handler=_recommend,
        summary="Decide which offers to show to one customer, now",
        body=RecommendRequest,
        example={
            "customerId": "1045",
            "channel": "email",
            "limit": 3,
            "context": {"device": "phone"},
            "attributes": {"basket_value": 42.5},
        },
        answers={200: Recommendation, **WRITE_ERRORS, 422: None},
    ),
)
