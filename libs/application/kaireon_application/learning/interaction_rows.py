"""Stored decisions joined with their outcomes, as rows to learn from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

import msgspec

from kaireon_application.catalog.entities import Entities, ListQuery
from kaireon_application.learning.training import INTERACTIONS, OUTCOME, TrainingRows
from kaireon_core.catalog.document import Document
from kaireon_core.column import Column
from kaireon_core.table import CustomerFacts, Table, split_name

# The newest rows: memory is bounded, whatever was decided.
MOST_ROWS = 200_000
_ALL = 10_000
# What rows of a schema would call the two ids, for models that learn from ids.
_CUSTOMER_ID, _OFFER_ID = "customerId", "offerId"


class TrainingDecision(msgspec.Struct, frozen=True, kw_only=True):
    """A decision as it was made: what was known of the customer, and the offers that were shown, with their labels."""

    customer_id: str
    facts: CustomerFacts
    offers: list[tuple[str, float]]


class TrainingDecisions(Protocol):
    """Reads stored decisions with what became of them. Raises `Unavailable` while the storage is down."""

    def newest(self, tenant_id: UUID) -> AsyncIterator[list[TrainingDecision]]:
        """Yield decisions, the newest first, some at a time.

        An offer's label is 1 after a positive outcome. A decision with impressions showed the offers that have one, or
        an outcome; of one without any, all its offers count as shown.
        """
        ...


class SourcedRows:
    """`TrainingRows` of a schema, or of stored decisions where a plan learns from those."""

    def __init__(self, schema_rows: TrainingRows, decisions: TrainingDecisions, entities: Entities) -> None:
        """Read rows of schemas, decisions, and the offers that decisions name."""
        self._schema_rows = schema_rows
        self._decisions = decisions
        self._entities = entities

    async def read(
        self, tenant_id: UUID, schema_key: str, fields: Sequence[str], time_field: str | None
    ) -> Mapping[str, Column]:
        """Return the columns of these fields, of decisions the oldest first; the outcome is 0 or 1.

        Fields of an offer are those that it has today.
        """
        if schema_key != INTERACTIONS:
            return await self._schema_rows.read(tenant_id, schema_key, fields, time_field)
        offers = await self._offers(tenant_id)
        values: dict[str, list[object]] = {name: [] for name in dict.fromkeys(fields)}
        count = 0
        async for decisions in self._decisions.newest(tenant_id):
            for decision in decisions:
                shown = [(offers[offer_id], label) for offer_id, label in decision.offers if offer_id in offers]
                for name, column in values.items():
                    column.extend(_values(name, decision, shown))
                count += len(shown)
            if count >= MOST_ROWS:
                break
        return {name: Column.from_values(column[:MOST_ROWS][::-1]) for name, column in values.items()}

    async def _offers(self, tenant_id: UUID) -> dict[str, Document]:
        async with self._entities.reading(tenant_id) as reader:
            page = await reader.page("offer", ListQuery(limit=_ALL))
        return {
            str(one.id): Document(id=str(one.id), key=one.key, name=one.name, status=one.status, body=one.body)
            for one in page.entities
        }


def _values(name: str, decision: TrainingDecision, shown: Sequence[tuple[Document, float]]) -> list[Any]:
    """Return the values of a field for each offer that a decision showed."""
    if name == OUTCOME:
        return [label for _, label in shown]
    namespace, field = split_name(name)
    if namespace == "offer":
        return [offer.value(field) for offer, _ in shown]
    value = Table.of([decision.facts], {}, 0).values(name)[0]
    if value is None and name == _OFFER_ID:
        return [offer.key for offer, _ in shown]
    if value is None and name == _CUSTOMER_ID:
        value = decision.customer_id
    return [value] * len(shown)
