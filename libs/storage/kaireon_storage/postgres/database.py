"""Connections and transactions: the one place that opens either."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from kaireon_application.errors import Unavailable
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

Connection = psycopg.AsyncConnection[dict[str, Any]]

# Set for the transaction only: under PgBouncer in transaction mode a session belongs to nobody.
_ENTER_TENANT = "SELECT set_config('role', 'kaireon_app', true), set_config('kaireon.tenant_id', %s, true)"
_ENTER_SYSTEM = "SELECT set_config('role', 'kaireon_system', true)"

_CONNECT_TIMEOUT_SECONDS = 3
_STATEMENT_TIMEOUT_MS = 15_000


class Database:
    """A pool of connections whose transactions always run under a role that row-level security binds.

    Raises `Unavailable` from every method while Postgres cannot be reached.
    """

    def __init__(self, url: str, *, max_connections: int = 8, application_name: str = "kaireon") -> None:
        """Describe the pool; nothing is opened before `open`."""
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            url,
            connection_class=psycopg.AsyncConnection[dict[str, Any]],
            kwargs={
                "row_factory": dict_row,
                "connect_timeout": _CONNECT_TIMEOUT_SECONDS,
                "application_name": application_name,
                "options": f"-c statement_timeout={_STATEMENT_TIMEOUT_MS} -c timezone=UTC",
            },
            min_size=1,
            max_size=max_connections,
            timeout=_CONNECT_TIMEOUT_SECONDS,
            reconnect_timeout=0,
            open=False,
            check=AsyncConnectionPool.check_connection,
        )

    async def open(self) -> None:
        """Open the pool without waiting for a connection: Postgres may still be starting."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close(timeout=5)

    def transaction(self, tenant_id: UUID) -> TransactionContext:
        """Open a transaction that sees this tenant's rows only."""
        return self._transaction(_ENTER_TENANT, (str(tenant_id),))

    def system_transaction(self) -> TransactionContext:
        """Open a transaction that sees every tenant's rows: for relays, leases, keys and clean-up."""
        return self._transaction(_ENTER_SYSTEM, ())

    @asynccontextmanager
    async def _transaction(self, enter: str, parameters: tuple[str, ...]) -> AsyncIterator[Connection]:
        try:
            async with self._pool.connection() as connection, connection.transaction():
                await connection.execute(enter, parameters)  # pyright: ignore[reportArgumentType]
                yield connection
        except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout) as error:
            raise Unavailable("Postgres cannot be reached; try again") from error
