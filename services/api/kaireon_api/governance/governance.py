"""What governs changes and customers' data, wired together."""

from __future__ import annotations

from dataclasses import dataclass

from redis.asyncio import Redis

from kaireon_storage.interactions.opening import ExternalStores
from kaireon_storage.postgres.approvals import PostgresApprovals
from kaireon_storage.postgres.customer_data import PostgresCustomerData
from kaireon_storage.postgres.customer_data_requests import PostgresCustomerDataRequests
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.engagement_health import PostgresEngagementHealth
from kaireon_storage.postgres.gitops import PostgresGitOps
from kaireon_storage.postgres.retention_configs import PostgresRetentionConfigs
from kaireon_storage.postgres.tenant_cleaner import PostgresTenantCleaners
from kaireon_storage.redis.cached_customer import RedisCachedCustomer


@dataclass(frozen=True, slots=True, kw_only=True)
class Governance:
    """Approvals, what is held about customers and for how long, and how engaged they are."""

    approvals: PostgresApprovals
    customer_data: PostgresCustomerData
    customer_data_requests: PostgresCustomerDataRequests
    retention_configs: PostgresRetentionConfigs
    engagement_health: PostgresEngagementHealth
    gitops: PostgresGitOps
    cleaners: PostgresTenantCleaners


def build_governance(database: Database, redis: Redis, stores: ExternalStores) -> Governance:
    """Return them over these stores."""
    return Governance(
        approvals=PostgresApprovals(database),
        customer_data=PostgresCustomerData(database, RedisCachedCustomer(redis), stores),
        customer_data_requests=PostgresCustomerDataRequests(database),
        retention_configs=PostgresRetentionConfigs(database),
        engagement_health=PostgresEngagementHealth(database),
        gitops=PostgresGitOps(database),
        cleaners=PostgresTenantCleaners(database),
    )
