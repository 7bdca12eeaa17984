"""Prepared statements of one transaction in one round trip: one packet there, one packet back.

psycopg's pipeline flushes and listens after every statement, which is right in general and a third of the cost of a
decision's commit. Here all statements of a transaction are queued in libpq, sent at once, and awaited once.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from typing import TypeAlias
from weakref import WeakKeyDictionary

import psycopg
from psycopg import pq
from psycopg.errors import error_from_result
from psycopg.pq.abc import PGconn, PGresult

# A statement as Postgres reads it (`$1`, `$2`, ...) and its values: `str` in text form, `bytes` in binary form.
BoundStatement: TypeAlias = "tuple[bytes, Sequence[str | bytes | None]]"
# The name to run it by (None: without), the same again if it has to be prepared, the statement and its values.
_Queued: TypeAlias = "tuple[bytes | None, bytes | None, bytes, Sequence[str | bytes | None]]"
_FAILED = (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE)


class RoundTrips:
    """Runs transactions on connections, preparing each statement once per connection."""

    def __init__(self) -> None:
        self._prepared: WeakKeyDictionary[psycopg.AsyncConnection[object], dict[bytes, bytes]] = WeakKeyDictionary()
        self._numbers = itertools.count()

    async def run(
        self, connection: psycopg.AsyncConnection[object], statements: Sequence[BoundStatement]
    ) -> list[PGresult]:
        """Run the statements as one transaction and return their results.

        What stands between two syncs is one transaction, so no BEGIN and COMMIT have to travel.
        Raises the `psycopg.Error` of the first that failed; nothing of the transaction stays then.
        """
        if connection.prepare_threshold is None:
            # What is prepared here may not be there: a pooler lends another session for the next transaction.
            return await self.run_within(connection, statements)
        names = self._prepared.setdefault(connection, {})
        try:
            return await self._run_prepared(connection, names, statements)
        except psycopg.errors.InvalidSqlStatementName:
            # psycopg drops every prepared statement of a connection, ours too, after a transaction was rolled back.
            names.clear()
            return await self._run_prepared(connection, names, statements)

    async def run_within(
        self, connection: psycopg.AsyncConnection[object], statements: Sequence[BoundStatement]
    ) -> list[PGresult]:
        """Run the statements without preparing them, inside the transaction that is open, else as one.

        Raises the `psycopg.Error` of the first that failed. They are planned anew each time: inside a transaction, one
        that turns out not to be prepared any more would fail it.
        """
        results = await _exchange(connection.pgconn, [(None, None, *statement) for statement in statements])
        _raise_first(results)
        return results

    async def _run_prepared(
        self,
        connection: psycopg.AsyncConnection[object],
        names: dict[bytes, bytes],
        statements: Sequence[BoundStatement],
    ) -> list[PGresult]:
        queued = list[_Queued]()
        for query, values in statements:
            new = None if query in names else b"kaireon_%d" % next(self._numbers)
            queued.append((names.setdefault(query, new or b""), new, query, values))
        results = await _exchange(connection.pgconn, queued)
        expected = [new is not None for _, new, _, _ in queued]
        places = _places(expected)
        _forget_unprepared(names, statements, expected, places, results)
        _raise_first(results)
        return [results[place] for place in places]


async def _exchange(pgconn: PGconn, queued: Sequence[_Queued]) -> list[PGresult]:
    """Send the statements as one transaction, and return what is answered to each preparation and execution."""
    pgconn.enter_pipeline_mode()
    try:
        for statement in queued:
            _queue(pgconn, *statement)
        pgconn.pipeline_sync()
        return await _receive(pgconn)
    finally:
        # A connection that broke, or a cancelled wait, leaves the pipeline open: the pool then discards it.
        if pgconn.status == pq.ConnStatus.OK:
            _leave(pgconn)


def _queue(
    pgconn: PGconn, name: bytes | None, new: bytes | None, query: bytes, values: Sequence[str | bytes | None]
) -> None:
    """Queue one statement, as that of a name or without one; a new name is prepared first."""
    if new is not None:
        pgconn.send_prepare(new, query)
    encoded = [value.encode() if isinstance(value, str) else value for value in values]
    formats = [pq.Format.BINARY if isinstance(value, bytes) else pq.Format.TEXT for value in values]
    if name is None:
        pgconn.send_query_params(query, encoded, None, formats)
    else:
        pgconn.send_query_prepared(name, encoded, formats)


def _places(prepared: Sequence[bool]) -> list[int]:
    """Return where among all results those of the statements are, given which were preceded by a preparation."""
    places, at = list[int](), 0
    for is_new in prepared:
        at += is_new
        places.append(at)
        at += 1
    return places


async def _receive(pgconn: PGconn) -> list[PGresult]:
    """Send what is queued and return the results up to the sync, without the separators between them."""
    loop = asyncio.get_running_loop()
    results = list[PGresult]()
    is_unsent = bool(pgconn.flush())
    while True:
        await _ready(loop, pgconn.socket, for_writing=is_unsent)
        pgconn.consume_input()
        is_unsent = is_unsent and bool(pgconn.flush())
        while not pgconn.is_busy():
            result = pgconn.get_result()
            if result is None:
                if pgconn.status != pq.ConnStatus.OK:
                    raise psycopg.OperationalError(pgconn.get_error_message())
                continue  # the end of one statement; the sync behind the last one is a result
            if result.status == pq.ExecStatus.PIPELINE_SYNC:
                return results
            results.append(result)


async def _ready(loop: asyncio.AbstractEventLoop, socket: int, *, for_writing: bool) -> None:
    """Wait until the socket can be read, or written when something is unsent."""
    future = loop.create_future()
    loop.add_reader(socket, _settle, future)
    if for_writing:
        loop.add_writer(socket, _settle, future)
    try:
        await future
    finally:
        loop.remove_reader(socket)
        if for_writing:
            loop.remove_writer(socket)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _leave(pgconn: PGconn) -> None:
    try:
        pgconn.exit_pipeline_mode()
    except psycopg.Error:
        pgconn.finish()


def _forget_unprepared(
    names: dict[bytes, bytes],
    statements: Sequence[BoundStatement],
    prepared: Sequence[bool],
    places: Sequence[int],
    results: Sequence[PGresult],
) -> None:
    """Forget what could not be prepared: what stands behind a failed statement. The others stay prepared for ever."""
    for (query, _), is_new, place in zip(statements, prepared, places, strict=True):
        if is_new and results[place - 1].status != pq.ExecStatus.COMMAND_OK:
            names.pop(query, None)


def _raise_first(results: Sequence[PGresult]) -> None:
    for result in results:
        if result.status in _FAILED:
            raise error_from_result(result, encoding="utf-8")
