"""Search in OpenSearch: one index of all tenants, a document for each configured thing, written whole per tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
import msgspec

from kaireon_application.catalog.search import TYPE_OF_KIND, SearchHit, SearchPage, SearchQuery, words_of
from kaireon_application.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kaireon_runtime.settings import SearchSettings
    from kaireon_storage.postgres.database import Row

_TIMEOUT = httpx.Timeout(5.0, connect=2.0)
_SYNC_TIMEOUT = httpx.Timeout(60.0, connect=2.0)
_DOCUMENTS_AT_ONCE = 1_000
_MOST_BYTES = 16 * 2**20
_CONFLICT, _NOT_FOUND, _BAD_REQUEST = 409, 404, 400
_KEYWORD, _SHOWN = {"type": "keyword"}, {"type": "keyword", "index": False, "doc_values": False}
_MAPPING = {
    "settings": {"number_of_shards": 1, "auto_expand_replicas": "0-1"},
    "mappings": {
        "dynamic": False,
        "properties": {
            **dict.fromkeys(("tenantId", "kind", "id", "sortName", "exact"), _KEYWORD),
            **dict.fromkeys(("key", "name", "status", "description", "updatedAt"), _SHOWN),
            **{key: {"type": "text"} for key in ("title", "text")},
            "generation": {"type": "long"},
        },
    },
}
_encode = msgspec.json.encode


class OpenSearch:
    """Implements `SearchIndex`, and takes what is to be found. Raises `Unavailable` while it does not answer."""

    def __init__(self, settings: SearchSettings) -> None:
        """Describe the client; nothing is connected yet."""
        password = settings.opensearch_password
        name = settings.opensearch_username
        auth = None if name is None or password is None else (name, password.get_secret_value())
        self._index = settings.opensearch_index
        self._client = httpx.AsyncClient(base_url=settings.opensearch_url or "", auth=auth, timeout=_TIMEOUT)

    async def close(self) -> None:
        """Close its connections."""
        await self._client.aclose()

    async def search(self, tenant_id: UUID, query: SearchQuery) -> SearchPage:
        """Return one page of hits."""
        found = await self._find(tenant_id, query, _beginning(query))
        if found.hits or query.offset:
            return found
        return await self._find(tenant_id, query, _similar(query))

    async def _find(self, tenant_id: UUID, query: SearchQuery, wanted: dict[str, Any]) -> SearchPage:
        body = {
            "query": {
                "bool": {
                    "filter": [{"term": {"tenantId": str(tenant_id)}}, {"terms": {"kind": list(query.kinds)}}],
                    **wanted,
                }
            },
            "from": query.offset,
            "size": query.limit,
            "sort": [{"_score": "desc"}, {"kind": "asc"}, {"sortName": "asc"}, {"id": "asc"}],
            "track_scores": True,
            "track_total_hits": True,
        }
        answer = await self._call("POST", f"/{self._index}/_search", _encode(body))
        hits = answer["hits"]
        return SearchPage(hits=[_hit(hit) for hit in hits["hits"]], total=hits["total"]["value"])

    async def create(self) -> None:
        """Create the index where it is missing."""
        await self._call("PUT", f"/{self._index}", _encode(_MAPPING), accepted=(_BAD_REQUEST,))

    async def drop(self) -> None:
        """Delete the index where there is one."""
        await self._call("DELETE", f"/{self._index}", accepted=(_NOT_FOUND,))

    async def generation(self, tenant_id: UUID) -> int:
        """Return the version of a tenant's configuration that was written last, -1 before the first."""
        answer = await self._call("GET", f"/{self._index}/_doc/{_mark(tenant_id)}", accepted=(_NOT_FOUND,))
        return int(answer["_source"]["generation"]) if answer.get("found") else -1

    async def write(self, tenant_id: UUID, generation: int, rows: Sequence[Row]) -> None:
        """Have a tenant's things found as they are in this version; an older version never replaces a newer one."""
        for first in range(0, len(rows), _DOCUMENTS_AT_ONCE):
            part = rows[first : first + _DOCUMENTS_AT_ONCE]
            await self._bulk([_document(tenant_id, generation, row) for row in part])
        await self._forget_older(tenant_id, generation)
        await self._bulk([(_mark(tenant_id), generation, {"generation": generation})])

    async def _forget_older(self, tenant_id: UUID, generation: int) -> None:
        """Delete what this version did not write: it is not configured any more."""
        older = [{"term": {"tenantId": str(tenant_id)}}, {"range": {"generation": {"lt": generation}}}]
        body = {"query": {"bool": {"filter": older}}, "size": _DOCUMENTS_AT_ONCE, "_source": False}
        while True:
            await self._call("POST", f"/{self._index}/_refresh")
            found = await self._call("POST", f"/{self._index}/_search", _encode(body))
            ids = [hit["_id"] for hit in found["hits"]["hits"]]
            if not ids:
                return
            await self._bulk([(id_, generation, None) for id_ in ids])

    async def _bulk(self, documents: Sequence[tuple[str, int, dict[str, Any] | None]]) -> None:
        """Write documents, each with its id and version; None deletes one."""
        lines = list[bytes]()
        for id_, version, source in documents:
            action = "delete" if source is None else "index"
            lines.append(_encode({action: {"_id": id_, "version": version, "version_type": "external_gte"}}))
            if source is not None:
                lines.append(_encode(source))
        answer = await self._call("POST", f"/{self._index}/_bulk", b"\n".join(lines) + b"\n")
        written = [outcome for item in answer["items"] for outcome in item.values()]
        refused = [outcome for outcome in written if outcome["status"] not in {200, 201, _NOT_FOUND, _CONFLICT}]
        if refused:
            raise Unavailable(f"OpenSearch refused a document: {refused[0].get('error')}")

    async def _call(self, method: str, path: str, body: bytes | None = None, accepted: tuple[int, ...] = ()) -> Any:
        headers = {"content-type": "application/x-ndjson" if path.endswith("_bulk") else "application/json"}
        timeout = _TIMEOUT if path.endswith("_search") else _SYNC_TIMEOUT
        try:
            answer = await self._client.request(method, path, content=body, headers=headers, timeout=timeout)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unavailable("OpenSearch cannot be reached; try again") from error
        if answer.is_success or answer.status_code in accepted:
            if len(answer.content) > _MOST_BYTES:
                raise Unavailable("OpenSearch answered too much")
            return msgspec.json.decode(answer.content)
        raise Unavailable(f"OpenSearch answered {answer.status_code}: {answer.text[:200]}")


