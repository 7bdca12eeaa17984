"""A customer's history from an interaction store; what decisions recommended, and names, from Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol
from uuid import UUID

from msgspec.structs import replace

from kaireon_application.catalog.entities import ListPosition
from kaireon_application.customers.history import HistoryPage, HistoryQuery, Interaction, NamedThing
from kaireon_application.customers.interaction_store import CustomerSummary, InteractionRecord, InteractionStore
from kaireon_application.decisioning.decided_customer import PUBLIC_PREFIX
from kaireon_application.errors import KaireonError
from kaireon_runtime.catalogue import INTERACTION_STORE_FALLBACKS
from kaireon_runtime.logs import logger
from kaireon_runtime.metrics import Metrics

RECOMMENDATION = "recommendation"
POSTGRES = "postgresql"


class SystemHistory(Protocol):
    """What Postgres knows. Every method raises `Unavailable` while it is away."""

    async def interactions(self, tenant_id: UUID, query: HistoryQuery) -> HistoryPage:
        """Return one page of interactions, newest first."""
        ...

    async def names(self, tenant_id: UUID, kind: str, ids: Sequence[UUID]) -> Mapping[UUID, NamedThing]:
        """Return name and status of things of a kind; those that are gone are left out."""
        ...


class StoredHistory:
    """Reads what is asked of one customer from the store that a tenant has chosen, everything else from Postgres.

    Postgres has every interaction within the tenant's retention: while the store is away it answers instead.
    """

    def __init__(
        self, system: SystemHistory, stores: Mapping[str, InteractionStore], default: str, metrics: Metrics
    ) -> None:
        """Take the stores by the name of their backend; `default` need not be one of them."""
        self._system = system
        self._stores = stores
        self._default = default
        self._metrics = metrics

    def backend_of(self, chosen: str | None) -> str:
        """Return which backend a tenant reads from that has chosen this one."""
        return chosen if chosen in self.backends else self._default

    @property
    def backends(self) -> tuple[str, ...]:
        """Return what this installation can read from, Postgres first."""
        return (POSTGRES, *self._stores)

    async def interactions(self, tenant_id: UUID, query: HistoryQuery, chosen: str | None) -> HistoryPage:
        """Return one page, newest first, the same whatever store it comes from."""
        backend = self.backend_of(chosen)
        store = self._stores.get(backend)
        if store is None or query.customer_id is None or query.type == RECOMMENDATION:
            return await self._system.interactions(tenant_id, query)
        try:
            found, summary = await _read(store, tenant_id, query.customer_id, query)
        except KaireonError as error:
            self._metrics.add(INTERACTION_STORE_FALLBACKS, backend)
            logger("kaireon.interaction-store").warning("a history is read from Postgres", reason=error.message)
            return await self._system.interactions(tenant_id, query)
        return await self._merged(tenant_id, query, found, summary)

    async def _merged(
        self, tenant_id: UUID, query: HistoryQuery, found: Sequence[InteractionRecord], summary: CustomerSummary
    ) -> HistoryPage:
        recommended, offers, creatives = await asyncio.gather(
            self._recommended(tenant_id, query),
            self._system.names(tenant_id, "offer", _ids(found, lambda record: record.offer_id)),
            self._system.names(tenant_id, "creative", _ids(found, lambda record: record.creative_id)),
        )
        merged = [_interaction(record, offers, creatives) for record in found] + recommended.interactions
        merged.sort(key=lambda one: (one.timestamp, one.id), reverse=True)
        shown = merged[: query.limit]
        has_more = len(merged) > query.limit or recommended.next_position is not None
        last = ListPosition(rank=0, at=shown[-1].timestamp, id=shown[-1].id) if has_more and shown else None
        return HistoryPage(interactions=shown, total=summary.count + recommended.total, next_position=last)

    async def _recommended(self, tenant_id: UUID, query: HistoryQuery) -> HistoryPage:
        if query.type is not None:
            return HistoryPage(interactions=[], total=0, next_position=None)
        return await self._system.interactions(tenant_id, replace(query, type=RECOMMENDATION))


async def _read(
    store: InteractionStore, tenant_id: UUID, customer_id: str, query: HistoryQuery
) -> tuple[Sequence[InteractionRecord], CustomerSummary]:
    # One more than fits: whether there is a next page.
    page = store.page(tenant_id, customer_id, replace(query, limit=query.limit + 1))
    return await asyncio.gather(page, store.summary(tenant_id, customer_id, query))


def _ids(records: Sequence[InteractionRecord], of: Callable[[InteractionRecord], UUID | None]) -> list[UUID]:
    return list({id_ for record in records if (id_ := of(record)) is not None})


def _interaction(
    record: InteractionRecord, offers: Mapping[UUID, NamedThing], creatives: Mapping[UUID, NamedThing]
) -> Interaction:
    details = record.details or {}
    return Interaction(
        id=record.id,
        tenant_id=record.tenant_id,
        customer_id=record.customer_id,
        interaction_type=record.outcome_key or record.kind,
        outcome_type_key=record.outcome_key,
        classification=record.classification,
        direction=record.direction,
        offer_id=record.offer_id,
        creative_id=record.creative_id,
        channel_id=record.channel_id,
        placement_id=record.placement_id,
        recommendation_id=f"{PUBLIC_PREFIX}{record.recommendation_id}" if record.recommendation_id else None,
        rank=record.rank,
        score=record.score,
        conversion_value=record.conversion_value,
        timestamp=record.occurred_at,
        event_id=record.id,
        context=details.get("context"),
        outcome_details=details.get("outcomeDetails"),
        offer=_named(record.offer_id, offers),
        creative=_named(record.creative_id, creatives),
    )


def _named(id_: UUID | None, known: Mapping[UUID, NamedThing]) -> NamedThing | None:
    return None if id_ is None else known.get(id_, NamedThing(id=id_, name=None, status=None))
