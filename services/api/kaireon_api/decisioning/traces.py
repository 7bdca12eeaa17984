"""Explaining decisions: traces, and why an offer is (not) shown."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from kaireon_api.decisioning.decision_id import decision_id
from kaireon_api.operation import ITEM_ERRORS, READ_ERRORS, WRITE_ERRORS, Call, Operation, Reply, Role
from kaireon_api.pagination import pagination_of
from kaireon_application.catalog.entities import ListPosition
from kaireon_application.catalog.forms import Pagination
from kaireon_application.decisioning.eligibility import Eligibility, explain_eligibility
from kaireon_application.decisioning.explain_trace import (
    TraceDetail,
    TraceQuery,
    TraceRow,
    detail,
    find_trace,
    list_row,
)
from kaireon_application.decisioning.replay_trace import Replay, ReplayRequest
from kaireon_application.decisioning.why_not import WhyNot, explain_why_not
from kaireon_application.decisioning.wire import RecommendRequest
from kaireon_application.errors import InvalidInput
from kaireon_application.platform.cursor import decode_cursor

Reference = Annotated[str, Meta(min_length=1, max_length=255)]


class TraceParameters(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The query string of the list; `requestId` is another name of `recommendationId`."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    offset: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    cursor: str | None = None
    customer_id: Reference | None = None
    recommendation_id: Reference | None = None
    request_id: Reference | None = None


class WhyNotParameters(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The query string of why-not and eligibility: how a decision is asked for; `segments` is comma-separated."""

    decision_flow_key: Reference | None = None
    channel: Reference | None = None
    channel_id: Reference | None = None
    placement: Reference | None = None
    segments: str | None = None


class TraceList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of traces, newest first."""

    data: list[TraceRow]
    pagination: Pagination


async def _list_traces(call: Call[None]) -> Reply:
    parameters: TraceParameters = call.params
    public_id = parameters.recommendation_id or parameters.request_id
    query = TraceQuery(
        limit=parameters.limit,
        offset=parameters.offset,
        after=decode_cursor(parameters.cursor, ListPosition),
        customer_id=parameters.customer_id,
        recommendation_id=None if public_id is None else decision_id(public_id),
    )
    page = await call.services.engine.traces.page(call.tenant_id, query)
    pagination = pagination_of(page.total, parameters.limit, page.next_position)
    return Reply(content=TraceList(data=[list_row(trace) for trace in page.traces], pagination=pagination))


async def _get_trace(call: Call[None]) -> Reply:
    trace = await find_trace(call.services.engine.traces, call.tenant_id, decision_id(call.path["id"]))
    return Reply(content=detail(trace))


async def _replay(call: Call[ReplayRequest | None]) -> Reply:
    engine, id_ = call.services.engine, decision_id(call.path["id"])
    return Reply(content=await engine.replay(call.tenant_id, id_, call.body or ReplayRequest()))


async def _why_not(call: Call[None]) -> Reply:
    recommend = call.services.engine.recommend
    return Reply(content=await explain_why_not(recommend, str(call.tenant_id), _asked(call), call.path["offerId"]))


async def _eligibility(call: Call[None]) -> Reply:
    return Reply(content=await explain_eligibility(call.services.engine.recommend, str(call.tenant_id), _asked(call)))


def _asked(call: Call[None]) -> RecommendRequest:
    """Return the decision that is explained."""
    parameters: WhyNotParameters = call.params
    customer_id = call.path["id"]
    if len(customer_id) > 255:  # noqa: PLR2004 - the limit of every customer id
        raise InvalidInput.at("path.id", "must have at most 255 characters")
    return RecommendRequest(
        customer_id=customer_id,
        decision_flow_key=parameters.decision_flow_key,
        channel=parameters.channel,
        channel_id=parameters.channel_id,
        placement=parameters.placement,
        segments=[one for one in (parameters.segments or "").split(",") if one],
    )


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="GET",
        path="/api/v1/decision-traces",
        role=Role.VIEWER,
        handler=_list_traces,
        summary="List decision traces, newest first",
        query=TraceParameters,
        answers={200: TraceList, **READ_ERRORS},
    ),
    Operation(
        method="GET",
        path="/api/v1/decision-traces/{id}",
        role=Role.VIEWER,
        handler=_get_trace,
        summary="Explain a decision: every candidate with its score or its reason",
        answers={200: TraceDetail, **ITEM_ERRORS},
    ),
    Operation(
        method="POST",
        path="/api/v1/decision-traces/{id}/replay",
        role=Role.VIEWER,
        handler=_replay,
        summary="Decide again from the stored inputs of a trace, as it was or with another flow, version or model",
        body=ReplayRequest,
        is_body_optional=True,
        example={"modelKey": "churn-challenger"},
        answers={200: Replay, **WRITE_ERRORS, 410: None},
    ),
    Operation(
        method="GET",
        path="/api/v1/customers/{id}/why-not/{offerId}",
        role=Role.VIEWER,
        handler=_why_not,
        summary="Explain why an offer is, or is not, shown to a customer now",
        query=WhyNotParameters,
        answers={200: WhyNot, **ITEM_ERRORS},
    ),
    Operation(
        method="GET",
        path="/api/v1/customers/{id}/eligibility",
        role=Role.VIEWER,
        handler=_eligibility,
        summary="Explain for every offer whether it may be shown to a customer now",
        query=WhyNotParameters,
        answers={200: Eligibility, **ITEM_ERRORS},
    ),
)
