"""Committing what decisions and responses write: one statement for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import psycopg

from kaireon_application.customers.outcome_target import Recommended
from kaireon_application.decisioning.changes import (
    DecisionChange,
    EventRow,
    IdempotencyRow,
    InteractionRow,
    ResponseChange,
    SummaryRow,
    SuppressionRow,
    TraceRow,
)
from kaireon_application.decisioning.decide_together import CommitDecisions
from kaireon_application.errors import Busy, IdempotencyInProgress, IdempotencyTaken, Unavailable
from kaireon_application.platform.identity import instant_of
from kaireon_runtime.logs import logger
from kaireon_storage.postgres.arrays import array, bytes_array, text_array
from kaireon_storage.postgres.queries import positional, queries

if TYPE_CHECKING:
    from psycopg.pq.abc import PGresult

    from kaireon_storage.postgres.database import Database

_MAX_HOLDS = 2
_REFUSED = (psycopg.IntegrityError, psycopg.InternalError, psycopg.ProgrammingError)

T = TypeVar("T")
# Arrays by name: text in text form, byte strings in binary form.
Parameters: TypeAlias = Mapping[str, str | bytes]
Numbered: TypeAlias = list[tuple[int, T]]


class PostgresDecisions:
    """Commits changes of one tenant, several at once."""

    def __init__(self, database: Database) -> None:
        """Write through this database."""
        self._database = database
        self._commit_decisions = positional("decisions", "commit_decisions")
        self._commit_responses = positional("decisions", "commit_responses")
        self._idempotent_answer = positional("decisions", "idempotent_answer")
        self._recommended_at = positional("decisions", "recommended_at")
        # Whoever holds a row needs a second connection to decide: the pool must never be full of holders.
        self._holds = asyncio.Semaphore(_MAX_HOLDS)

    async def commit_decisions(self, changes: Sequence[DecisionChange]) -> list[bool]:
        """Commit changes of one tenant and distinct customers; False for those whose customer had moved on.

        Raises `IdempotencyTaken` when one of their keys was used before; then none of them is written.
        """
        tenant_id = changes[0].tenant_id
        statement = self._commit_decisions.bind(_decision_parameters(tenant_id, changes))
        with _refusals_told():
            (result,) = await self._database.round_trip(tenant_id, [statement])
        return _won(result, len(changes))

    @asynccontextmanager
    async def hold_customer(self, tenant_id: str, customer_id: str) -> AsyncGenerator[CommitDecisions]:
        """Hold a customer's row: until the block ends only the commit that it yields can raise the version."""
        async with self._holds, self._database.transaction(tenant_id) as connection:
            await queries("decisions").hold_customer(connection, tenant_id=tenant_id, customer_id=customer_id)

            async def commit(changes: Sequence[DecisionChange]) -> list[bool]:
                statement = self._commit_decisions.bind(_decision_parameters(tenant_id, changes))
                with _refusals_told():
                    (result,) = await self._database.within(connection, [statement])
                return _won(result, len(changes))

            yield commit

    async def commit_responses(self, changes: Sequence[ResponseChange]) -> list[bool]:
        """Commit responses of one tenant, distinct customers and keys; False for those whose key was used before.

        Raises `IdempotencyInProgress` when another transaction holds one of the keys for too long.
        """
        tenant_id = changes[0].tenant_id
        parameters = {
            "tenant_id": tenant_id,
            "customer_ids": text_array(change.customer_id for change in changes),
            **_keys([(0, change.idempotency) for change in changes]),
            **_interactions(_numbered(changes, lambda change: [change.interaction])),
            **_summaries(_numbered(changes, lambda change: [change.summary])),
            **_suppressions(_numbered(changes, lambda change: change.suppressions)),
            **_events(_numbered(changes, lambda change: [change.event])),
        }
        try:
            with _refusals_told():
                (result,) = await self._database.round_trip(tenant_id, [self._commit_responses.bind(parameters)])
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
        found = [result.get_value(0, column) for column in range(4)]
        offer_id, creative_id, channel_id, placement_id = (None if one is None else one.decode() for one in found)
        assert offer_id is not None, decision_id  # noqa: S101 - recommendation rows have an offer
        return Recommended(offer_id=offer_id, creative_id=creative_id, channel_id=channel_id, placement_id=placement_id)


@contextmanager
def _refusals_told() -> Generator[None]:
    """Raise `IdempotencyTaken` for a key that was used, `Unavailable` when the rows cannot be stored."""
    try:
        yield
    except _REFUSED as error:
        if isinstance(error, psycopg.errors.UniqueViolation) and error.diag.table_name == "idempotency_keys":
            raise IdempotencyTaken from error
        logger("kaireon.decisions").error("Postgres refused a commit", reason=str(error))
        message = "this could not be stored, nothing was written; try again"
        raise Unavailable(message) from error


