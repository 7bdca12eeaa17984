"""What Postgres says about the installation as a whole: its clock, the queues of jobs and the outbox."""

from __future__ import annotations

from datetime import datetime

import msgspec

from kaireon_storage.postgres.database import Connection, Database
from kaireon_storage.postgres.queries import queries

# Beyond it the exact number changes nothing.
_BOUND = 100_000


class ServerState(msgspec.Struct, frozen=True, kw_only=True):
    """The server itself; `pid` is the process that the server knows, which a pooler hides from its clients."""

    at: datetime
    pid: int
    version: str
    is_replica: bool


class QueueState(msgspec.Struct, frozen=True, kw_only=True):
    """One queue of jobs, of all tenants; `lost` are those whose worker has not renewed its lease."""

    queue: str
    queued: int
    running: int
    lost: int
    dead: int
    due_seconds: float


class OutboxState(msgspec.Struct, frozen=True, kw_only=True):
    """The outbox, of all tenants; counts stop at 100,000. `stuck` are events that somebody took and left."""

    pending: int
    stuck: int
    pending_seconds: float
    last_error: str | None
    dead: int


async def server_of(connection: Connection) -> ServerState:
    """Return how the server at the other end of a connection is."""
    return ServerState(**await queries("diagnosis").read_server(connection))


class PostgresDiagnosis:
    """Reads what is asked, and changes nothing."""

    def __init__(self, database: Database) -> None:
        """Look at this database."""
        self._database = database
        self._sql = queries("diagnosis")

    async def server(self) -> ServerState:
        """Return how the server is."""
        async with self._database.system_transaction() as connection:
            return await server_of(connection)

    async def queues(self) -> list[QueueState]:
        """Return every queue that has unfinished or dead jobs."""
        async with self._database.system_transaction() as connection:
            return [QueueState(**row) async for row in self._sql.measure_queues(connection)]

    async def outbox(self) -> OutboxState:
        """Return how the outbox is."""
        async with self._database.system_transaction() as connection:
            return OutboxState(**await self._sql.measure_outbox(connection, bound=_BOUND))
