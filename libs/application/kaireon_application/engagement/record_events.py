"""Recording what customers did: the event, and whatever follows from it, in one transaction, once per event."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from kaireon_application.catalog.refusal import refuse
from kaireon_application.customers.happened_at import happened_at_ms
from kaireon_application.decisioning.facts import FactCache, history_key
from kaireon_application.decisioning.recommend import anonymous_id
from kaireon_application.decisioning.snapshot import TenantSnapshot
from kaireon_application.decisioning.snapshots import Snapshots
from kaireon_application.engagement.behavioral_event import (
    OWN_TYPES,
    BehavioralEvent,
    EventForm,
    EventsAccepted,
    results_of,
)
from kaireon_application.engagement.reactions import EventStore, Reactions, Recorded
from kaireon_application.errors import InvalidInput
from kaireon_application.platform.identity import new_ids
from kaireon_application.platform.job import Queue
from kaireon_application.platform.jobs import Jobs, JobSummons
from kaireon_core.problems import Problem
from kaireon_runtime.catalogue import BEHAVIORAL_EVENTS
from kaireon_runtime.metrics import Metrics

# Keys of events are kept apart from those of responses and decisions.
KEY_PREFIX = "event:"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordEvents:
    """The use case; one per process."""

    snapshots: Snapshots
    store: EventStore
    cache: FactCache
    jobs: Jobs
    metrics: Metrics
    now_ms: Callable[[], int]

    async def __call__(self, tenant_id: UUID, forms: Sequence[tuple[str, EventForm]], caller: str) -> EventsAccepted:
        """Return the answer once everything about the events is durable; `forms` come with their JSON paths.

        `caller` identifies a customer of whom neither id nor session is told. Raises `InvalidInput`.
        """
        snapshot = await self.snapshots.current(str(tenant_id))
        batch = self.prepare(snapshot, forms, caller)
        recorded = await self.store.record(str(tenant_id), batch)
        await self.recorded(str(tenant_id), batch, recorded)
        events, evaluated = [one.event for one in batch], [one.evaluated for one in batch]
        return EventsAccepted(accepted=len(events), results=results_of(events, recorded.ids, evaluated))

    def prepare(self, snapshot: TenantSnapshot, forms: Sequence[tuple[str, EventForm]], caller: str) -> list[Reactions]:
        """Return the events with what follows from each. Raises `InvalidInput` with every problem."""
        now_ms = self.now_ms()
        ids = new_ids(now_ms, len(forms))
        events, problems = list[BehavioralEvent](), list[Problem]()
        for id_, (path, form) in zip(ids, forms, strict=True):
            try:
                events.append(_event(id_, form, path, caller, now_ms, snapshot.settings.retention_days))
            except InvalidInput as error:
                problems += error.problems
        refuse(InvalidInput, problems)
        return react(snapshot, events)

    async def recorded(self, tenant_id: str, batch: Sequence[Reactions], recorded: Recorded) -> None:
        """Make what is durable now seen: by caches, workers and metrics."""
        events = [one.event for one in batch]
        await self.cache.forget(sorted({history_key(tenant_id, one.customer_id) for one in events}))
        self.metrics.add(BEHAVIORAL_EVENTS, "repeated", amount=recorded.repeated_count)
        self.metrics.add(BEHAVIORAL_EVENTS, "recorded", amount=len(events) - recorded.repeated_count)
        await self.announce(tenant_id, recorded)

    async def announce(self, tenant_id: str, recorded: Recorded) -> None:
        """Tell workers of the jobs that were queued."""
        for job_id in recorded.jobs:
            await self.jobs.summon(JobSummons(queue=Queue.JOURNEY, tenant_id=UUID(tenant_id), job_id=job_id))


def react(snapshot: TenantSnapshot, events: Iterable[BehavioralEvent]) -> list[Reactions]:
    """Return what follows from each event by what the tenant configured now."""
    return [snapshot.configuration.listeners.react(event) for event in events]


def _event(id_: str, form: EventForm, path: str, caller: str, now_ms: int, retention_days: int) -> BehavioralEvent:
    if form.event_type in OWN_TYPES:
        message = f"{form.event_type} is told by the platform itself, of what it keeps"
        raise InvalidInput.at(f"{path}.eventType", message)
    return BehavioralEvent(
        id=id_,
        key=None if form.event_id is None else KEY_PREFIX + form.event_id,
        type=form.event_type,
        customer_id=form.customer_id or anonymous_id(form.session_id or caller),
        session_id=form.session_id,
        occurred_at_ms=happened_at_ms(form.timestamp, now_ms, retention_days, f"{path}.timestamp"),
        properties=form.properties,
    )
