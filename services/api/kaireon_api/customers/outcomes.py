"""POST /respond, its older name /capture, and /respond/bulk."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from kaireon_api.operation import WRITE_ERRORS, Call, Operation, Reply, Role
from kaireon_application.catalog.refusal import refuse
from kaireon_application.customers.outcome_form import (
    BulkAnswer,
    BulkError,
    BulkForm,
    BulkResult,
    OutcomeAnswer,
    OutcomeForm,
)
from kaireon_application.errors import InvalidInput, KaireonError, Unavailable

_MAX_KEY_LENGTH = 255
_BULK_CHUNK = 50
_BULK_LIMIT = 10 * 1024 * 1024
_REPLAYED = {"Idempotent-Replayed": "true"}


async def _respond(call: Call[OutcomeForm]) -> Reply:
    recorded = await call.services.engine.record_outcome(str(call.tenant_id), call.body, _key(call))
    if recorded.is_replay:
        return Reply(content=recorded.answer, status=200, headers=_REPLAYED)
    return Reply(content=recorded.answer, status=201)


def _key(call: Call[OutcomeForm]) -> str:
    """Return the idempotency key of header or body; both may be given when they agree."""
    header, body = call.headers.get("idempotency-key"), call.body.idempotency_key
    key = body if header is None else header
    if not key:
        message = "is required: send a new key with every new response, the same key to repeat one"
        raise InvalidInput.at("$.idempotencyKey", message)
    if body is not None and body != key:
        raise InvalidInput.at("$.idempotencyKey", "differs from the header Idempotency-Key; send one of them")
    if len(key) > _MAX_KEY_LENGTH:
        raise InvalidInput.at("header Idempotency-Key", f"must have 1 to {_MAX_KEY_LENGTH} characters")
    return key


async def _respond_bulk(call: Call[BulkForm]) -> Reply:
    refuse(InvalidInput, call.body.problems())
    results, errors = list[BulkResult](), list[BulkError]()
    outcomes = call.body.outcomes
    for start in range(0, len(outcomes), _BULK_CHUNK):
        numbered = list(enumerate(outcomes[start : start + _BULK_CHUNK], start))
        for result, error in await asyncio.gather(*(_record(call, index, form) for index, form in numbered)):
            results.append(result)
            errors += [error] if error else []
    succeeded = len(outcomes) - len(errors)
    answer = BulkAnswer(
        processed=len(outcomes), succeeded=succeeded, failed=len(errors), results=results, errors=errors
    )
    return Reply(content=answer, status=200 if succeeded else 422)


async def _record(call: Call[BulkForm], index: int, form: OutcomeForm) -> tuple[BulkResult, BulkError | None]:
    """Record one of many; its fault is its own, but without the database all of them fail."""
    key = form.idempotency_key or f"bulk:{uuid4()}"
    try:
        recorded = await call.services.engine.record_outcome(str(call.tenant_id), form, key)
    except Unavailable:
        raise
    except KaireonError as error:
        failure = BulkError(index=index, error=error.message, code=error.code)
        return BulkResult(index=index, status="failed"), failure
    status = "replayed" if recorded.is_replay else "recorded"
    return BulkResult(index=index, status=status, interaction_id=recorded.decoded().interaction_id), None


_EXAMPLE = {
    "customerId": "1045",
    "recommendationId": "rec_019ab0c5-7d5e-7c3a-9a54-0f4d0f3f9a11",
    "rank": 1,
    "outcome": "click",
    "idempotencyKey": "1045-2026-11-20-1",
}
_ANSWERS = {200: OutcomeAnswer, 201: OutcomeAnswer, **WRITE_ERRORS, 422: None}
_BULK_EXAMPLE = {
    "outcomes": [{"customerId": "1045", "offerId": "spring-coupon", "outcome": "accept", "idempotencyKey": "import-1"}]
}

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="POST",
        path="/api/v1/respond",
        role=Role.EDITOR,
        handler=_respond,
        summary="Record what a customer did",
        body=OutcomeForm,
        example=_EXAMPLE,
        answers=_ANSWERS,
    ),
    Operation(
        method="POST",
        path="/api/v1/capture",
        role=Role.EDITOR,
        handler=_respond,
        summary="Record what a customer did (the older name of /respond)",
        body=OutcomeForm,
        example=_EXAMPLE,
        answers=_ANSWERS,
    ),
    Operation(
        method="POST",
        path="/api/v1/respond/bulk",
        role=Role.EDITOR,
        handler=_respond_bulk,
        summary="Record up to 1,000 outcomes",
        body=BulkForm,
        example=_BULK_EXAMPLE,
        answers={200: BulkAnswer, 400: None, 401: None, 403: None, 413: None, 415: None, 422: BulkAnswer, 503: None},
        body_limit=_BULK_LIMIT,
    ),
)
