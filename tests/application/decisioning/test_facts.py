"""Loading facts: what the cache may answer, and what a history becomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaireon_application.decisioning.facts import (
    ContactRow,
    CustomerRecord,
    FactLoader,
    History,
    Sources,
    attributes_key,
    history_key,
)
from kaireon_application.decisioning.tenant_counts import TenantCounts
from kaireon_core.decisioning.compile import Enrichment, Needs
from kaireon_core.decisioning.history_needs import HistoryNeeds
from kaireon_runtime.metrics import Metrics

DAY_MS = 86_400_000
NOW_MS = 1_800_000_000_000
SOURCES = Sources(config_version=1)
SCHEMA = Enrichment(schema_id="s1", lookup_key="customer_id", fields=(), cache_ttl_seconds=60)


def needs(window_ms: int = 0, *enrichments: Enrichment, totals: bool = False, outcomes_ms: int = 0) -> Needs:
    return Needs(
        enrichments=enrichments,
        contact_window_ms=window_ms,
        contact_totals=totals,
        history=HistoryNeeds(outcome_window_ms=outcomes_ms),
    )


@dataclass
class Memory:
    """A cache in memory that keeps what it is given for ever."""

    values: dict[str, bytes] = field(default_factory=dict[str, bytes])

    async def read(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        return [self.values.get(key) for key in keys]

    def write(self, values: Sequence[tuple[str, bytes, int]]) -> None:
        self.values.update({key: value for key, value, _ in values})

    async def forget(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.values.pop(key, None)


@dataclass
class Store:
    """A system of record that knows one version of everybody, and counts who was asked for."""

    version: int = 1
    asked: list[str] = field(default_factory=list[str])

    async def load(
        self, tenant_id: str, customer_ids: Sequence[str], needs: Needs, sources: Sources, now_ms: int
    ) -> list[CustomerRecord]:
        assert tenant_id == "t"
        assert sources == SOURCES
        self.asked += customer_ids
        window_ms = needs.history.outcome_window_ms
        history = History(
            self.version,
            now_ms - needs.contact_window_ms,
            [],
            [] if needs.contact_totals else None,
            now_ms - window_ms if window_ms else None,
        )
        return [
            CustomerRecord(rows={one.row_key: {"id": id_} for one in needs.enrichments}, history=history)
            for id_ in customer_ids
        ]

    async def counted(self, tenant_id: str, needs: Needs, periods: Sequence[str]) -> TenantCounts:
        return TenantCounts()


@pytest.fixture
def loader() -> FactLoader:
    return FactLoader(cache=Memory(), store=Store(), metrics=Metrics())


async def load(loader: FactLoader, ids: Sequence[str], wanted: Needs, *, fresh: bool = False) -> list[CustomerRecord]:
    return await loader.load("t", ids, wanted, SOURCES, NOW_MS, fresh=fresh)


def asked(loader: FactLoader) -> list[str]:
    assert isinstance(loader.store, Store)
    found, loader.store.asked = loader.store.asked, []
    return found


async def test_only_what_is_missing_is_loaded_and_everybody_keeps_their_place(loader: FactLoader) -> None:
    await load(loader, ["b"], needs(0, SCHEMA))
    assert asked(loader) == ["b"]

    records = await load(loader, ["a", "b", "c"], needs(0, SCHEMA))

    assert asked(loader) == ["a", "c"]
    assert [record.rows[SCHEMA.row_key] for record in records] == [{"id": "a"}, {"id": "b"}, {"id": "c"}]


async def test_a_cached_record_serves_only_flows_that_need_no_more(loader: FactLoader) -> None:
    await load(loader, ["a"], needs(DAY_MS))
    assert asked(loader) == ["a"]

    cases = (
        (needs(), False),
        (needs(DAY_MS), False),
        (needs(DAY_MS + 1), True),
        (needs(DAY_MS, totals=True), True),
        (needs(DAY_MS), False),
        (needs(DAY_MS, SCHEMA), True),
        (needs(DAY_MS, outcomes_ms=DAY_MS), True),
        (needs(DAY_MS, outcomes_ms=DAY_MS - 1), False),
        (needs(DAY_MS, outcomes_ms=DAY_MS + 1), True),
        (needs(DAY_MS), False),
    )
    for wanted, is_loaded in cases:
        await load(loader, ["a"], wanted)
        assert asked(loader) == (["a"] if is_loaded else []), wanted


def test_a_metric_serves_until_time_or_a_new_definition_changes_it() -> None:
    wanted = msgspec.structs.replace(needs(), history=HistoryNeeds(metrics=("m",)))
    lasting = History(1, 0, [], None, metrics={"m": (2.0, None, 1), "other": (1.0, 0, 0)})
    rolling = History(1, 0, [], None, metrics={"m": (2.0, NOW_MS, 1)})
    shown: list[ContactRow] = [("x", None, None, NOW_MS, 1)]

    assert lasting.is_enough_for(wanted, 1, NOW_MS)
    assert not lasting.is_enough_for(wanted, 2, NOW_MS)
    assert rolling.is_enough_for(wanted, 1, NOW_MS - 1)
    assert not rolling.is_enough_for(wanted, 1, NOW_MS)
    assert not History(1, 0, [], None).is_enough_for(wanted, 1, NOW_MS)
    assert lasting.after([], wanted, NOW_MS).is_enough_for(wanted, 1, NOW_MS)
    assert not lasting.after(shown, wanted, NOW_MS).is_enough_for(wanted, 1, NOW_MS), "an impression may count"


async def test_fresh_facts_pass_the_cache_by_and_replace_it(loader: FactLoader) -> None:
    assert isinstance(loader.store, Store)
    await load(loader, ["a"], needs())
    loader.store.version = 2

    (stale,) = await load(loader, ["a"], needs())
    (fresh,) = await load(loader, ["a"], needs(), fresh=True)
    (after,) = await load(loader, ["a"], needs())

    assert [record.history.version for record in (stale, fresh, after)] == [1, 2, 2]


@pytest.mark.parametrize("garbage", [b"", b"\xc1", b"text", msgspec.msgpack.encode({"a": 1})])
async def test_garbage_in_the_cache_is_a_miss(loader: FactLoader, garbage: bytes) -> None:
    await load(loader, ["a"], needs(0, SCHEMA))
    asked(loader)
    loader.cache.write([(key("t", "a"), garbage, 1) for key in (attributes_key, history_key)])

    (record,) = await load(loader, ["a"], needs(0, SCHEMA))

    assert asked(loader) == ["a"]
    assert record.rows[SCHEMA.row_key] == {"id": "a"}


NAMES = st.sampled_from([None, "x", "y"])
CONTACTS = st.lists(st.tuples(NAMES, NAMES, NAMES, st.integers(NOW_MS - 3 * DAY_MS, NOW_MS), st.just(1)), max_size=12)


@given(before=CONTACTS, shown=CONTACTS)
def test_a_history_after_a_decision_is_what_the_store_would_say(
    before: list[ContactRow], shown: list[ContactRow]
) -> None:
    wanted = needs(2 * DAY_MS, totals=True)
    now = [(*row[:3], NOW_MS, 1) for row in shown]
    history = History(4, NOW_MS - 3 * DAY_MS, before, totals(before))

    after = history.after(now, wanted, NOW_MS)

    assert after.version == 5
    assert after.since_ms == NOW_MS - 2 * DAY_MS
    assert sorted(after.recent, key=str) == sorted(
        [row for row in [*before, *now] if row[3] >= after.since_ms], key=str
    )
    assert sorted(after.totals or [], key=str) == sorted(totals([*before, *now]), key=str)
    assert after.is_enough_for(wanted, 1, NOW_MS)


def totals(rows: Sequence[ContactRow]) -> list[ContactRow]:
    found: list[ContactRow] = []
    for place in {row[:3] for row in rows}:
        mine = [row for row in rows if row[:3] == place]
        found.append((*place, max(row[3] for row in mine), len(mine)))
    return found
