"""`python -m kaireon_outbox_publisher`: relay outbox events until SIGTERM."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack

from kaireon_application.platform.outbox import ClaimLimits, EventSink
from kaireon_application.platform.outbox_relay import RelayLimits, RelayOutbox
from kaireon_outbox_publisher.publisher import Publisher, keep_house
from kaireon_outbox_publisher.settings import Settings
from kaireon_outbox_publisher.sinks.opening import open_sink
from kaireon_outbox_publisher.store_repair import keep_stores, measure_stores
from kaireon_outbox_publisher.traced import TracedSink
from kaireon_outbox_publisher.wake import connect_hints, keep_listening, listen_to_postgres, listen_to_redis
from kaireon_runtime.health import HealthServer, Pulse
from kaireon_runtime.lifecycle import end_with_parent, stop_on_signal
from kaireon_runtime.logs import Logger, configure_logs, logger
from kaireon_runtime.metrics import Metrics
from kaireon_runtime.settings import load, refuse
from kaireon_runtime.tracing import Tracing, open_tracing
from kaireon_storage.interactions.opening import ExternalStores, require_stores
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.outbox import PostgresOutbox
from kaireon_storage.postgres.store_marks import PostgresStoreMarks

_STALE_SECONDS = 60.0
_STOP_SECONDS = 10.0
_CLAIMS_AT_ONCE = 2


def main() -> None:
    """Read the settings and relay; exit code 2 for bad settings or a taken health port."""
    settings = load(Settings)
    end_with_parent(settings.kaireon_parent_pid)
    configure_logs("outbox-publisher", settings.log_level, settings.log_format)
    require_stores(settings)
    asyncio.run(publish(settings))


async def publish(settings: Settings) -> None:
    """Wire the tier and run it until SIGTERM or SIGINT."""
    log = logger("kaireon.outbox-publisher")
    async with AsyncExitStack() as stack:
        stop = stack.enter_context(stop_on_signal())
        metrics = Metrics()
        poll_seconds = settings.outbox_poll_interval_ms / 1000
        pulse = Pulse(time.monotonic, stale_after_seconds=_STALE_SECONDS + 2 * poll_seconds)
        await _serve_health(stack, settings, HealthServer(pulse, metrics))
        database = Database(
            settings.database_url,
            max_connections=_CLAIMS_AT_ONCE + 1,
            application_name="kaireon-outbox-publisher",
            pooler=settings.database_pooler,
        )
        await database.open()
        stack.push_async_callback(database.close)
        tracing = open_tracing("outbox-publisher", settings)
        if tracing is not None:
            stack.push_async_callback(asyncio.to_thread, tracing.close)
        sinks = [_sink(settings, tracing) for _ in range(_CLAIMS_AT_ONCE)]
        for sink in sinks:
            stack.push_async_callback(sink.close)
        # Hints come by Redis, whatever the bus.
        hints = connect_hints(settings.redis_url)
        stack.push_async_callback(hints.aclose)
        outbox = PostgresOutbox(database)
        wake = asyncio.Event()
        background = [
            keep_house(outbox, sinks[0], metrics, log),
            keep_listening(lambda: listen_to_redis(hints, wake), "redis", log),
        ]
        if (direct_url := settings.database_direct_url) is not None:
            background.append(keep_listening(lambda: listen_to_postgres(direct_url, wake), "postgres", log))
        background += await _store_repair(stack, settings, metrics, log)
        relays = [RelayOutbox(outbox, sink, limits_of(settings), time.monotonic) for sink in sinks]
        publisher = Publisher(relays, poll_seconds, wake, pulse, metrics, log)
        log.info("outbox-publisher started", bus=settings.event_publisher.value, pollSeconds=poll_seconds)
        await _run(publisher, background, stop)
    log.info("outbox-publisher stopped")


def _sink(settings: Settings, tracing: Tracing | None) -> EventSink:
    sink = open_sink(settings)
    return sink if tracing is None else TracedSink(sink, settings.event_publisher.value, tracing)


async def _store_repair(
    stack: AsyncExitStack, settings: Settings, metrics: Metrics, log: Logger
) -> list[Coroutine[None, None, None]]:
    """Return what keeps the stores beside Postgres; it has connections of its own, as a slow store holds them."""
    if not settings.external_stores:
        return []
    database = Database(settings.database_url, max_connections=2, application_name="kaireon-store-repair")
    await database.open()
    stack.push_async_callback(database.close)
    stores = ExternalStores(settings)
    stack.push_async_callback(stores.close)
    return [
        keep_stores(stores.repair(database, metrics), metrics, log),
        measure_stores(PostgresStoreMarks(database), metrics, log),
    ]


async def _serve_health(stack: AsyncExitStack, settings: Settings, server: HealthServer) -> None:
    if not settings.outbox_health_port:
        return
    try:
        listening = await server.start(settings.outbox_health_host, settings.outbox_health_port)
    except OSError as error:
        refuse([f"OUTBOX_HEALTH_PORT {settings.outbox_health_port} cannot be used: {error.strerror}"])
    await stack.enter_async_context(listening)


async def _run(publisher: Publisher, background: Sequence[Coroutine[None, None, None]], stop: asyncio.Event) -> None:
    async with asyncio.TaskGroup() as tasks:
        helpers = [tasks.create_task(coroutine) for coroutine in background]
        relaying = tasks.create_task(publisher.run(stop))
        await asyncio.wait((relaying, tasks.create_task(stop.wait())), return_when=asyncio.FIRST_COMPLETED)
        # The claim in hand is finished; one that hangs is given up and relayed again by the next publisher.
        await asyncio.wait((relaying,), timeout=_STOP_SECONDS)
        for task in (relaying, *helpers):
            task.cancel()


def limits_of(settings: Settings) -> RelayLimits:
    """Return the limits that the settings ask for."""
    claim = ClaimLimits(events=settings.outbox_batch_size, event_bytes=settings.event_max_bytes)
    return RelayLimits(claim=claim, max_tries=settings.event_max_tries)


if __name__ == "__main__":
    main()