def _decision_parameters(tenant_id: str, changes: Sequence[DecisionChange]) -> Parameters:
    return {
        "tenant_id": tenant_id,
        "customer_ids": text_array(change.customer_id for change in changes),
        "expected_versions": array(change.expected_version for change in changes),
        "sequence_counts": array(change.sequence_count for change in changes),
        **_interactions(_numbered(changes, lambda change: change.interactions)),
        **_summaries(_numbered(changes, lambda change: change.summaries)),
        **_suppressions(_numbered(changes, lambda change: change.suppressions)),
        **_traces(_numbered(changes, lambda change: [] if change.trace is None else [change.trace])),
        **_keys(_numbered(changes, lambda change: [] if change.idempotency is None else [change.idempotency])),
        **_events(_numbered(changes, lambda change: change.events)),
    }


def _won(result: PGresult, count: int) -> list[bool]:
    """Return for each change, in order, whether its number came back."""
    winners = {int(result.get_value(row, 0) or 0) for row in range(result.ntuples)}
    return [number in winners for number in range(1, count + 1)]


def _numbered(changes: Sequence[Any], rows: Callable[[Any], Iterable[T]]) -> Numbered[T]:
    """Return the rows of all changes, each with the number of its change, counted from 1."""
    return list(
        chain.from_iterable(((number, row) for row in rows(change)) for number, change in enumerate(changes, 1))
    )


def _interactions(rows: Numbered[InteractionRow]) -> Parameters:
    return {
        "i_numbers": array(number for number, _ in rows),
        "i_ids": array(row.id for _, row in rows),
        "i_occurred_at_ms": array(row.occurred_at_ms for _, row in rows),
        "i_kinds": array(row.kind for _, row in rows),
        "i_outcome_keys": text_array(row.outcome_key for _, row in rows),
        "i_classifications": array(row.classification for _, row in rows),
        "i_directions": array(row.direction for _, row in rows),
        "i_offer_ids": array(row.offer_id for _, row in rows),
        "i_creative_ids": array(row.creative_id for _, row in rows),
        "i_channel_ids": array(row.channel_id for _, row in rows),
        "i_placement_ids": array(row.placement_id for _, row in rows),
        "i_recommendation_ids": array(row.recommendation_id for _, row in rows),
        "i_ranks": array(row.rank for _, row in rows),
        "i_scores": array(row.score for _, row in rows),
        "i_conversion_values": array(row.conversion_value for _, row in rows),
        "i_details": text_array(None if row.details is None else row.details.decode() for _, row in rows),
    }


def _summaries(rows: Numbered[SummaryRow]) -> Parameters:
    return {
        "s_numbers": array(number for number, _ in rows),
        "s_days": array(row.day for _, row in rows),
        "s_offer_ids": array(row.offer_id for _, row in rows),
        "s_creative_ids": array(row.creative_id for _, row in rows),
        "s_channel_ids": array(row.channel_id for _, row in rows),
        "s_impressions": array(row.impressions for _, row in rows),
        "s_positive": array(row.positive for _, row in rows),
        "s_negative": array(row.negative for _, row in rows),
        "s_neutral": array(row.neutral for _, row in rows),
        "s_converts": array(row.converts for _, row in rows),
        "s_values": array(row.value for _, row in rows),
        "s_last_contact_ms": array(row.last_contact_ms for _, row in rows),
        "s_outcome_keys": text_array(row.outcome_key for _, row in rows),
        "s_directions": array(row.direction for _, row in rows),
    }


def _traces(rows: Numbered[TraceRow]) -> Parameters:
    return {
        "t_numbers": array(number for number, _ in rows),
        "t_recommendation_ids": array(row.recommendation_id for _, row in rows),
        "t_decided_at_ms": array(row.decided_at_ms for _, row in rows),
        "t_flow_ids": array(row.flow_id for _, row in rows),
        "t_flow_versions": array(row.flow_version for _, row in rows),
        "t_legend_hashes": bytes_array(row.legend_hash for _, row in rows),
        "t_snapshot_hashes": bytes_array(row.snapshot_hash for _, row in rows),
        "t_contents": bytes_array(row.content for _, row in rows),
    }


def _keys(rows: Numbered[IdempotencyRow]) -> Parameters:
    return {
        "k_numbers": array(number for number, _ in rows),
        "k_keys": text_array(row.key for _, row in rows),
        "k_body_hashes": bytes_array(row.body_hash for _, row in rows),
        "k_answers": text_array(row.answer.decode() for _, row in rows),
    }


def _events(rows: Numbered[EventRow]) -> Parameters:
    return {
        "e_numbers": array(number for number, _ in rows),
        "e_ids": array(row.id for _, row in rows),
        "e_types": array(row.type for _, row in rows),
        "e_payloads": text_array(row.payload.decode() for _, row in rows),
        "e_sequence_offsets": array(row.sequence_offset for _, row in rows),
    }


def _suppressions(rows: Numbered[SuppressionRow]) -> Parameters:
    return {
        "x_numbers": array(number for number, _ in rows),
        "x_policy_ids": array(row.policy_id for _, row in rows),
        "x_scopes": array(row.scope for _, row in rows),
        "x_scope_ids": text_array(row.scope_id for _, row in rows),
        "x_policy_types": array(row.policy_type for _, row in rows),
        "x_reasons": text_array(row.reason for _, row in rows),
        "x_expires_at_ms": array(row.expires_at_ms for _, row in rows),
    }
