"""The API, wired: every object that lives as long as the process is made here and nowhere else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext, suppress
from typing import TYPE_CHECKING

from redis.asyncio import Redis
from starlette.routing import Router
from starlette.types import Receive, Scope, Send

from kaireon_api.auth import Authenticator
from kaireon_api.decisioning.engine import Engine, build_engine
from kaireon_api.dispatch import Dispatcher
from kaireon_api.documentation import document_operations
from kaireon_api.engagement.wiring import build_engagement
from kaireon_api.governance.governance import build_governance
from kaireon_api.learning.lifecycle import build_lifecycle
from kaireon_api.learning.model_imports import ModelImports
from kaireon_api.learning.off_policy import build_off_policy
from kaireon_api.mounted_mcp import MCP_PATH, mounted_mcp
from kaireon_api.platform.drain_queues import QueueDrain
from kaireon_api.readiness import Readiness
from kaireon_api.reading import build_reading
from kaireon_api.routes import OPERATIONS
from kaireon_api.services import Services
from kaireon_api.settings import Settings
from kaireon_api.worker_beside import PokingAnnouncer
from kaireon_application.decisioning.start_run import StartRun
from kaireon_application.learning.score_rows import ModelScoring
from kaireon_application.platform.jobs import Jobs
from kaireon_runtime.lifecycle import end_with_parent
from kaireon_runtime.logs import configure_logs
from kaireon_runtime.metrics import Metrics
from kaireon_runtime.serving import settle
from kaireon_runtime.settings import load
from kaireon_runtime.tracing import open_tracing
from kaireon_storage.boosting import TreesLoader
from kaireon_storage.broker.address import parse_broker_url
from kaireon_storage.broker.announcer import BrokerAnnouncer
from kaireon_storage.drift_checking import build_check_drift
from kaireon_storage.external.wiring import build_endpoint_scoring
from kaireon_storage.interactions.opening import ExternalStores
from kaireon_storage.learning.onnx_inspector import OnnxInspector
from kaireon_storage.postgres.api_keys import PostgresApiKeys
from kaireon_storage.postgres.audit_logs import PostgresAuditLogs
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.dead_letters import PostgresDeadLetterBox
from kaireon_storage.postgres.entities import PostgresEntities
from kaireon_storage.postgres.facts import PostgresFacts
from kaireon_storage.postgres.graphs import PostgresGraphs
from kaireon_storage.postgres.jobs import PostgresJobBook
from kaireon_storage.postgres.model_versions import PostgresModelVersions
from kaireon_storage.postgres.runs import PostgresRuns
from kaireon_storage.postgres.schema_tables import PostgresSchemaRows, PostgresSchemas
from kaireon_storage.postgres.tenants import PostgresTenants
from kaireon_storage.redis.connection import open_redis
from kaireon_storage.redis.customer_cache import RedisCustomerCache

if TYPE_CHECKING:
    from kaireon_mcp.app import ToolPath


class Api:
    """The ASGI application: Starlette opens and closes it, the dispatcher answers."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self._dispatcher = Dispatcher(services, OPERATIONS)
        self._tools = mounted_mcp(self._dispatcher, services.settings, services.metrics)
        self._lifespan = Router(lifespan=lambda _: _served(services, self._tools))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the life of the process."""
        if self._tools is not None and scope.get("path") == MCP_PATH:
            await self._tools(scope, receive, send)
        elif scope["type"] == "http":
            await self._dispatcher(scope, receive, send)
        else:
            await self._lifespan(scope, receive, send)


def build_app(settings: Settings) -> Api:
    """Return the application. Nothing is connected before its lifespan begins."""
    return Api(build_services(settings))


def build_services(settings: Settings) -> Services:
    """Return everything that handlers need, unconnected."""
    metrics, announcer = Metrics(shared_directory=settings.prometheus_multiproc_dir), _announcer(settings)
    database, redis = _database(settings), open_redis(settings.redis_url)
    api_keys, entities, trees = PostgresApiKeys(database), PostgresEntities(database), TreesLoader()
    jobs, runs, graphs = Jobs(PostgresJobBook(database), announcer), PostgresRuns(database), PostgresGraphs(database)
    model_versions, endpoint_scoring = PostgresModelVersions(database), build_endpoint_scoring(settings, redis, metrics)
    scoring = ModelScoring(entities, model_versions, trees, PostgresFacts(database), endpoint_scoring, graphs)
    engine = build_engine(database, redis, metrics, trees, graphs, endpoint_scoring, ExternalStores(settings))
    return Services(
        settings=settings,
        metrics=metrics,
        tracing=open_tracing("api", settings),
        readiness=_readiness(api_keys, engine, redis),
        documentation=document_operations(OPERATIONS),
        database=database,
        reading=build_reading(settings, database, metrics),
        redis=redis,
        authenticator=Authenticator(api_keys, settings.api_key_pepper.get_secret_value()),
        engine=engine,
        api_keys=api_keys,
        tenants=PostgresTenants(database),
        entities=entities,
        schemas=PostgresSchemas(database),
        schema_rows=PostgresSchemaRows(database),
        customer_cache=RedisCustomerCache(redis, metrics),
        model_versions=model_versions,
        endpoint_scoring=endpoint_scoring,
        model_scoring=scoring,
        model_imports=ModelImports(graphs=graphs, inspect=OnnxInspector(), uploads=asyncio.Semaphore(1)),
        off_policy=build_off_policy(database, entities, scoring, engine.replay),
        lifecycle=build_lifecycle(database, entities),
        jobs=jobs,
        runs=runs,
        start_run=StartRun(plan=engine.plan, entities=entities, shelf=runs, jobs=jobs),
        announcer=announcer,
        queue_drain=QueueDrain(settings),
        dead_letters=PostgresDeadLetterBox(database),
        audit_logs=PostgresAuditLogs(database),
        governance=build_governance(database, redis, engine.stores),
        check_drift=build_check_drift(database),
        engagement=build_engagement(database, engine, jobs, metrics),
    )


def _announcer(settings: Settings) -> BrokerAnnouncer | PokingAnnouncer:
    if settings.worker_poke_socket is not None:
        return PokingAnnouncer(settings.worker_poke_socket)
    return BrokerAnnouncer(parse_broker_url(settings.broker_url))


def _database(settings: Settings) -> Database:
    return Database(
        settings.database_url,
        max_connections=settings.api_database_connections,
        application_name="kaireon-api",
        pooler=settings.database_pooler,
    )


def _readiness(api_keys: PostgresApiKeys, engine: Engine, redis: Redis) -> Readiness:
    readiness = Readiness()
    readiness.require("postgres", lambda: api_keys.find(()))
    readiness.require("snapshots", engine.snapshots.require_loaded)
    readiness.prefer("redis", lambda: _ping(redis))
    return readiness


@asynccontextmanager
async def _served(services: Services, tools: ToolPath | None) -> AsyncGenerator[None]:
    """Be the only one of its process: what is loaded by now stays until the end."""
    async with opened(services), nullcontext() if tools is None else tools.running():
        settle()
        yield


@asynccontextmanager
async def opened(services: Services) -> AsyncGenerator[None]:
    """Connect, keep what must stay fresh running, and close everything in the opposite order."""
    async with AsyncExitStack() as stack:
        if services.tracing is not None:
            stack.push_async_callback(asyncio.to_thread, services.tracing.close)
        await services.database.open()
        stack.push_async_callback(services.database.close)
        stack.push_async_callback(services.redis.aclose)
        stack.push_async_callback(services.announcer.close)
        stack.push_async_callback(services.endpoint_scoring.close)
        await stack.enter_async_context(services.reading.running())
        await stack.enter_async_context(_running(services.authenticator))
        await stack.enter_async_context(services.engine.running())
        yield


@asynccontextmanager
async def _running(authenticator: Authenticator) -> AsyncGenerator[None]:
    task = asyncio.create_task(authenticator.run(), name="authenticator")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _ping(redis: Redis) -> None:
    await redis.execute_command("PING")


def from_environment() -> Api:
    """Return the application of one of several worker processes."""
    settings = load(Settings)
    configure_logs("api", settings.log_level, settings.log_format)
    end_with_parent(settings.kaireon_parent_pid)
    return build_app(settings)
