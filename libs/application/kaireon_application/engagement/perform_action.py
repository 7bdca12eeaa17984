"""The job that does what a trigger is for, once for each time that it fires."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol
from uuid import UUID

import msgspec

from kaireon_application.catalog.entities import Entities
from kaireon_application.catalog.read_entity import require
from kaireon_application.customers.schema_data import CustomerCache
from kaireon_application.customers.schema_table import SchemaTable, stored_form, table_of, value_problem
from kaireon_application.decisioning.decide_together import CommitDecisions, DecideTogether
from kaireon_application.decisioning.plan_decision import PlanDecision
from kaireon_application.decisioning.recommend import HoldCustomer, Recommend
from kaireon_application.decisioning.record_decision import IdempotencyDraft
from kaireon_application.decisioning.wire import RecommendRequest
from kaireon_application.engagement.behavioral_event import CUSTOMER_UPDATED
from kaireon_application.engagement.condition import look_in
from kaireon_application.engagement.enrollment import EnrollmentShelf
from kaireon_application.engagement.fact import Fact, FactsPayload
from kaireon_application.engagement.journey import KIND as JOURNEY_KIND
from kaireon_application.engagement.journey_graph import graph_of
from kaireon_application.engagement.reactions import NewEnrollment
from kaireon_application.engagement.trigger import KIND
from kaireon_application.engagement.trigger_action import (
    ActionConfig,
    AttributeConfig,
    EnrollConfig,
    RecommendConfig,
    WebhookConfig,
    action_of,
)
from kaireon_application.errors import IdempotencyTaken, KaireonError
from kaireon_application.platform.job import JobRefused, JobRun, decode_payload
from kaireon_runtime.catalogue import TRIGGER_ACTIONS
from kaireon_runtime.metrics import Metrics

ACTION_JOB = "trigger_action"


class ActionPayload(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Which trigger fired, and for what."""

    trigger_id: str
    event: dict[str, Any]


class WebhookFailed(KaireonError):
    """The receiver of a webhook could not be reached, or did not take it."""

    code = "webhook_failed"


class WebhookBlocked(KaireonError):
    """The address of a webhook is out of bounds, or its secret is not known."""

    code = "webhook_blocked"


class WebhookSender(Protocol):
    """Sends a signed POST. Raises `WebhookFailed` where another try may help, else `WebhookBlocked`."""

    async def __call__(self, config: WebhookConfig, delivery_id: str, content: bytes) -> int:
        """Return the status of the answer, one of 200 to 299."""
        ...


class AttributeChange(msgspec.Struct, frozen=True, kw_only=True):
    """A field of one customer's row, with its new value in stored form."""

    customer_id: str
    field: str
    value: Any


