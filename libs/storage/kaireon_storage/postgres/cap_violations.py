"""How often answers went beyond a cap, as the checks have counted it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from kaireon_storage.postgres.queries import queries

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kaireon_storage.postgres.database import Database


class CountedViolations(msgspec.Struct, frozen=True, kw_only=True):
    """How many offers ever went beyond a cap, by the type of its policy.

    `lag_seconds` is how long answers have waited to be checked, None where nobody has ever checked.
    """

    counts: Mapping[str, int]
    lag_seconds: float | None


class PostgresCapViolations:
    """Reads what `PostgresCapChecks` writes."""

    def __init__(self, database: Database) -> None:
        """Take an open database."""
        self._database = database
        self._sql: Any = queries("cap_checks")

    async def read(self) -> CountedViolations:
        """Return what is counted by now, over all tenants. Raises `Unavailable`."""
        async with self._database.system_transaction() as connection:
            counts = {row["rule_type"]: row["count"] async for row in self._sql.counted_violations(connection)}
            lag = await self._sql.lag(connection)
        return CountedViolations(counts=counts, lag_seconds=lag["seconds"])
