"""What a transaction needs of its session, whether the session is ours or a pooler lends it for one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import psycopg

from kaireon_runtime.settings import Pooler

if TYPE_CHECKING:
    from psycopg.abc import QueryNoTemplate

_LIMITS = {
    "statement_timeout": "15000",
    "lock_timeout": "3500",
    # For a process that stops in the middle; claims, which others wait for, ask for less.
    "idle_in_transaction_session_timeout": "300000",
    "timezone": "UTC",
}
_FOR_THE_TRANSACTION = "".join(f", set_config('{name}', '{value}', true)" for name, value in _LIMITS.items())
_FOR_THE_SESSION = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in _LIMITS.items())

_APP = "SELECT set_config('role', 'kaireon_app', true), set_config('kaireon.tenant_id', {}, true)"
# The statements of a round trip are planned once: their arrays differ in length only, and planning costs as much as
# doing.
_PLANNED = ", set_config('plan_cache_mode', 'force_generic_plan', true)"
_SYSTEM = "SELECT set_config('role', 'kaireon_system', true)"


class Entrance:
    """The first statement of a transaction, by kind: it takes on a role, and a tenant where there is one."""

    def __init__(self, limits: str) -> None:
        self.tenant: QueryNoTemplate = (_APP.format("%s") + limits).encode()
        self.tenant_planned = (_APP.format("$1") + _PLANNED + limits).encode()
        self.system: QueryNoTemplate = (_SYSTEM + limits).encode()


_OWN, _LENT = Entrance(""), Entrance(_FOR_THE_TRANSACTION)


class Sessions:
    """Knows which connections lead to a session of their own.

    A pooler in transaction mode lends a server's session for one transaction: time-outs are then set in each
    transaction, and nothing is prepared unless the pooler keeps prepared statements apart itself.
    """

    def __init__(self, pooler: Pooler) -> None:
        """Take what is known of the way to Postgres."""
        self._pooler = pooler
        self._lent: WeakSet[psycopg.AsyncConnection[Any]] = WeakSet()

    async def configure(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Prepare a new connection for its transactions."""
        if not await self._is_lent(connection):
            await connection.execute(f"SELECT {_FOR_THE_SESSION}".encode(), prepare=False)
            return
        self._lent.add(connection)
        if self._pooler is not Pooler.TRANSACTION_PREPARED:
            connection.prepare_threshold = None

    def entrance(self, connection: psycopg.AsyncConnection[Any]) -> Entrance:
        """Return how a transaction on this connection begins."""
        return _LENT if connection in self._lent else _OWN

    async def _is_lent(self, connection: psycopg.AsyncConnection[Any]) -> bool:
        if self._pooler is not Pooler.AUTO:
            return self._pooler is not Pooler.NONE
        # A pooler makes up the process id that it tells its clients: the server's own differs.
        cursor = await connection.execute("SELECT pg_backend_pid() AS pid", prepare=False)
        row = await cursor.fetchone()
        return row is None or row["pid"] != connection.info.backend_pid
