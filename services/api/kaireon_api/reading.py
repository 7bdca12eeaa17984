"""What is read for people and may be a little old: from replicas where there are any."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from kaireon_api.settings import Settings
from kaireon_application.catalog.search import SearchIndex
from kaireon_runtime.metrics import Metrics
from kaireon_runtime.settings import SearchBackend
from kaireon_storage.postgres.dashboards import PostgresDashboards
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.replicas import ReadDatabase
from kaireon_storage.search.feed import FallbackSearch, SearchFeed
from kaireon_storage.search.opensearch import OpenSearch
from kaireon_storage.search.postgres import PostgresSearch

_REPLICA_CONNECTIONS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Where these things are read, and their readers; `opensearch` only where it is searched."""

    database: ReadDatabase
    dashboards: PostgresDashboards
    search: SearchIndex
    opensearch: OpenSearch | None
    primary: Database
    metrics: Metrics

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Look at the replicas and keep the search index up to date until the block ends."""
        async with self.database.running(), self._feeding():
            yield

    @asynccontextmanager
    async def _feeding(self) -> AsyncGenerator[None]:
        if self.opensearch is None:
            yield
            return
        feeding = asyncio.create_task(SearchFeed(self.primary, self.opensearch).run(self.metrics), name="search")
        try:
            yield
        finally:
            feeding.cancel()
            with suppress(asyncio.CancelledError):
                await feeding
            await self.opensearch.close()


def build_reading(settings: Settings, primary: Database, metrics: Metrics) -> Reading:
    """Return the readers, unconnected."""
    replicas = [
        Database(url, max_connections=_REPLICA_CONNECTIONS, application_name="kaireon-api-reads")
        for url in settings.replica_urls
    ]
    database = ReadDatabase(primary, replicas, settings.database_replica_max_lag_seconds, metrics)
    in_postgres = PostgresSearch(database)
    opensearch = OpenSearch(settings) if settings.search_index is SearchBackend.OPENSEARCH else None
    return Reading(
        database=database,
        dashboards=PostgresDashboards(database),
        search=in_postgres if opensearch is None else FallbackSearch(opensearch, in_postgres, metrics),
        opensearch=opensearch,
        primary=primary,
        metrics=metrics,
    )
