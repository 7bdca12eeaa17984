"""What handlers need, built once in `kaireon_api.app`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from redis.asyncio import Redis

from kaireon_api.auth import Authenticator
from kaireon_api.decisioning.engine import Engine
from kaireon_api.documentation import Documentation
from kaireon_api.engagement.wiring import Engagement
from kaireon_api.governance.governance import Governance
from kaireon_api.learning.lifecycle import Lifecycle
from kaireon_api.learning.model_imports import ModelImports
from kaireon_api.learning.off_policy import OffPolicy
from kaireon_api.readiness import Readiness
from kaireon_api.reading import Reading
from kaireon_api.settings import Settings
from kaireon_api.worker_beside import PokingAnnouncer
from kaireon_application.decisioning.start_run import StartRun
from kaireon_application.learning.check_drift import CheckDrift
from kaireon_application.learning.score_rows import ModelScoring
from kaireon_application.platform.jobs import Jobs
from kaireon_runtime.metrics import Metrics
from kaireon_runtime.tracing import Tracing
from kaireon_storage.broker.announcer import BrokerAnnouncer
from kaireon_storage.external.scoring import EndpointScoring
from kaireon_storage.postgres.api_keys import PostgresApiKeys
from kaireon_storage.postgres.audit_logs import PostgresAuditLogs
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.dead_letters import PostgresDeadLetterBox
from kaireon_storage.postgres.entities import PostgresEntities
from kaireon_storage.postgres.model_versions import PostgresModelVersions
from kaireon_storage.postgres.runs import PostgresRuns
from kaireon_storage.postgres.schema_tables import PostgresSchemaRows, PostgresSchemas
from kaireon_storage.postgres.tenants import PostgresTenants
from kaireon_storage.redis.customer_cache import RedisCustomerCache

if TYPE_CHECKING:
    from kaireon_api.platform.drain_queues import DrainCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything handlers need: each area adds the fields it uses."""

    settings: Settings
    metrics: Metrics
    # None: nobody wants to know.
    tracing: Tracing | None
    readiness: Readiness
    documentation: Documentation
    database: Database
    reading: Reading
    redis: Redis
    authenticator: Authenticator
    engine: Engine
    api_keys: PostgresApiKeys
    tenants: PostgresTenants
    entities: PostgresEntities
    schemas: PostgresSchemas
    schema_rows: PostgresSchemaRows
    customer_cache: RedisCustomerCache
    model_versions: PostgresModelVersions
    endpoint_scoring: EndpointScoring
    model_scoring: ModelScoring
    model_imports: ModelImports
    off_policy: OffPolicy
    lifecycle: Lifecycle
    jobs: Jobs
    runs: PostgresRuns
    start_run: StartRun
    announcer: BrokerAnnouncer | PokingAnnouncer
    queue_drain: Callable[[], Awaitable[DrainCounts]]
    dead_letters: PostgresDeadLetterBox
    audit_logs: PostgresAuditLogs
    governance: Governance
    check_drift: CheckDrift
    engagement: Engagement
