"""The job that lets triggers and journeys know of the platform's own facts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kaireon_application.decisioning.snapshots import Snapshots
from kaireon_application.engagement.behavioral_event import BehavioralEvent
from kaireon_application.engagement.fact import FactsPayload
from kaireon_application.engagement.record_events import RecordEvents, react
from kaireon_application.platform.job import JobRun, decode_payload


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactToFacts:
    """The job; safe to run again: each fact is reacted to once, by its id."""

    snapshots: Snapshots
    record: RecordEvents

    async def __call__(self, run: JobRun) -> dict[str, Any]:
        """React, and return the job's result."""
        payload, tenant_id = decode_payload(run, FactsPayload), str(run.job.tenant_id)
        await self.snapshots.look()
        snapshot = await self.snapshots.current(tenant_id)
        events = [
            BehavioralEvent(
                id=fact.id,
                key=f"fact:{payload.type}:{fact.id}",
                type=payload.type,
                customer_id=fact.customer_id,
                session_id=None,
                occurred_at_ms=fact.at_ms,
                properties=fact.properties,
                is_kept=False,
                is_caused=fact.is_caused,
            )
            for fact in payload.facts
        ]
        batch = react(snapshot, events)
        recorded = await self.record.store.record(tenant_id, batch)
        await self.record.announce(tenant_id, recorded)
        return {"facts": len(events), "repeated": recorded.repeated_count}
