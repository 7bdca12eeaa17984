"""The loop of the tier: hold partitions, read what follows, take it, again and again."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from uuid import UUID, uuid4

from kaireon_application.engagement.consume_events import CheckpointStore, ConsumeEvents, LeaseMoved, PartitionLease
from kaireon_application.errors import Unavailable
from kaireon_runtime.catalogue import STREAM_LAG, UNEXPECTED_ERRORS
from kaireon_runtime.health import Pulse
from kaireon_runtime.logs import Logger
from kaireon_runtime.metrics import Metrics
from kaireon_stream.source import Source, SourceUnavailable

_RENEW_SECONDS = 3.0
_PAUSE_SECONDS = 1.0
# With nothing to read, or nothing to hold.
_IDLE_SECONDS = 0.1


class StreamConsumer:
    """Takes the partitions of one source that nobody else takes."""

    def __init__(
        self,
        name: str,
        source: Source,
        store: CheckpointStore,
        consume: ConsumeEvents,
        pulse: Pulse,
        metrics: Metrics,
        log: Logger,
    ) -> None:
        self._name = name
        self._source = source
        self._store = store
        self._consume = consume
        self._pulse = pulse
        self._metrics = metrics
        self._log = log
        self._token: UUID = uuid4()
        self._leases: dict[str, PartitionLease] = {}
        self._renewed_at: float | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Take records until told to stop; then what is in hand is finished and the partitions are let go of."""
        while not stop.is_set():
            try:
                await self._renew()
                count = sum(await asyncio.gather(*map(self._advance, list(self._leases.values()))))
                self._pulse.beat(has_succeeded=True)
                pause_seconds = 0.0 if count else _IDLE_SECONDS
            except (SourceUnavailable, Unavailable) as error:
                self._pulse.beat(has_succeeded=False)
                self._log.warning("events cannot be taken", reason=str(error))
                self._renewed_at, pause_seconds = None, _PAUSE_SECONDS
            except Exception as error:  # noqa: BLE001 - the outermost loop of this process: it has to go on
                self._pulse.beat(has_succeeded=False)
                self._metrics.add(UNEXPECTED_ERRORS, "stream")
                self._log.error("taking events failed", exc_info=error)
                self._renewed_at, pause_seconds = None, _PAUSE_SECONDS
            if pause_seconds:
                await asyncio.sleep(pause_seconds)
        # With Postgres away the leases lapse by themselves.
        with suppress(Unavailable):
            await self._store.release(self._name, self._token)

    async def _renew(self) -> None:
        """Hold on to one's partitions, take what nobody holds, and believe what Postgres says of each."""
        if self._renewed_at is not None and time.monotonic() - self._renewed_at < _RENEW_SECONDS:
            return
        began = time.monotonic()
        held = await self._store.lease(self._name, self._token, await self._source.partitions())
        self._leases = {lease.partition: lease for lease in held}
        self._renewed_at = began

    async def _advance(self, lease: PartitionLease) -> int:
        """Take some records of a partition, and return how many they were."""
        batch = await self._source.read(lease.partition, lease.position)
        self._metrics.set(STREAM_LAG, batch.lag_seconds, self._name, lease.partition)
        if not batch.records:
            return 0
        try:
            self._leases[lease.partition] = await self._consume(lease, batch.records)
        except LeaseMoved:
            self._leases.pop(lease.partition, None)
            return 0
        return len(batch.records)
