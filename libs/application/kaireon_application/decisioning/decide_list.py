"""Deciding for a list of customers in one call: what /recommend would answer and write for each of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from kaireon_application.decisioning.wire import (
    ANONYMOUS,
    CustomerId,
    DecisionItem,
    ExperimentAssignment,
    Recommendation,
    RecommendRequest,
    ShortText,
)
from kaireon_application.errors import KaireonError
from kaireon_core.decisioning.request import Routing
from kaireon_core.problems import Problem

# More customers than this are decided by the worker.
MAX_CUSTOMERS = 1000
MAX_RUN_CUSTOMERS = 1_000_000
# Enough for two full groups; the rest waits here, so that one call never keeps other callers from their turn.
_AT_ONCE = 64


class DecideCustomer(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True
):
    """One customer, with what /recommend may know of them."""

    customer_id: CustomerId
    attributes: dict[str, Any] = {}
    context: dict[str, Any] = {}
    segments: Annotated[list[ShortText], Meta(max_length=500)] = []


class DecideRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Asks for the decisions of many customers: `customers`, or only their ids, or those of a stored segment.

    A segment and, with `async`, any list are decided by a run on the worker.
    """

    customers: list[DecideCustomer] | None = None
    customer_ids: list[CustomerId] | None = None
    segment_id: ShortText | None = None
    is_async: bool = msgspec.field(name="async", default=False)
    decision_flow_key: ShortText | None = None
    channel: ShortText | None = None
    channel_id: ShortText | None = None
    placement: ShortText | None = None
    limit: Annotated[int, Meta(ge=1, le=50)] = 5

    def problems(self) -> Iterator[Problem]:
        """Yield what the types leave open."""
        sent = [given for given in (self.customers, self.customer_ids, self.segment_id) if given is not None]
        if len(sent) != 1:
            yield Problem(path="$.customers", message="send one of customers, customerIds and segmentId")
        for path, given in (("$.customers", self.customers), ("$.customerIds", self.customer_ids)):
            if given is not None and not 0 < len(given) <= MAX_RUN_CUSTOMERS:
                yield Problem(path=path, message=f"must have 1 to {MAX_RUN_CUSTOMERS} customers")

    @property
    def is_run(self) -> bool:
        """Whether the worker has to decide."""
        return (
            self.is_async
            or self.segment_id is not None
            or len(self.customers or self.customer_ids or ()) > MAX_CUSTOMERS
        )

    @property
    def routing(self) -> Routing:
        """Where the answers will be shown."""
        return Routing(channel=self.channel, channel_id=self.channel_id, placement=self.placement)

    def listed(self, anonymous: str = ANONYMOUS) -> Iterator[DecideCustomer]:
        """Yield the customers in the order of first mention, each once; the anonymous one under the name given.

        One by one: a million of them at once would keep the garbage collector busy for seconds.
        """
        by_id = (DecideCustomer(customer_id=id_) for id_ in self.customer_ids or ())
        seen = set[str]()
        for listed in by_id if self.customers is None else self.customers:
            is_anonymous = listed.customer_id == ANONYMOUS
            customer = msgspec.structs.replace(listed, customer_id=anonymous) if is_anonymous else listed
            if customer.customer_id not in seen:
                seen.add(customer.customer_id)
                yield customer

    def requests(self) -> list[RecommendRequest]:
        """Return what to ask for each customer of the list."""
        return [self.request_of(customer) for customer in self.listed()]

    def request_of(self, customer: DecideCustomer) -> RecommendRequest:
        """Return what to ask for one customer."""
        return RecommendRequest(
            customer_id=customer.customer_id,
            attributes=customer.attributes,
            context=customer.context,
            segments=customer.segments,
            decision_flow_key=self.decision_flow_key,
            channel=self.channel,
            channel_id=self.channel_id,
            placement=self.placement,
            limit=self.limit,
        )


class DecideResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What was decided for one customer."""

    customer_id: str
    recommendation_id: str
    decisions: list[DecisionItem]
    experiment_assignment: ExperimentAssignment | None
    degraded_scoring: bool | msgspec.UnsetType = msgspec.UNSET
    control_group: bool | msgspec.UnsetType = msgspec.UNSET


class DecideError(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Why nothing was decided for one customer."""

    customer_id: str
    code: str
    message: str


class DecideAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The answer of /decide; `count` is the number of results, in the order of the request."""

    count: int
    results: list[DecideResult]
    errors: list[DecideError]


async def decide_list(
    recommend: Callable[[RecommendRequest], Awaitable[Recommendation]], requests: list[RecommendRequest]
) -> AsyncGenerator[DecideResult | DecideError]:
    """Yield each customer's result in order, as soon as it and those before it are durable.

    A customer's fault is their own; raises `KaireonError` where it is that of the very first, which is everybody's:
    an unknown flow, a database that is away.
    """
    gate = asyncio.Semaphore(_AT_ONCE)

    async def decide(request: RecommendRequest) -> Recommendation:
        async with gate:
            return await recommend(request)

    tasks = [asyncio.create_task(decide(request)) for request in requests]
    try:
        for place, (request, task) in enumerate(zip(requests, tasks, strict=True)):
            try:
                yield result_of(await task)
            except KaireonError as error:
                if place == 0:
                    raise
                yield DecideError(customer_id=request.customer_id, code=error.code, message=error.message)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def result_of(answer: Recommendation) -> DecideResult:
    """Return the answer of /recommend as one result of a list."""
    return DecideResult(
        customer_id=answer.customer_id,
        recommendation_id=answer.recommendation_id,
        decisions=answer.decisions,
        experiment_assignment=answer.experiment_assignment,
        degraded_scoring=answer.degraded_scoring,
        control_group=answer.control_group,
    )
