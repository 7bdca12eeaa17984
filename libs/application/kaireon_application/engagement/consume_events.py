"""Taking inbound events from a partition of a stream: their effects and how far it was read, in one transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import msgspec

from kaireon_application.decisioning.snapshots import Snapshots
from kaireon_application.engagement.behavioral_event import EventForm
from kaireon_application.engagement.reactions import Reactions, Recorded
from kaireon_application.engagement.record_events import RecordEvents
from kaireon_application.errors import InvalidInput, KaireonError, NotFound
from kaireon_runtime.catalogue import STREAM_EVENTS
from kaireon_runtime.metrics import Metrics

# Longer text is cut in the dead letters.
_KEPT_CHARACTERS = 16_384


class InboundRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One record of a partition; `position` is from where to go on once it was taken."""

    position: str
    content: bytes


class PartitionLease(msgspec.Struct, frozen=True, kw_only=True):
    """The right to take the records of a partition after a position (None: from the beginning)."""

    source: str
    partition: str
    token: UUID
    position: str | None


class DeadRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record that is no event that can be taken, and why."""

    record: InboundRecord
    tenant_id: str | None
    reason: str

    def payload(self, lease: PartitionLease) -> dict[str, Any]:
        """Return what the dead letter holds; Postgres takes no U+0000."""
        text = self.record.content.decode("utf-8", "replace").replace("\x00", "\ufffd")[:_KEPT_CHARACTERS]
        return {
            "source": lease.source,
            "partition": lease.partition,
            "position": self.record.position,
            "content": text,
        }


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What is written together: the events of each tenant, the dead, and the position after all of them."""

    events: Mapping[str, list[Reactions]]
    dead: Sequence[DeadRecord]
    position: str


class LeaseMoved(KaireonError):
    """Somebody else takes this partition now; nothing was written."""


class EventsRefused(KaireonError):
    """The store cannot keep one of these events; nothing was written."""


class CheckpointStore(Protocol):
    """How far partitions were taken. Every method raises `Unavailable` while Postgres cannot be reached."""

    async def lease(self, source: str, token: UUID, partitions: Sequence[str]) -> list[PartitionLease]:
        """Take the partitions that nobody holds, hold on to one's own, and return these."""
        ...

    async def release(self, source: str, token: UUID) -> None:
        """Let go of every partition."""
        ...

    async def take(self, lease: PartitionLease, taken: Taken) -> Mapping[str, Recorded]:
        """Write it all in one transaction. Raises `LeaseMoved`, `EventsRefused`."""
        ...


class _Envelope(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Whose event it is, by id or key."""

    tenant_id: str


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_any = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumeEvents:
    """The use case; one per process."""

    snapshots: Snapshots
    record: RecordEvents
    store: CheckpointStore
    # Returns the id of the tenant that an id or key names, None when there is none.
    tenant: Callable[[str], Awaitable[str | None]]
    metrics: Metrics

    async def __call__(self, lease: PartitionLease, records: Sequence[InboundRecord]) -> PartitionLease:
        """Take records that follow the lease's position, and return the lease after them. Raises `LeaseMoved`."""
        events, dead = dict[str, list[Reactions]](), list[DeadRecord]()
        for record in records:
            found = await self._read(lease, record)
            if isinstance(found, DeadRecord):
                dead.append(found)
            else:
                events.setdefault(found[0], []).append(found[1])
        taken = Taken(events=events, dead=dead, position=records[-1].position)
        try:
            recorded = await self.store.take(lease, taken)
        except EventsRefused as error:
            return await self._divide(lease, records, error)
        await self._seen(taken, recorded)
        return msgspec.structs.replace(lease, position=taken.position)

    async def _divide(
        self, lease: PartitionLease, records: Sequence[InboundRecord], error: EventsRefused
    ) -> PartitionLease:
        """Find out which event the store refuses, half by half; alone it is dead."""
        if len(records) > 1:
            middle = len(records) // 2
            return await self(await self(lease, records[:middle]), records[middle:])
        dead = DeadRecord(record=records[0], tenant_id=None, reason=error.message)
        taken = Taken(events={}, dead=[dead], position=records[0].position)
        await self._seen(taken, await self.store.take(lease, taken))
        return msgspec.structs.replace(lease, position=taken.position)

    async def _read(self, lease: PartitionLease, record: InboundRecord) -> tuple[str, Reactions] | DeadRecord:
        """Return the event with what follows from it and its tenant, or why it cannot be taken."""
        tenant_id = None
        try:
            tenant_id = await self.tenant(_decode_envelope(record.content).tenant_id)
            if tenant_id is None:
                return DeadRecord(record=record, tenant_id=None, reason="there is no such tenant")
            body = _decode_any(record.content)
            del body["tenantId"]
            form = msgspec.convert(body, EventForm)
            snapshot = await self.snapshots.current(tenant_id)
            caller = f"{lease.source}|{lease.partition}|{record.position}"
            return tenant_id, self.record.prepare(snapshot, [("$", form)], caller)[0]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return DeadRecord(record=record, tenant_id=tenant_id, reason=f"not an event: {error}")
        except (InvalidInput, NotFound) as error:
            return DeadRecord(record=record, tenant_id=tenant_id, reason=error.message)

    async def _seen(self, taken: Taken, recorded: Mapping[str, Recorded]) -> None:
        for tenant_id, batch in taken.events.items():
            await self.record.recorded(tenant_id, batch, recorded[tenant_id])
        self.metrics.add(STREAM_EVENTS, "taken", amount=sum(map(len, taken.events.values())))
        self.metrics.add(STREAM_EVENTS, "dead", amount=len(taken.dead))
