"""`POST /ai/analyze/{policies|segments|content}`: what a tenant's own data suggests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from kaireon_api.operation import WRITE_ERRORS, Call, Operation, Reply, Role
from kaireon_api.platform.jobs import accept
from kaireon_application.learning.analysis import ContentRequest, PoliciesRequest, SegmentsRequest
from kaireon_application.learning.ask_analysis import AskAnalysis, Pending
from kaireon_application.learning.content_analysis import ContentAnalysis
from kaireon_application.learning.policy_analysis import PolicyAnalysis
from kaireon_application.learning.segment_analysis import SegmentAnalysis
from kaireon_application.platform.jobs import JobAccepted

_PATH = "/api/v1/ai/analyze"
_ERRORS: dict[int, Any] = {**WRITE_ERRORS, 422: None}


def _ask(call: Call[Any]) -> AskAnalysis:
    return AskAnalysis(entities=call.services.entities, jobs=call.services.jobs)


def _reply(answer: dict[str, Any] | Pending) -> Reply:
    return accept(answer.job_id) if isinstance(answer, Pending) else Reply(content=answer)


async def _segments(call: Call[SegmentsRequest]) -> Reply:
    return _reply(await _ask(call).segments(call.tenant_id, call.body, datetime.now(UTC)))


async def _policies(call: Call[PoliciesRequest]) -> Reply:
    return _reply(await _ask(call).policies(call.tenant_id, call.body, datetime.now(UTC)))


async def _content(call: Call[ContentRequest]) -> Reply:
    return _reply(await _ask(call).content(call.tenant_id, call.body, datetime.now(UTC)))


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="POST",
        path=f"{_PATH}/segments",
        role=Role.EDITOR,
        handler=_segments,
        summary="Find clusters in the rows of a schema, each with the segment that picks it out",
        body=SegmentsRequest,
        example={"schemaKey": "customers", "fields": ["age", "income"], "maxClusters": 6},
        answers={200: SegmentAnalysis, 202: JobAccepted, **_ERRORS},
    ),
    Operation(
        method="POST",
        path=f"{_PATH}/policies",
        role=Role.EDITOR,
        handler=_policies,
        summary="Find caps, cooldowns and suppressions that the interaction history speaks for",
        body=PoliciesRequest,
        is_body_optional=True,
        example={"lookbackDays": 90},
        answers={200: PolicyAnalysis, 202: JobAccepted, **_ERRORS},
    ),
    Operation(
        method="POST",
        path=f"{_PATH}/content",
        role=Role.EDITOR,
        handler=_content,
        summary="Find the terms of creatives that go with success, and predict the rate of a text",
        body=ContentRequest,
        is_body_optional=True,
        example={"texts": ["Your card is waiting: no fee in the first year"]},
        answers={200: ContentAnalysis, 202: JobAccepted, **_ERRORS},
    ),
)
