"""Connections and transactions: the one place that opens either."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from kaireon_application.errors import Busy, TooSlow, Unavailable
from kaireon_runtime.logs import logger
from kaireon_runtime.settings import Pooler
from kaireon_storage.postgres.round_trip import BoundStatement, RoundTrips
from kaireon_storage.postgres.session import Sessions

if TYPE_CHECKING:
    from uuid import UUID

    from psycopg.abc import QueryNoTemplate
    from psycopg.pq.abc import PGresult

Row: TypeAlias = dict[str, Any]
Connection: TypeAlias = psycopg.AsyncConnection[Row]
TransactionContext: TypeAlias = AbstractAsyncContextManager[Connection]
Statement: TypeAlias = "tuple[QueryNoTemplate, Mapping[str, object]]"

_CONNECT_TIMEOUT_SECONDS = 3
# A server that takes connections but says nothing is away too; this is longer than the wait for any lock.
_SILENCE_SECONDS = 4.0
_AWAY = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout, TimeoutError)
# It answers, and cannot do its work: its disk or a quota is full (what has no code of its own is XX000), or it has
# become a replica. Nobody's data are to blame.
_AT_FAULT = (
    psycopg.errors.DiskFull,
    psycopg.errors.IoError,
    psycopg.errors.InternalError_,
    psycopg.errors.ReadOnlySqlTransaction,
)


class _LatestFirst(AsyncConnectionPool[Connection]):
    """Hands out the connection that came back last: what its server process needs is still in the processor's cache.

    psycopg's own order takes each in turn; with few callers that is a tenth of a decision's time.
    """

    async def _get_ready_connection(
        self,
        timeout: float | None,  # noqa: ASYNC109 - psycopg names it
    ) -> Connection | None:
        self._pool.rotate(1)
        return await super()._get_ready_connection(timeout)


class Database:
    """A pool of connections whose transactions always run under a role that row-level security binds.

    Raises `Unavailable` from every method while Postgres cannot be reached or cannot do its work.
    """

    def __init__(
        self,
        url: str,
        *,
        max_connections: int = 8,
        application_name: str = "kaireon",
        pooler: Pooler = Pooler.AUTO,
    ) -> None:
        """Describe the pool; nothing is opened before `open`."""
        self._round_trips = RoundTrips()
        self._sessions = Sessions(pooler)
        self._checking: asyncio.Task[None] | None = None
        self._pool = _LatestFirst(
            url,
            connection_class=psycopg.AsyncConnection[Row],
            kwargs={
                "row_factory": dict_row,
                "autocommit": True,
                "connect_timeout": _CONNECT_TIMEOUT_SECONDS,
                "application_name": application_name,
            },
            configure=self._sessions.configure,
            min_size=1,
            max_size=max_connections,
            timeout=_CONNECT_TIMEOUT_SECONDS,
            reconnect_timeout=0,
            open=False,
        )

    async def open(self) -> None:
        """Open the pool without waiting for a connection: Postgres may still be starting."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close(timeout=5)

    def transaction(self, tenant_id: UUID | str) -> TransactionContext:
        """Open a transaction that sees this tenant's rows only."""
        return self._transaction(tenant_id)

    def system_transaction(self) -> TransactionContext:
        """Open a transaction that sees every tenant's rows: for relays, leases, keys and clean-up."""
        return self._transaction(None)

    async def together(self, tenant_id: UUID | str, statements: Sequence[Statement]) -> list[list[Row]]:
        """Run statements of one tenant as one transaction in one round trip, and return the rows of each.

        Nothing may depend on an answer before it: all are sent before the first is read.
        """
        async with self._connected() as connection:
            enter = self._sessions.entrance(connection).tenant
            async with connection.pipeline():
                await connection.execute("BEGIN", prepare=True)
                await connection.execute(enter, (str(tenant_id),), prepare=True)
                cursors = [
                    await connection.execute(query, parameters, prepare=True) for query, parameters in statements
                ]
                await connection.execute("COMMIT", prepare=True)
            return [await cursor.fetchall() for cursor in cursors]

    async def round_trip(self, tenant_id: UUID | str, statements: Sequence[BoundStatement]) -> list[PGresult]:
        """Run prepared statements of one tenant as one transaction, in one packet there and one back: the hot path.

        Raises `Unavailable` as well when no answer comes for four seconds.
        """
        async with self._connected() as connection, asyncio.timeout(_SILENCE_SECONDS):
            enter = (self._sessions.entrance(connection).tenant_planned, [str(tenant_id)])
            _, *results = await self._round_trips.run(connection, [enter, *statements])
            return results

    async def within(self, connection: Connection, statements: Sequence[BoundStatement]) -> list[PGresult]:
        """Run statements inside a transaction that is open on this connection, in one round trip."""
        return await self._round_trips.run_within(connection, statements)

    @asynccontextmanager
    async def _transaction(self, tenant_id: UUID | str | None) -> AsyncGenerator[Connection]:
        async with self._connected() as connection, connection.transaction():
            entrance = self._sessions.entrance(connection)
            if tenant_id is None:
                await connection.execute(entrance.system)
            else:
                await connection.execute(entrance.tenant, (str(tenant_id),))
            yield connection

    @asynccontextmanager
    async def _connected(self) -> AsyncGenerator[Connection]:
        try:
            async with self._pool.connection() as connection:
                yield connection
        except psycopg.errors.QueryCanceled as error:
            raise TooSlow from error
        except psycopg.errors.LockNotAvailable as error:
            raise Busy from error
        except _AT_FAULT as error:
            logger("kaireon.postgres").error("Postgres cannot do its work", reason=str(error))
            message = f"Postgres cannot do this now (SQLSTATE {error.sqlstate}); try again"
            raise Unavailable(message) from error
        except _AWAY as error:
            self._check_the_others()
            message = "Postgres cannot be reached; try again"
            raise Unavailable(message) from error

    def _check_the_others(self) -> None:
        """Look at the idle connections too, once: when one is broken, most are, and each would fail a caller."""
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._pool.check())
