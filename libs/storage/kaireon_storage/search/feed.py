"""Keeping a search index at what is configured: it follows the versions of configurations, as snapshots do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from kaireon_application.catalog.search import SEARCHED_TYPES, SearchPage, SearchQuery
from kaireon_application.errors import Unavailable
from kaireon_runtime.catalogue import SEARCH_FALLBACKS, UNEXPECTED_ERRORS
from kaireon_runtime.logs import logger
from kaireon_storage.postgres.queries import queries

if TYPE_CHECKING:
    from uuid import UUID

    from kaireon_application.catalog.search import SearchIndex
    from kaireon_runtime.metrics import Metrics
    from kaireon_storage.postgres.database import Database
    from kaireon_storage.search.opensearch import OpenSearch

_POLL_SECONDS = 1.0


class SearchFeed:
    """Writes to the index what changed; any number of processes may do so at once."""

    def __init__(self, database: Database, index: OpenSearch) -> None:
        """Read from the primary: what a replica does not have yet must not be written as the newest."""
        self._database = database
        self._index = index
        self._written: dict[UUID, int] = {}
        self._sql: Any = queries("search")

    async def rebuild(self) -> int:
        """Write the whole index anew, and return how many things it holds. Raises `Unavailable`."""
        await self._index.drop()
        self._written.clear()
        return await self.follow()

    async def follow(self) -> int:
        """Write the tenants whose configuration is newer than what the index has, and return how many things."""
        async with self._database.system_transaction() as connection:
            versions = {row["tenant_id"]: row["config_version"] async for row in self._sql.tenant_versions(connection)}
        changed = [tenant_id for tenant_id, version in versions.items() if self._written.get(tenant_id, -1) < version]
        if not changed:
            return 0
        await self._index.create()
        return sum([await self._write(tenant_id) for tenant_id in changed])

    async def _write(self, tenant_id: UUID) -> int:
        written = await self._index.generation(tenant_id)
        async with self._database.transaction(tenant_id) as connection:
            # Before the things themselves: what comes in between is written again with the next version.
            version = (await self._sql.tenant_version(connection, tenant_id=tenant_id))["config_version"]
            found = self._sql.searched_entities(connection, tenant_id=tenant_id, kinds=list(SEARCHED_TYPES.values()))
            rows = [row async for row in found] if written < version else []
        if written < version:
            await self._index.write(tenant_id, version, rows)
        self._written[tenant_id] = version
        return len(rows)

    async def run(self, metrics: Metrics) -> None:
        """Follow until cancelled; an index that is away is written when it is back."""
        log = logger("kaireon.search")
        while True:
            try:
                await self.follow()
            except Unavailable as error:
                log.debug("the search index cannot be brought up to date", reason=error.message)
            except Exception:  # the outermost loop of this task: counted and logged
                metrics.add(UNEXPECTED_ERRORS, "api")
                log.exception("the search index cannot be brought up to date")
            await asyncio.sleep(_POLL_SECONDS)


class FallbackSearch:
    """Implements `SearchIndex`: asks the first, and the second while the first is away."""

    def __init__(self, first: SearchIndex, second: SearchIndex, metrics: Metrics) -> None:
        self._first, self._second, self._metrics = first, second, metrics

    async def search(self, tenant_id: UUID, query: SearchQuery) -> SearchPage:
        """Return one page of hits."""
        try:
            return await self._first.search(tenant_id, query)
        except Unavailable:
            self._metrics.add(SEARCH_FALLBACKS)
            return await self._second.search(tenant_id, query)
