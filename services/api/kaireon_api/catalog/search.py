"""Searching the catalogue."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from kaireon_api.operation import READ_ERRORS, Call, Operation, Reply, Role
from kaireon_api.pagination import pagination_of
from kaireon_application.catalog.forms import Pagination
from kaireon_application.catalog.search import SearchHit, search_query
from kaireon_application.platform.cursor import Offset, decode_cursor

# Further down nobody looks; more words find it.
_MOST_HITS = 1_000


class SearchParameters(msgspec.Struct, frozen=True, kw_only=True):
    """The query string of a search; `types` is comma-separated: the last parts of the lists' paths."""

    q: Annotated[str, Meta(min_length=1, max_length=255)]
    types: str | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    cursor: str | None = None


class SearchList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of hits, the best first."""

    data: list[SearchHit]
    pagination: Pagination


async def _search(call: Call[None]) -> Reply:
    parameters: SearchParameters = call.params
    after = decode_cursor(parameters.cursor, Offset)
    offset = min(after.count, _MOST_HITS) if after else 0
    query = search_query(parameters.q, parameters.types, parameters.limit, offset)
    page = await call.services.reading.search.search(call.tenant_id, query)
    ended_at = offset + len(page.hits)
    pagination = pagination_of(
        page.total,
        parameters.limit,
        Offset(count=ended_at) if page.hits and ended_at < min(page.total, _MOST_HITS) else None,
    )
    return Reply(content=SearchList(data=list(page.hits), pagination=pagination))


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="GET",
        path="/api/v1/search",
        role=Role.VIEWER,
        handler=_search,
        summary="Search everything that is configured by words and how they begin",
        query=SearchParameters,
        answers={200: SearchList, **READ_ERRORS},
    ),
)
