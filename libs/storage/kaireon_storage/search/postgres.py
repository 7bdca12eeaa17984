"""Search in Postgres, read from a replica where one is near enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kaireon_application.catalog.search import TYPE_OF_KIND, SearchHit, SearchPage, SearchQuery
from kaireon_storage.postgres.queries import queries

if TYPE_CHECKING:
    from uuid import UUID

    from kaireon_storage.postgres.database import Connection, Row
    from kaireon_storage.postgres.replicas import ReadDatabase


class PostgresSearch:
    """Implements `SearchIndex` with the stored words; similar ones need the extension pg_trgm."""

    def __init__(self, reads: ReadDatabase) -> None:
        """Read from here."""
        self._reads = reads
        self._sql: Any = queries("search")

    async def search(self, tenant_id: UUID, query: SearchQuery) -> SearchPage:
        """Return one page of hits."""
        asked = {
            "tenant_id": tenant_id,
            "kinds": list(query.kinds),
            "written": " ".join(query.words),
            "prefixes": " & ".join(f"{word}:*" for word in query.words),
            "limit": query.limit,
            "offset": query.offset,
        }

        async def ask(connection: Connection) -> SearchPage:
            await self._sql.bound_statement(connection)
            found = _page([row async for row in self._sql.find_words(connection, **asked)], query)
            if found.hits or query.offset or not (await self._sql.may_find_similar(connection))["may"]:
                return found
            return _page([row async for row in self._sql.find_similar(connection, **asked)], query)

        return await self._reads.read(tenant_id, ask)


def _page(rows: list[Row], query: SearchQuery) -> SearchPage:
    hits = [
        SearchHit(
            type=TYPE_OF_KIND[row["kind"]],
            id=row["id"],
            key=row["key"],
            name=row["name"],
            status=row["status"],
            description=row["description"],
            score=row["score"],
            updated_at=row["updated_at"],
        )
        for row in rows
    ]
    return SearchPage(hits=hits, total=rows[0]["total"] if rows else query.offset)