def _beginning(query: SearchQuery) -> dict[str, Any]:
    """Return the query for things that have words which begin like all of these."""
    return {
        "must": [
            {
                "bool": {
                    "should": [
                        {"prefix": {"title": {"value": word, "boost": 4}}},
                        {"term": {"title": {"value": word, "boost": 2}}},
                        {"prefix": {"text": {"value": word}}},
                    ],
                    "minimum_should_match": 1,
                }
            }
            for word in query.words
        ],
        "should": [{"term": {"exact": {"value": " ".join(query.words), "boost": 20}}}],
    }


def _similar(query: SearchQuery) -> dict[str, Any]:
    """Return the query for things with words in their name or key that are spelled nearly like these."""
    near = [{"fuzzy": {"title": {"value": word, "fuzziness": "AUTO"}}} for word in query.words]
    return {"should": near, "minimum_should_match": max(1, round(len(near) * 0.6))}


def _mark(tenant_id: UUID) -> str:
    return f"generation:{tenant_id}"


def _document(tenant_id: UUID, generation: int, row: Row) -> tuple[str, int, dict[str, Any]]:
    shown = {name: row[name] for name in ("kind", "id", "key", "name", "status", "description")}
    name, key = " ".join(words_of(row["name"])), " ".join(words_of(row["key"]))
    source = {
        **shown,
        "updatedAt": row["updated_at"],
        "tenantId": tenant_id,
        "generation": generation,
        "sortName": row["name"],
        "exact": [name, key],
        "title": f"{name} {key}",
        "text": " ".join(words_of(f"{row['description'] or ''} {row['tags'] or ''}")),
    }
    return f"{tenant_id}:{row['kind']}:{row['id']}", generation, source


def _hit(hit: dict[str, Any]) -> SearchHit:
    source = hit["_source"]
    shown = {name: source[name] for name in ("id", "key", "name", "status", "description", "updatedAt")}
    return msgspec.convert(
        {**shown, "type": TYPE_OF_KIND[source["kind"]], "score": float(hit["_score"])}, SearchHit, strict=False
    )
