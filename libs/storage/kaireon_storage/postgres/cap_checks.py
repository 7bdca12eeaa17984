"""Checking in Postgres whether answers kept to the caps of contact policies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from psycopg.types.json import Jsonb

from kaireon_application.decisioning.check_caps import CapCheck, CapViolation
from kaireon_application.decisioning.held_caps import Area, HeldCap, Place, held_caps
from kaireon_application.decisioning.publish_flow import readable_flows
from kaireon_application.errors import Busy
from kaireon_core.catalog.document import Document
from kaireon_core.decisioning.call_flow import inline_calls
from kaireon_core.problems import InvalidValue
from kaireon_storage.postgres.queries import queries

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from uuid import UUID

    from kaireon_core.decisioning.flow import Flow
    from kaireon_storage.postgres.database import Connection, Database, Row

_NOUN = "cap_checks"
# After this time an answer is committed, and every process decides from what was configured.
_SETTLE = timedelta(minutes=5)
# A second's work and more: it grows with the contacts that customers have had in the windows of caps.
_SLICE_ANSWERS = 2_000
# Where more is answered than can be checked, a part of it is: the latest, and not what the alert would wait for.
_LONGEST_WAIT = timedelta(minutes=30)
_BEGINNING = datetime(1, 1, 2, tzinfo=UTC)


class PostgresCapChecks:
    """Implements `CapChecks`."""

    def __init__(
        self,
        database: Database,
        slice_answers: int = _SLICE_ANSWERS,
        settle: timedelta = _SETTLE,
        longest_wait: timedelta = _LONGEST_WAIT,
    ) -> None:
        """Take an open database, about how many answers to check at once, and how old they are by then, at most too."""
        self._database = database
        self._slice_answers = slice_answers
        self._settle = settle
        self._longest_wait = longest_wait
        self._sql: Any = queries(_NOUN)

    async def check(self, tenant_id: UUID, now: datetime) -> CapCheck:
        """Check a slice of a tenant; nothing while others check it."""
        own: dict[str, Any] = {"tenant_id": tenant_id}
        span: dict[str, Any] = {"settled_at": now - self._settle, "settle": self._settle}
        try:
            async with self._database.transaction(tenant_id) as connection:
                oldest = span["settled_at"] - self._longest_wait
                await self._sql.begin(connection, **own, **span, now=now, oldest=oldest)
                held = await self._sql.hold_if_free(connection, **own)
                if held is None:
                    return CapCheck()
                span |= held
                found = await self._sql.next_slice(connection, **own, **span, most=self._slice_answers)
                if found["to_at"] == held["checked_to"]:
                    return CapCheck()
                violations = await self._violations(connection, {**own, **span, **found})
                for one in violations:
                    await self._sql.add_violations(connection, rule_type=one.rule_type, count=one.count)
                await self._sql.progress(connection, **own, **found)
        except Busy:
            return CapCheck()
        return CapCheck(violations=violations, has_more=found["to_at"] < span["settled_at"])

    async def _violations(self, connection: Connection, given: dict[str, Any]) -> list[CapViolation]:
        configured = await self._sql.configured_at(connection, **given)
        caps = await self._caps(connection, given)
        bound_from = (configured["at"] or _BEGINNING) + self._settle
        # What is configured now was not when these were answered.
        if not caps or bound_from >= given["to_at"]:
            return []
        await self._sql.allow_long_statement(connection)
        rows = self._sql.violations(
            connection,
            **given,
            caps=Jsonb([_as_row(cap, given["checked_to"]) for cap in caps]),
            bound_from=bound_from,
            since=min(_since(cap, given["checked_to"]) for cap in caps),
        )
        return [CapViolation(**row) async for row in rows]

    async def _caps(self, connection: Connection, given: dict[str, Any]) -> list[HeldCap]:
        """Return the caps of the tenant that bind the answers of some flow."""
        policies = [Document(**row) async for row in self._sql.policies(connection, **given)]
        if not policies:
            return []
        flows = dict(_inlined([row async for row in self._sql.flows(connection, **given)]))
        places = [Place(**row) async for row in self._sql.places(connection, **given)]
        return held_caps(policies, flows, places)


def _inlined(rows: Sequence[Row]) -> Iterator[tuple[str, Flow]]:
    """Yield the flows by id, their calls replaced by what they stand for; one that cannot run answers nothing."""
    readable = dict(readable_flows((row["key"], row["config"]) for row in rows))
    for row in rows:
        flow = readable.get(row["key"])
        if flow is not None:
            try:
                yield row["id"], inline_calls(flow, readable, row["key"])
            except InvalidValue:
                continue


def _since(cap: HeldCap, checked_to: datetime) -> datetime:
    """Return an instant before which no contact is in a window of the answers from then on."""
    days = cap.days_back
    return _BEGINNING if days is None or days >= (checked_to - _BEGINNING).days else checked_to - timedelta(days=days)


def _as_row(cap: HeldCap, checked_to: datetime) -> dict[str, Any]:
    """Return a cap as a flat row; ids are the keys of an object, in which Postgres finds one quickly."""
    row: dict[str, Any] = msgspec.structs.asdict(cap) | {"since": _since(cap, checked_to).isoformat()}
    for name in ("bound", "counted", "freed"):
        area: Area = row.pop(name)
        row |= {f"{name}_everywhere": area.is_everywhere, f"{name}_ids": dict.fromkeys(area.ids, 0)}
    return row
