"""Loading: what is known of customers, from the cache or from Postgres."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import msgspec

from kaireon_application.customers.schema_table import SchemaTable
from kaireon_application.decisioning.metric_query import MetricQuery
from kaireon_application.decisioning.tenant_counts import TenantCounts
from kaireon_core.decisioning.compile import Needs
from kaireon_runtime.catalogue import CACHE_HITS, CACHE_MISSES
from kaireon_runtime.metrics import Metrics

# The tables of the schemas that flows enrich from, by schema id and by key.
Tables: TypeAlias = Mapping[str, SchemaTable]
# (value, until when it holds in ms: None without end, the configuration that defined it).
MetricValue: TypeAlias = tuple[float, int | None, int]
# (offer, creative, channel, at_ms, count): ids as stored, None for none.
ContactRow: TypeAlias = tuple[str | None, str | None, str | None, int, int]
# (offer, creative, channel, at_ms, outcome key, whether it is positive or negative): ids as stored, None for none.
OutcomeRow: TypeAlias = tuple[str | None, str | None, str | None, int, str, bool]
_HISTORY_TTL_SECONDS = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What the needs of flows name: tables, and metrics by id, as one version of the configuration defines them."""

    tables: Tables = field(default_factory=dict[str, SchemaTable])
    metrics: Mapping[str, MetricQuery] = field(default_factory=dict[str, MetricQuery])
    config_version: int = 0


class History(msgspec.Struct, frozen=True, array_like=True):
    """A customer's version, contacts and outcomes.

    `recent` reaches back to `since_ms`, `totals` is None when not loaded. `outcomes` are those other than impressions
    since `outcomes_since_ms`, which is None when they were not loaded. `metrics` are behavioural metrics by id.
    """

    version: int
    since_ms: int
    recent: list[ContactRow]
    totals: list[ContactRow] | None
    outcomes_since_ms: int | None = None
    outcomes: list[OutcomeRow] = []
    metrics: dict[str, MetricValue] = {}
    # (variant, until when in ms) by experiment, of those that were loaded; None where none is stored.
    assignments: dict[str, tuple[str, int] | None] = {}

    def is_enough_for(self, needs: Needs, config_version: int, now_ms: int) -> bool:
        """Whether a flow with these needs can decide with it."""
        has_recent = needs.contact_window_ms == 0 or self.since_ms <= now_ms - needs.contact_window_ms
        has_totals = self.totals is not None or not needs.contact_totals
        has_metrics = all(self._has_metric(id_, config_version, now_ms) for id_ in needs.history.metrics)
        has_assignment = needs.assignment_of is None or needs.assignment_of in self.assignments
        return has_recent and has_totals and self._has_outcomes(needs, now_ms) and has_metrics and has_assignment

    def _has_outcomes(self, needs: Needs, now_ms: int) -> bool:
        window_ms = needs.history.outcome_window_ms
        if window_ms == 0:
            return True
        return self.outcomes_since_ms is not None and self.outcomes_since_ms <= now_ms - window_ms

    def _has_metric(self, id_: str, config_version: int, now_ms: int) -> bool:
        """Whether the value of a metric is known and time alone has not changed it."""
        value = self.metrics.get(id_)
        return value is not None and value[2] == config_version and (value[1] is None or now_ms < value[1])

    def after(
        self,
        contacts: Sequence[ContactRow],
        needs: Needs,
        now_ms: int,
        assigned: Mapping[str, tuple[str, int]] | None = None,
    ) -> History:
        """Return the history after a decision that showed and assigned this: what the commit has just made of it."""
        horizon = now_ms - needs.contact_window_ms
        return History(
            self.version + 1,
            max(self.since_ms, horizon),
            [row for row in self.recent if row[3] >= horizon] + list(contacts),
            None if self.totals is None else _added(self.totals, contacts),
            # A decision brings no outcomes about.
            self.outcomes_since_ms,
            self.outcomes,
            # What was shown may count.
            {} if contacts else self.metrics,
            {**self.assignments, **(assigned or {})},
        )


def _added(totals: list[ContactRow], contacts: Sequence[ContactRow]) -> list[ContactRow]:
    if not contacts:
        return totals
    merged = {row[:3]: row for row in totals}
    for offer, creative, channel, at_ms, count in contacts:
        before = merged.get((offer, creative, channel), (offer, creative, channel, at_ms, 0))
        merged[offer, creative, channel] = (offer, creative, channel, max(before[3], at_ms), before[4] + count)
    return list(merged.values())


class CustomerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored about one customer: the enriched rows by `Enrichment.row_key`, and the history."""

    rows: dict[str, dict[str, Any] | None]
    history: History


class FactStore(Protocol):
    """Reads facts from the system of record. Raises `Unavailable` while it cannot be reached."""

    async def load(
        self, tenant_id: str, customer_ids: Sequence[str], needs: Needs, sources: Sources, now_ms: int
    ) -> list[CustomerRecord]:
        """Return one record per customer, in order, in one round trip; an unknown customer has version 0.

        The windows of `needs` end at `now_ms`.
        """
        ...

    async def counted(self, tenant_id: str, needs: Needs, periods: Sequence[str]) -> TenantCounts:
        """Return what is counted over all customers, of it what is needed; tallies of these periods."""
        ...


class FactCache(Protocol):
    """A cache that may forget anything at any time; it never raises: what fails is a miss, and counted."""

    async def read(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        """Return the values of these keys in one round trip."""
        ...

    def write(self, values: Sequence[tuple[str, bytes, int]]) -> None:
        """Store (key, value, seconds) some time soon, without waiting."""
        ...

    async def forget(self, keys: Sequence[str]) -> None:
        """Drop these keys."""
        ...


def attributes_key(tenant_id: str, customer_id: str) -> str:
    """Return the cache key of a customer's enriched rows; all keys of a customer are in one slot of a cluster."""
    return f"kaireon:{{{tenant_id}:{customer_id}}}:attributes"


def history_key(tenant_id: str, customer_id: str) -> str:
    """Return the cache key of a customer's history."""
    return f"kaireon:{{{tenant_id}:{customer_id}}}:history"


Rows: TypeAlias = dict[str, dict[str, Any] | None]
_decode_rows = msgspec.msgpack.Decoder(Rows).decode
_decode_history = msgspec.msgpack.Decoder(History).decode
_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class FactLoader:
    """Loads the facts of customers: one cache round trip on a hit, one Postgres pipeline for the misses."""

    cache: FactCache
    store: FactStore
    metrics: Metrics

    async def load(
        self,
        tenant_id: str,
        customer_ids: Sequence[str],
        needs: Needs,
        sources: Sources,
        now_ms: int,
        *,
        fresh: bool = False,
    ) -> list[CustomerRecord]:
        """Return one record per customer, in order; `fresh` passes the cache by."""
        found: list[CustomerRecord | None] = [None] * len(customer_ids)
        if not fresh:
            found = await self._cached(tenant_id, customer_ids, needs, sources.config_version, now_ms)
        missing = [index for index, record in enumerate(found) if record is None]
        if missing:
            missed = [customer_ids[index] for index in missing]
            loaded = await self.store.load(tenant_id, missed, needs, sources, now_ms)
            self._remember(tenant_id, missed, loaded, needs)
            for index, record in zip(missing, loaded, strict=True):
                found[index] = record
        return [record for record in found if record is not None]

    async def _cached(
        self, tenant_id: str, customer_ids: Sequence[str], needs: Needs, config_version: int, now_ms: int
    ) -> list[CustomerRecord | None]:
        keys = [key(tenant_id, id_) for id_ in customer_ids for key in (attributes_key, history_key)]
        values = await self.cache.read(keys)
        pairs = zip(values[::2], values[1::2], strict=True)
        records = [_record(rows, history, needs, config_version, now_ms) for rows, history in pairs]
        hits = sum(record is not None for record in records)
        self.metrics.add(CACHE_HITS, "customer", amount=hits)
        self.metrics.add(CACHE_MISSES, "customer", amount=len(records) - hits)
        return records

    def _remember(
        self, tenant_id: str, customer_ids: Sequence[str], records: Sequence[CustomerRecord], needs: Needs
    ) -> None:
        ttl = min((enrichment.cache_ttl_seconds for enrichment in needs.enrichments), default=_HISTORY_TTL_SECONDS)
        pairs = list(zip(customer_ids, records, strict=True))
        values = [(history_key(tenant_id, id_), _encode(record.history), _HISTORY_TTL_SECONDS) for id_, record in pairs]
        if ttl:
            values += [(attributes_key(tenant_id, id_), _encode(record.rows), ttl) for id_, record in pairs]
        self.cache.write(values)

    def remember_history(self, tenant_id: str, histories: Sequence[tuple[str, History]]) -> None:
        """Store what a commit has made of these customers' histories."""
        self.cache.write(
            [(history_key(tenant_id, id_), _encode(history), _HISTORY_TTL_SECONDS) for id_, history in histories]
        )


def _record(
    rows: bytes | None, history: bytes | None, needs: Needs, config_version: int, now_ms: int
) -> CustomerRecord | None:
    """Return the cached record, None unless it holds all that is needed."""
    if rows is None or history is None:
        return None
    try:
        decoded, past = _decode_rows(rows), _decode_history(history)
    except msgspec.DecodeError:
        return None
    is_enough = past.is_enough_for(needs, config_version, now_ms) and all(
        one.row_key in decoded for one in needs.enrichments
    )
    return CustomerRecord(rows=decoded, history=past) if is_enough else None
