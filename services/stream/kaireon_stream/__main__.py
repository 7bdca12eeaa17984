"""`python -m kaireon_stream`: take inbound events until SIGTERM; off unless FLOW_STREAMING_ENABLED=true."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import AsyncExitStack, suppress

from kaireon_application.decisioning.snapshots import Snapshots
from kaireon_application.engagement.consume_events import ConsumeEvents
from kaireon_application.engagement.record_events import RecordEvents
from kaireon_application.platform.jobs import Jobs
from kaireon_runtime.health import HealthServer, Pulse
from kaireon_runtime.lifecycle import end_with_parent, stop_on_signal
from kaireon_runtime.logs import configure_logs, logger
from kaireon_runtime.metrics import Metrics
from kaireon_runtime.serving import resolve_structs
from kaireon_runtime.settings import load, refuse
from kaireon_storage.boosting import TreesLoader
from kaireon_storage.broker.address import broker_or_refuse, parse_broker_url
from kaireon_storage.broker.announcer import BrokerAnnouncer
from kaireon_storage.decision_engine import now_ms
from kaireon_storage.postgres.behavioral_events import PostgresEvents
from kaireon_storage.postgres.configuration import PostgresConfiguration
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.graphs import PostgresGraphs
from kaireon_storage.postgres.jobs import PostgresJobBook
from kaireon_storage.postgres.stream_checkpoints import PostgresCheckpoints
from kaireon_storage.postgres.tenants import PostgresTenants
from kaireon_storage.redis.connection import open_redis
from kaireon_storage.redis.fact_cache import RedisFactCache
from kaireon_stream.consumer import StreamConsumer
from kaireon_stream.settings import Settings
from kaireon_stream.sources.opening import open_source

_STALE_SECONDS = 60.0


def main() -> None:
    """Read the settings and take events; exit code 0 when the tier is off, 2 for bad settings or a taken port."""
    settings = load(Settings)
    end_with_parent(settings.kaireon_parent_pid)
    if not settings.flow_streaming_enabled:
        sys.stdout.write("the stream tier is off: set FLOW_STREAMING_ENABLED=true and STREAM_SOURCE to turn it on\n")
        return
    configure_logs("stream", settings.log_level, settings.log_format)
    broker_or_refuse(settings.broker_url)
    resolve_structs()
    asyncio.run(stream(settings))


async def stream(settings: Settings) -> None:
    """Wire the tier and run it until SIGTERM or SIGINT."""
    log, chosen = logger("kaireon.stream"), settings.stream_source
    assert chosen is not None  # noqa: S101 - the settings require it
    async with AsyncExitStack() as stack:
        stop = stack.enter_context(stop_on_signal())
        metrics, pulse = Metrics(), Pulse(time.monotonic, stale_after_seconds=_STALE_SECONDS)
        await _serve_health(stack, settings, HealthServer(pulse, metrics))
        database = Database(
            settings.database_url,
            max_connections=4,
            application_name="kaireon-stream",
            pooler=settings.database_pooler,
        )
        await database.open()
        stack.push_async_callback(database.close)
        consume, store = await _use_case(stack, settings, database, metrics)
        watching = asyncio.create_task(consume.snapshots.watch(), name="snapshots")
        stack.push_async_callback(_end, watching)
        source = open_source(settings, chosen)
        stack.push_async_callback(source.close)
        log.info("stream tier started", source=chosen.value, topic=settings.stream_topic)
        name = f"{chosen.value}:{settings.stream_topic}"
        await StreamConsumer(name, source, store, consume, pulse, metrics, log).run(stop)
    log.info("stream tier stopped")


async def _use_case(
    stack: AsyncExitStack, settings: Settings, database: Database, metrics: Metrics
) -> tuple[ConsumeEvents, PostgresCheckpoints]:
    redis = open_redis(settings.redis_url)
    stack.push_async_callback(redis.aclose)
    cache = RedisFactCache(redis, metrics)
    stack.push_async_callback(cache.drain)
    announcer = BrokerAnnouncer(parse_broker_url(settings.broker_url))
    stack.push_async_callback(announcer.close)
    events, tenants = PostgresEvents(database), PostgresTenants(database)
    store = PostgresCheckpoints(database, events)
    snapshots = Snapshots(PostgresConfiguration(database, TreesLoader(), PostgresGraphs(database)), metrics)
    known = dict[str, str]()

    async def tenant(reference: str) -> str | None:
        if reference not in known:
            found = await tenants.find(reference)
            if found is None:
                return None
            known[reference] = str(found.tenant_id)
        return known[reference]

    record = RecordEvents(
        snapshots=snapshots,
        store=events,
        cache=cache,
        jobs=Jobs(PostgresJobBook(database), announcer),
        metrics=metrics,
        now_ms=now_ms,
    )
    consume = ConsumeEvents(snapshots=snapshots, record=record, store=store, tenant=tenant, metrics=metrics)
    return consume, store


async def _serve_health(stack: AsyncExitStack, settings: Settings, server: HealthServer) -> None:
    if not settings.stream_health_port:
        return
    try:
        listening = await server.start(settings.stream_health_host, settings.stream_health_port)
    except OSError as error:
        refuse([f"STREAM_HEALTH_PORT {settings.stream_health_port} cannot be used: {error.strerror}"])
    await stack.enter_async_context(listening)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


if __name__ == "__main__":
    main()