class AttributeWriter(Protocol):
    """Sets one field of a customer's row. Raises `Unavailable`."""

    async def set_value(
        self, tenant_id: UUID, table: SchemaTable, change: AttributeChange, facts: FactsPayload | None
    ) -> int:
        """Return how many rows were changed; with them the job that reacts to these facts is queued."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Firing:
    """One time that a trigger fired."""

    id: UUID
    tenant_id: UUID
    event: dict[str, Any]

    @property
    def customer_id(self) -> str:
        return self.event["customerId"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformAction:
    """The use case. Safe to run again; a receiver of webhooks may see one twice, with the same id."""

    entities: Entities
    shelf: EnrollmentShelf
    plan: PlanDecision
    decide: DecideTogether
    commit: CommitDecisions
    hold: HoldCustomer
    send: WebhookSender
    attributes: AttributeWriter
    cache: CustomerCache
    metrics: Metrics
    now_ms: Callable[[], int]

    async def __call__(self, run: JobRun) -> dict[str, Any]:
        """Do it, and return the job's result."""
        payload, tenant_id = decode_payload(run, ActionPayload), run.job.tenant_id
        await self.plan.snapshots.look()
        async with self.entities.reading(tenant_id) as reader:
            trigger = await require(reader, KIND, payload.trigger_id)
        config = action_of(trigger.body)
        firing = _Firing(id=run.job.id, tenant_id=tenant_id, event=payload.event)
        try:
            result = await _ACTIONS[type(config)](self, firing, config)
        except WebhookBlocked as error:
            self.metrics.add(TRIGGER_ACTIONS, trigger.body["actionType"], "refused")
            raise JobRefused(error.code, error.message) from error
        except KaireonError:
            self.metrics.add(TRIGGER_ACTIONS, trigger.body["actionType"], "failed")
            raise
        self.metrics.add(TRIGGER_ACTIONS, trigger.body["actionType"], "done")
        return result

    async def enroll(self, firing: _Firing, config: EnrollConfig) -> dict[str, Any]:
        """Let the customer into a journey; the enrolment has the firing's id."""
        async with self.entities.reading(firing.tenant_id) as reader:
            journey = await require(reader, JOURNEY_KIND, config.journey_id)
        entry = graph_of(journey.body).entry
        if journey.status != "active" or entry is None:
            raise JobRefused("journey_not_active", f"journey {journey.key!r} is {journey.status}")
        new = NewEnrollment(
            id=str(firing.id),
            journey_id=str(journey.id),
            customer_id=firing.customer_id,
            node_id=entry.id,
            max_days=journey.body["maxDurationDays"],
            context={"event": firing.event},
        )
        written, _ = await self.shelf.enroll(firing.tenant_id, [new])
        return {"journeyId": str(journey.id), "enrolled": len(written)}

    async def recommend(self, firing: _Firing, config: RecommendConfig) -> dict[str, Any]:
        """Decide for the customer, under the firing's id."""

        async def together(asked: Any) -> Any:
            (answer,) = await self.decide([asked], self.commit)
            return answer

        recommend = Recommend(
            plan=self.plan,
            decide=self.decide,
            together=together,
            commit=self.commit,
            hold=self.hold,
            metrics=self.metrics,
        )
        request = RecommendRequest(
            customer_id=firing.customer_id,
            decision_flow_key=config.decision_flow_key,
            channel=config.channel,
            placement=config.placement,
            limit=config.limit,
            context={**config.context, "event": firing.event},
        )
        draft = IdempotencyDraft(key=f"trigger:{firing.id}", body_hash=hashlib.sha256(firing.id.bytes).digest())
        try:
            answer = await recommend(str(firing.tenant_id), request, caller="", idempotency=draft)
        except IdempotencyTaken:
            return {"repeated": True}
        return {"recommendationId": answer.recommendation_id, "count": answer.count}

    async def call(self, firing: _Firing, config: WebhookConfig) -> dict[str, Any]:
        """Send the event."""
        content = msgspec.json.encode({"id": str(firing.id), "tenantId": str(firing.tenant_id), **firing.event})
        return {"status": await self.send(config, str(firing.id), content)}

    async def update(self, firing: _Firing, config: AttributeConfig) -> dict[str, Any]:
        """Set a field of the customer's row."""
        async with self.entities.reading(firing.tenant_id) as reader:
            table = table_of((await require(reader, "schema", config.schema_id)).body)
        column = table.column(config.field)
        if column is None or table.customer_column is None or column.is_primary_key:
            raise JobRefused("no_such_field", f"{config.field} is no field of {table.name} that can be set")
        value = config.value if config.value_from is None else look_in(firing.event)(config.value_from)
        wrong = None if value is None and column.is_nullable else value_problem(column, value)
        if wrong is not None:
            raise JobRefused("bad_value", f"{config.field} {wrong}")
        stored = None if value is None else stored_form(column, value)
        change = AttributeChange(customer_id=firing.customer_id, field=config.field, value=stored)
        facts = await self._updated(firing, change, table.name)
        changed = await self.attributes.set_value(firing.tenant_id, table, change, facts)
        await self.cache.forget(firing.tenant_id, [firing.customer_id])
        if not changed:
            raise JobRefused("no_such_customer", f"{table.name} has no row of customer {firing.customer_id}")
        return {"field": config.field, "rows": changed}

    async def _updated(self, firing: _Firing, change: AttributeChange, table: str) -> FactsPayload | None:
        """Return what triggers and journeys are told of a change, None where none waits for it."""
        snapshot = await self.plan.snapshots.current(str(firing.tenant_id))
        if not snapshot.configuration.listeners.hears(CUSTOMER_UPDATED):
            return None
        told = {"table": table, "field": change.field, change.field: change.value}
        fact = Fact(
            id=str(firing.id),
            customer_id=change.customer_id,
            at_ms=self.now_ms(),
            properties=told,
            is_caused=True,
        )
        return FactsPayload(type=CUSTOMER_UPDATED, facts=[fact])


_ACTIONS: Mapping[type[ActionConfig], Callable[[PerformAction, _Firing, Any], Awaitable[dict[str, Any]]]] = (
    MappingProxyType(
        {
            EnrollConfig: PerformAction.enroll,
            RecommendConfig: PerformAction.recommend,
            WebhookConfig: PerformAction.call,
            AttributeConfig: PerformAction.update,
        }
    )
)
