"""Committing what decisions and responses write: one statement for all of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import msgspec
import psycopg

from kaireon_application.customers.outcome_target import Recommended
from kaireon_application.decisioning.changes import DecisionChange, ResponseChange
from kaireon_application.decisioning.decide_together import CommitDecisions
from kaireon_application.errors import Busy, CapTaken, IdempotencyInProgress, IdempotencyTaken, Unavailable
from kaireon_application.platform.identity import instant_of
from kaireon_runtime.logs import logger
from kaireon_storage.postgres.arrays import array, bytes_array, json_array, nested_array, text_array
from kaireon_storage.postgres.queries import positional, queries

if TYPE_CHECKING:
    from psycopg.pq.abc import PGresult

    from kaireon_storage.postgres.database import Connection, Database
    from kaireon_storage.postgres.round_trip import BoundStatement

_MAX_HOLDS = 2
# Dashboards are counted up to a minute ago (`dashboard_counts.sql`): what may be older when it is written is marked.
# The rest of the minute is for clocks that differ, and for statements that stand.
_LATE_AFTER_MS = 15_000
_REFUSED = (psycopg.IntegrityError, psycopg.InternalError, psycopg.ProgrammingError)

T = TypeVar("T")


class PostgresDecisions:
    """Commits changes of one tenant, several at once."""

    def __init__(self, database: Database, *, is_marked: bool = False) -> None:
        """Write through this database; `is_marked`: note for every interaction that other stores lack it."""
        self._database = database
        self._is_marked = is_marked
        self._idempotent_answer = positional("decisions", "idempotent_answer")
        self._recommended_at = positional("decisions", "recommended_at")
        # Whoever holds a row needs a second connection to decide: the pool must never be full of holders.
        self._holds = asyncio.Semaphore(_MAX_HOLDS)

    async def commit_decisions(self, changes: Sequence[DecisionChange]) -> list[bool]:
        """Commit changes of one tenant and distinct customers; False for those whose customer had moved on.

        False too for those that another decision has left too little of a system-wide cap.
        Raises `IdempotencyTaken` when one of their keys was used before; then none of them is written.
        """
        try:
            with _refusals_told():
                (result,) = await self._database.round_trip(changes[0].tenant_id, [self._decision_statement(changes)])
        except CapTaken:
            if len(changes) == 1:
                return [False]
            # Some of them may still fit: nobody loses for another's fault.
            return [won for change in changes for won in await self.commit_decisions([change])]
        return _won(result, len(changes))

    @asynccontextmanager
    async def hold_customer(self, tenant_id: str, customer_id: str) -> AsyncGenerator[CommitDecisions]:
        """Hold a customer's row: until the block ends only the commit that it yields can raise the version.

        That commit raises `CapTaken` when another decision has left too little of a system-wide cap.
        """
        async with self._holds, self._database.transaction(tenant_id) as connection:
            await queries("decisions").hold_customer(connection, tenant_id=tenant_id, customer_id=customer_id)

            async def commit(changes: Sequence[DecisionChange]) -> list[bool]:
                with _refusals_told():
                    return await self.commit_within(connection, changes)

            yield commit

    async def commit_within(self, connection: Connection, changes: Sequence[DecisionChange]) -> list[bool]:
        """As `commit_decisions`, inside a transaction that is open. Raises what psycopg raises."""
        (result,) = await self._database.within(connection, [self._decision_statement(changes)])
        return _won(result, len(changes))

    async def commit_responses(self, changes: Sequence[ResponseChange]) -> list[bool]:
        """Commit responses of one tenant, distinct customers and keys; False for those whose key was used before.

        Raises `IdempotencyInProgress` when another transaction holds one of the keys for too long.
        """
        try:
            with _refusals_told():
                (result,) = await self._database.round_trip(changes[0].tenant_id, [self._response_statement(changes)])
        except Busy as error:
            raise IdempotencyInProgress from error
        return _won(result, len(changes))

    async def answer_under(self, tenant_id: str, key: str) -> tuple[bytes, bytes] | None:
        """Return (body hash, answer as JSON) of the first use of an idempotency key, None before it."""
        statement = self._idempotent_answer.bind({"tenant_id": tenant_id, "key": key})
        (result,) = await self._database.round_trip(tenant_id, [statement])
        if result.ntuples == 0:
            return None
        body_hash, answer = result.get_value(0, 0), result.get_value(0, 1)
        assert body_hash is not None, key  # noqa: S101 - both columns are NOT NULL
        assert answer is not None, key  # noqa: S101
        return bytes.fromhex(body_hash.decode().removeprefix("\\x")), answer

    async def recommended(self, tenant_id: str, customer_id: str, decision_id: str, rank: int) -> Recommended | None:
        """Return what was recommended to this customer at a rank of a decision."""
        values = {
            "tenant_id": tenant_id,
            "customer_id": customer_id,
            "decided_at_ms": str(instant_of(decision_id)),
            "decision_id": decision_id,
            "rank": str(rank),
        }
        (result,) = await self._database.round_trip(tenant_id, [self._recommended_at.bind(values)])
        if result.ntuples == 0:
            return None
        found = [result.get_value(0, column) for column in range(5)]
        offer_id, creative_id, channel_id, placement_id, features = (
            None if one is None else one.decode() for one in found
        )
        assert offer_id is not None, decision_id  # noqa: S101 - recommendation rows have an offer
        return Recommended(
            offer_id=offer_id,
            creative_id=creative_id,
            channel_id=channel_id,
            placement_id=placement_id,
            features=None if features is None else msgspec.json.decode(features, type=dict[str, Any]),
        )

    def _decision_statement(self, changes: Sequence[DecisionChange]) -> BoundStatement:
        return _decision_statement(changes, is_marked=self._is_marked)

    def _response_statement(self, changes: Sequence[ResponseChange]) -> BoundStatement:
        return _response_statement(changes, is_marked=self._is_marked)


def is_cap_taken(error: psycopg.Error) -> bool:
    """Whether a commit failed because another one has left too little of a system-wide cap."""
    return error.diag.constraint_name == "tallies_maximum"


@contextmanager
def _refusals_told() -> Generator[None]:
    """Raise `IdempotencyTaken` for a key that was used, `CapTaken` for a cap, `Unavailable` for all other refusals."""
    try:
        yield
    except _REFUSED as error:
        if is_cap_taken(error):
            raise CapTaken from error
        if isinstance(error, psycopg.errors.UniqueViolation) and error.diag.table_name == "idempotency_keys":
            raise IdempotencyTaken from error
        logger("kaireon.decisions").error("Postgres refused a commit", reason=str(error))
        message = "this could not be stored, nothing was written; try again"
        raise Unavailable(message) from error


def _won(result: PGresult, count: int) -> list[bool]:
    """Return for each change, in order, whether its number came back."""
    winners = {int(result.get_value(row, 0) or 0) for row in range(result.ntuples)}
    return [number in winners for number in range(1, count + 1)]


# What a change writes, by the WITH query that writes it; queries without rows are left out of the statement.
Rows: TypeAlias = dict[str, tuple[list[int], list[Any]]]
Form: TypeAlias = Callable[[Iterable[Any]], "str | bytes"]


class _LateRow(msgspec.Struct, frozen=True):
    """A row that is written when rows of its instant may have been counted."""

    source: str
    id: str


def _decision_statement(changes: Sequence[DecisionChange], *, is_marked: bool) -> BoundStatement:
    late_before_ms = _late_before_ms()
    traces = [change.trace for change in changes]
    head = {
        "tenant_id": changes[0].tenant_id,
        "customer_ids": text_array(change.customer_id for change in changes),
        "expected_versions": array(change.expected_version for change in changes),
        "sequence_counts": array(len(change.impressions) for change in changes),
        "decision_ids": array(change.decision_id for change in changes),
        "decided_at_ms": array(change.decided_at_ms for change in changes),
        "flow_ids": array(change.flow_id for change in changes),
        "flow_versions": array(change.flow_version for change in changes),
        "offer_ids": nested_array(change.recommended.offer_ids for change in changes),
        "creative_ids": nested_array(change.recommended.creative_ids for change in changes),
        "channel_ids": nested_array(change.recommended.channel_ids for change in changes),
        "placement_ids": nested_array(change.recommended.placement_ids for change in changes),
        "scores": nested_array(change.recommended.scores for change in changes),
        "details": json_array(change.details for change in changes),
        "legend_hashes": bytes_array(trace.legend_hash if trace else None for trace in traces),
        "snapshot_hashes": bytes_array(trace.snapshot_hash if trace else None for trace in traces),
        "features": json_array(change.features for change in changes),
        "contents": bytes_array(trace.content if trace else None for trace in traces),
        "experiment_keys": text_array(change.experiment_key for change in changes),
        "variants": text_array(change.variant for change in changes),
    }
    rows: Rows = {
        "new_impression": _numbered(changes, lambda change: change.impressions),
        "new_mark": _numbered(changes, lambda change: change.impressions if is_marked else []),
        "new_late": _numbered(
            changes, lambda change: _late_rows(change) if change.decided_at_ms < late_before_ms else []
        ),
        "new_summary": _numbered(changes, lambda change: change.summaries),
        "new_suppression": _numbered(changes, lambda change: change.suppressions),
        "new_tally": _numbered(changes, lambda change: change.tallies),
        "new_assignment": _numbered(changes, lambda change: [] if change.assignment is None else [change.assignment]),
        "new_key": _numbered(changes, lambda change: [] if change.idempotency is None else [change.idempotency]),
        "new_event": _numbered(changes, lambda change: change.events),
    }
    return _bind("commit_decisions", head, rows)


def _late_rows(change: DecisionChange) -> list[_LateRow]:
    return [_LateRow("decision", change.decision_id), *(_LateRow("interaction", one.id) for one in change.impressions)]


def _late_before_ms() -> float:
    return time.time() * 1000 - _LATE_AFTER_MS


def _response_statement(changes: Sequence[ResponseChange], *, is_marked: bool) -> BoundStatement:
    late_before_ms = _late_before_ms()
    head = {
        "tenant_id": changes[0].tenant_id,
        "customer_ids": text_array(change.customer_id for change in changes),
    }
    rows: Rows = {
        "claimed": _numbered(changes, lambda change: [change.idempotency]),
        "new_interaction": _numbered(changes, lambda change: [change.interaction]),
        "new_mark": _numbered(changes, lambda change: [change.interaction] if is_marked else []),
        "new_late": _numbered(
            changes,
            lambda change: [change.interaction] if change.interaction.occurred_at_ms < late_before_ms else [],
        ),
        "new_summary": _numbered(changes, lambda change: [change.summary]),
        "new_suppression": _numbered(changes, lambda change: change.suppressions),
        "new_tally": _numbered(changes, lambda change: change.tallies),
        "new_evidence": _numbered(changes, lambda change: change.evidence),
        "new_lesson": _numbered(changes, lambda change: change.lessons),
        "new_step": _numbered(changes, lambda change: change.steps),
        "new_fact": _numbered(changes, lambda change: change.facts),
        "new_event": _numbered(changes, lambda change: [change.event]),
    }
    return _bind("commit_responses", head, rows)


def _numbered(changes: Sequence[T], rows: Callable[[T], Sequence[Any]]) -> tuple[list[int], list[Any]]:
    """Return the rows of all changes after the numbers, counted from 1, of the changes that they belong to."""
    numbers, found = list[int](), list[Any]()
    for number, change in enumerate(changes, 1):
        mine = rows(change)
        numbers += [number] * len(mine)
        found += mine
    return numbers, found


def _bind(name: str, head: Mapping[str, str | bytes], rows: Rows) -> BoundStatement:
    """Return the statement with a column of the rows for every parameter `<prefix>_<field>`."""
    statement = positional("decisions", name, frozenset(query for query, (numbers, _) in rows.items() if not numbers))
    of_prefix = {_PREFIXES[query]: given for query, given in rows.items()}
    values = [head[parameter] if parameter in head else _column(parameter, of_prefix) for parameter in statement.names]
    return statement.text, values


def _column(parameter: str, of_prefix: Mapping[str, tuple[list[int], list[Any]]]) -> str | bytes:
    prefix, read, form = _reader(parameter)
    numbers, rows = of_prefix[prefix]
    return array(numbers) if read is None else form(map(read, rows))


@cache
def _reader(parameter: str) -> tuple[str, Callable[[Any], Any] | None, Form]:
    """Return the prefix of a parameter, what reads its field of a row (None: the row's number), and its form."""
    prefix, _, field = parameter.partition("_")
    return prefix, None if field == "number" else attrgetter(field), _FORMS.get(parameter, array)


_PREFIXES = {
    "new_impression": "i",
    "new_interaction": "i",
    "new_mark": "m",
    "new_late": "n",
    "new_summary": "s",
    "new_suppression": "x",
    "new_tally": "t",
    "new_evidence": "a",
    "new_lesson": "l",
    "new_step": "w",
    "new_fact": "f",
    "new_assignment": "v",
    "new_key": "k",
    "claimed": "k",
    "new_event": "e",
}


# How a column travels; those not named here hold ids, numbers and keys of ours.
_FORMS: dict[str, Form] = {
    "i_outcome_key": text_array,
    "i_details": json_array,
    "s_outcome_key": text_array,
    "x_scope_id": text_array,
    "x_reason": text_array,
    "k_key": text_array,
    "k_body_hash": bytes_array,
    "k_answer": json_array,
    "e_payload": json_array,
    "v_experiment_key": text_array,
    "v_variant": text_array,
    "l_subject": text_array,
    "w_beginning": json_array,
    "w_step": json_array,
    "f_payload": json_array,
}
