"""What handlers need, opened for one job."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import Redis

from kaireon_storage.postgres.database import Database
from kaireon_storage.redis.connection import open_redis
from kaireon_worker.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything handlers need. They belong to the job's own event loop and end with it."""

    settings: Settings
    database: Database
    redis: Redis


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncGenerator[Services]:
    """Open what one job needs and close it when the job ends."""
    database = Database(
        settings.database_url, max_connections=4, application_name="kaireon-worker-job", pooler=settings.database_pooler
    )
    redis = open_redis(settings.redis_url)
    await database.open()
    try:
        yield Services(settings=settings, database=database, redis=redis)
    finally:
        await redis.aclose()
        await database.close()
