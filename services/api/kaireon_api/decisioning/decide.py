"""POST /decide: the decisions of a list of customers, as one answer, as one line each, or by the worker."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec

from kaireon_api.decisioning.run_results import LINES
from kaireon_api.decisioning.runs import accept_run
from kaireon_api.operation import WRITE_ERRORS, Call, Operation, Reply, Role
from kaireon_application.catalog.refusal import refuse
from kaireon_application.decisioning.decide_list import (
    DecideAnswer,
    DecideError,
    DecideRequest,
    DecideResult,
    decide_list,
)
from kaireon_application.decisioning.run_answer import RunAccepted
from kaireon_application.decisioning.wire import Recommendation, RecommendRequest
from kaireon_application.errors import InvalidInput

_BODY_LIMIT = 10 * 1024 * 1024
_encode = msgspec.json.Encoder().encode


async def _decide(call: Call[DecideRequest]) -> Reply:
    refuse(InvalidInput, call.body.problems())
    if call.body.is_run:
        return await _start(call)
    return await _decide_now(call)


async def _start(call: Call[DecideRequest]) -> Reply:
    return accept_run(await call.services.start_run(call.tenant_id, call.body, call.caller))


async def _decide_now(call: Call[DecideRequest]) -> Reply:

    async def recommend(request: RecommendRequest) -> Recommendation:
        return await call.services.engine.recommend(str(call.tenant_id), request, caller=call.caller)

    found = decide_list(recommend, call.body.requests())
    # What is wrong for everybody is raised here, before anything is sent.
    first = await anext(found)
    if LINES in call.headers.get("accept", ""):
        return Reply(stream=_lines(first, found), media_type=LINES)
    everyone = [first, *[one async for one in found]]
    results = [one for one in everyone if isinstance(one, DecideResult)]
    errors = [one for one in everyone if isinstance(one, DecideError)]
    return Reply(content=DecideAnswer(count=len(results), results=results, errors=errors))


async def _lines(
    first: DecideResult | DecideError, others: AsyncGenerator[DecideResult | DecideError]
) -> AsyncGenerator[bytes]:
    async with aclosing(others):
        yield _encode(first) + b"\n"
        async for one in others:
            yield _encode(one) + b"\n"


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="POST",
        path="/api/v1/decide",
        role=Role.VIEWER,
        handler=_decide,
        summary="Decide for many customers as /recommend would for each: up to 1,000 now, more as a batch run",
        body=DecideRequest,
        body_limit=_BODY_LIMIT,
        example={
            "customers": [{"customerId": "1045", "attributes": {"basket_value": 42.5}}, {"customerId": "2210"}],
            "channel": "email",
            "limit": 3,
        },
        answers={200: DecideAnswer, 202: RunAccepted, **WRITE_ERRORS, 422: None},
        other_forms={LINES: "One result or error a line, in the order of the request, as soon as it is durable."},
        headers={"Location": "Where a batch run can be looked at."},
    ),
)
