"""The stored segments that a flow looks at: who of its customers is in them, from their rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kaireon_application.decisioning.facts import CustomerRecord, Tables
from kaireon_core.catalog.document import Document
from kaireon_core.column import Column, Operator, Test, compile_test
from kaireon_core.decisioning.compile import Enrichment

# As an enrich node by default: how long a row may be served from the cache.
_CACHE_TTL_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSegment:
    """An active segment: by which tags it is known, which row it needs, and what that must satisfy."""

    tags: frozenset[str]
    enrichment: Enrichment
    tests: tuple[tuple[str, Test], ...]

    def members(self, records: Sequence[CustomerRecord]) -> list[bool]:
        """Return who of these customers is in it; one without a row is not."""
        found: list[Mapping[str, Any]] = [one.rows.get(self.enrichment.row_key) or {} for one in records]
        are_members = [bool(row) for row in found]
        for field, test in self.tests:
            holding: list[bool] = test(Column.from_values([row.get(field) for row in found])).tolist()
            are_members = [is_member and holds for is_member, holds in zip(are_members, holding, strict=True)]
        return are_members


def stored_segments(
    documents: Iterable[Document], tables: Tables, wanted: Sequence[str], enrichments: Sequence[Enrichment]
) -> tuple[StoredSegment, ...]:
    """Return the active segments that one of the wanted tags means: an id, key or name.

    Where a flow's enrichments read the same row already, it is not read twice.
    """
    asked = frozenset(wanted)
    if not asked:
        return ()
    candidates = (_stored_segment(document, tables, enrichments) for document in documents)
    return tuple(one for one in candidates if one is not None and not asked.isdisjoint(one.tags))


def _stored_segment(document: Document, tables: Tables, enrichments: Sequence[Enrichment]) -> StoredSegment | None:
    schema_id: str = document.body["baseSchemaId"]
    table = tables.get(schema_id)
    if document.status != "active" or table is None or table.customer_column is None:
        return None
    own = Enrichment(
        schema_id=schema_id,
        lookup_key=table.customer_column.name,
        fields=(),
        cache_ttl_seconds=_CACHE_TTL_SECONDS,
    )
    same = (one for one in enrichments if tables.get(one.schema_id) is table and one.lookup_key == own.lookup_key)
    conditions: list[dict[str, Any]] = document.body["filters"]
    return StoredSegment(
        tags=frozenset({document.id, document.key, document.name}),
        enrichment=next(same, own),
        tests=tuple((one["field"], compile_test(Operator(one["operator"]), one["value"])) for one in conditions),
    )


def tags_of(segments: Sequence[StoredSegment], records: Sequence[CustomerRecord]) -> list[frozenset[str]]:
    """Return for each customer the tags of the segments that they are in."""
    if not segments:
        return [frozenset()] * len(records)
    members = [segment.members(records) for segment in segments]
    return [
        frozenset[str]().union(*(one.tags for one, mine in zip(segments, members, strict=True) if mine[place]))
        for place in range(len(records))
    ]
