"""The interaction stores that the settings name, opened and wired."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import import_module
from typing import Any
from uuid import UUID

import msgspec

from kaireon_application.catalog.entities import ListPosition
from kaireon_application.customers.history import HistoryQuery
from kaireon_application.customers.interaction_store import InteractionRecord, StoreMissing
from kaireon_application.customers.keep_stores import RepairStores, StoreResponses
from kaireon_application.customers.stored_history import POSTGRES, StoredHistory, SystemHistory
from kaireon_application.errors import KaireonError, Unavailable
from kaireon_runtime.logs import logger
from kaireon_runtime.metrics import Metrics
from kaireon_runtime.settings import refuse
from kaireon_runtime.store_settings import InteractionStoreSettings, StoreBackend
from kaireon_storage.interactions.partitioned import InteractionTable, PartitionedStore
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.store_marks import PostgresStoreMarks

# How each backend's module is called, and the extra of kaireon-storage that has what it needs.
_TABLES: Mapping[StoreBackend, tuple[str, str, str]] = {
    StoreBackend.DYNAMODB: ("dynamodb", "DynamoDbTable", "dynamodb"),
    StoreBackend.CASSANDRA: ("cql", "CqlTable", "cassandra"),
    StoreBackend.SCYLLA: ("cql", "CqlTable", "cassandra"),
    StoreBackend.KEYSPACES: ("cql", "CqlTable", "keyspaces"),
}
# Of a write for a waiting caller; reads and repairs may take longer.
_LEAST_TIMEOUT_SECONDS = 2.0
_CHECK_SECONDS = 10.0
_PAGE = 500


class ExtraMissing(KaireonError):
    """The client of the interaction store is not installed."""

    code = "NOT_CONFIGURED"


class ExternalStores:
    """The stores beside Postgres, by the name of their backend; none where Postgres is the only one."""

    def __init__(self, settings: InteractionStoreSettings, backends: Sequence[StoreBackend] | None = None) -> None:
        """Take the backends that the settings write to, or others. Nothing is connected. Raises `ExtraMissing`."""
        self._settings = settings
        chosen = settings.external_stores if backends is None else backends
        self._client_seconds = _client_seconds(settings)
        self.stores: dict[str, PartitionedStore] = {
            backend.value: PartitionedStore(_table(settings, backend), backend.value) for backend in chosen
        }

    @property
    def retention_days(self) -> int | None:
        """For how long the stores keep a record; None for ever."""
        return self._settings.interaction_store_retention_days or None

    def responses(self, database: Database, metrics: Metrics) -> StoreResponses | None:
        """Return what writes responses before they are answered; None where nothing is to be written."""
        if not self.stores:
            return None
        return StoreResponses(
            self.stores,
            PostgresStoreMarks(database),
            metrics,
            timeout_seconds=self._settings.interaction_store_timeout_ms / 1000,
            retention_days=self.retention_days,
            monotonic=time.monotonic,
        )

    def repair(self, database: Database, metrics: Metrics) -> RepairStores:
        """Return what writes all that is marked."""
        return RepairStores(self.stores, PostgresStoreMarks(database), metrics, retention_days=self.retention_days)

    def history(self, system: SystemHistory, metrics: Metrics) -> StoredHistory:
        """Return what reads a customer's history."""
        chosen = self._settings.interaction_store
        default = POSTGRES if chosen is StoreBackend.PG else chosen.value
        return StoredHistory(system, self.stores, default, metrics)

    async def rows(self, tenant_id: UUID, customer_ids: Sequence[str]) -> AsyncGenerator[dict[str, Any]]:
        """Yield all that the stores hold about customers, as JSON."""
        for name, store in self.stores.items():
            for customer_id in customer_ids:
                async for record in _everything(store, tenant_id, customer_id):
                    yield {"store": name, "interaction": msgspec.to_builtins(record)}

    async def erase(self, tenant_id: UUID, customer_ids: Sequence[str]) -> None:
        """Delete all that the stores hold about customers whose rows and marks are gone from Postgres.

        An answer that was being written then may land after the first pass: there is a second, when it must be over.
        """
        for pause_seconds in (0.0, 2 * self._client_seconds) if self.stores else ():
            await asyncio.sleep(pause_seconds)
            for store in self.stores.values():
                for customer_id in customer_ids:
                    await store.delete_customer(tenant_id, customer_id)

    async def require(self) -> None:
        """Raise `StoreMissing` when the table of a store is not there, `Unavailable` when that cannot be told."""
        for store in self.stores.values():
            await store.table.require()

    async def close(self) -> None:
        """Give back connections."""
        for store in self.stores.values():
            await store.table.close()


@asynccontextmanager
async def opened_stores(
    settings: InteractionStoreSettings, backends: Sequence[StoreBackend]
) -> AsyncGenerator[ExternalStores]:
    """Open these stores for a command, and close them. Raises `ExtraMissing`."""
    stores = ExternalStores(settings, backends)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(stores.close)
        yield stores


def require_stores(settings: InteractionStoreSettings) -> None:
    """End the process with one clear error when a store's table or client is missing; before it serves.

    A store that cannot be reached is no reason not to start: Postgres has everything.
    """
    if settings.external_stores:
        asyncio.run(_require(settings))


async def _require(settings: InteractionStoreSettings) -> None:
    try:
        async with opened_stores(settings, settings.external_stores) as stores, asyncio.timeout(_CHECK_SECONDS):
            await stores.require()
    except (StoreMissing, ExtraMissing) as error:
        refuse(error.message.splitlines())
    except (Unavailable, TimeoutError) as error:
        logger("kaireon.interaction-store").warning("the interaction store cannot be checked", reason=str(error))


def _table(settings: InteractionStoreSettings, backend: StoreBackend) -> InteractionTable:
    module, name, extra = _TABLES[backend]
    try:
        # Only the clients of the stores that are used need to be installed.
        table: Any = getattr(import_module(f"kaireon_storage.interactions.{module}"), name)
    except ModuleNotFoundError as error:
        raise ExtraMissing(f"{backend} needs the package {error.name}: install kaireon-storage[{extra}]") from error
    place = settings.dynamodb if backend is StoreBackend.DYNAMODB else settings.cql(backend)
    return table(place, _client_seconds(settings))


def _client_seconds(settings: InteractionStoreSettings) -> float:
    """Return for how long one call of a client may take, whoever still waits for it."""
    return max(_LEAST_TIMEOUT_SECONDS, settings.interaction_store_timeout_ms / 1000)


async def _everything(store: PartitionedStore, tenant_id: UUID, customer_id: str) -> AsyncGenerator[InteractionRecord]:
    after: ListPosition | None = None
    while page := await store.page(tenant_id, customer_id, HistoryQuery(limit=_PAGE, after=after)):
        for record in page:
            yield record
        after = ListPosition(rank=0, at=page[-1].occurred_at, id=page[-1].id)
