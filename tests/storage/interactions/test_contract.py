"""What every interaction store does: the one suite of all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from msgspec.structs import replace

from kaireon_application.catalog.entities import ListPosition
from kaireon_application.customers.history import HistoryQuery
from kaireon_application.customers.interaction_store import (
    ExportWindow,
    InteractionRecord,
    InteractionStore,
    is_asked_for,
    summary_of,
)
from tests.storage.interactions.records import (
    CREATIVES,
    DECISION,
    NOW,
    OFFERS,
    OTHER_TENANT,
    TENANT,
    TRICKY,
    bare,
    full,
    record,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

EVERYTHING = HistoryQuery(limit=10_000)


async def history(store: InteractionStore, customer_id: str = "c1", **query: Any) -> Sequence[InteractionRecord]:
    return await store.page(TENANT, customer_id, replace(EVERYTHING, **query))


async def exported(store: InteractionStore, window: ExportWindow, limit: int = 1000) -> list[InteractionRecord]:
    return [one async for page in pages_of(store, window, limit) for one in page]


async def pages_of(
    store: InteractionStore, window: ExportWindow, limit: int
) -> AsyncIterator[Sequence[InteractionRecord]]:
    cursor = None
    while True:
        page = await store.export(window, cursor, limit)
        yield page.records
        cursor = page.cursor
        if cursor is None:
            return


def in_order(records: Sequence[InteractionRecord]) -> list[InteractionRecord]:
    return sorted(records, key=lambda one: one.moment, reverse=True)


async def test_a_record_comes_back_as_it_was_written(store: InteractionStore) -> None:
    written = [full(), bare(), full(TRICKY), bare("x" * 255)]

    await store.write(written)

    for customer_id in {one.customer_id for one in written}:
        expected = in_order([one for one in written if one.customer_id == customer_id])
        assert list(await history(store, customer_id)) == expected
    assert await history(store, "nobody") == []
    assert await store.page(OTHER_TENANT, "c1", EVERYTHING) == []


async def test_what_is_written_again_is_one_record(store: InteractionStore) -> None:
    await store.write([full(), full(), bare()])
    await store.write([full()])
    await asyncio.gather(*(store.write([full(), record(number)]) for number in range(2, 8)))

    assert list(await history(store)) == [full(), bare(), *(record(number) for number in range(2, 8))]
    assert (await store.summary(TENANT, "c1", EVERYTHING)).count == 8
    assert len(await exported(store, ExportWindow())) == 8


async def test_nothing_is_nothing(store: InteractionStore) -> None:
    await store.write([])

    assert await exported(store, ExportWindow()) == []
    assert await store.delete_customer(TENANT, "c1") == 0
    assert (await store.summary(TENANT, "c1", EVERYTHING)).count == 0


FILTERS: tuple[dict[str, Any], ...] = (
    {},
    {"offer_id": OFFERS[1]},
    {"creative_id": CREATIVES[2]},
    {"recommendation_id": DECISION},
    {"type": "impression"},
    {"type": "convert", "offer_id": OFFERS[0]},
    {"type": "nothing"},
    {"since": NOW - timedelta(seconds=60)},
    {"since": NOW - timedelta(seconds=31), "type": "click"},
    {"since": NOW + timedelta(seconds=1)},
)


def varied(count: int) -> list[InteractionRecord]:
    """Return interactions of several kinds, many of them at the same instant."""
    kinds = (
        ("impression", "impression", "neutral"),
        ("outcome", "click", "positive"),
        ("outcome", "convert", "positive"),
        ("outcome", "dismiss", "negative"),
        ("outcome", "noted", "neutral"),
    )
    return [
        record(
            number,
            occurred_at=NOW - timedelta(seconds=number // 5 * 3),
            kind=kinds[number % 5][0],
            outcome_key=kinds[number % 5][1],
            classification=kinds[number % 5][2],
            offer_id=OFFERS[number % 4],
            creative_id=CREATIVES[number % 3],
            recommendation_id=DECISION if number % 7 == 0 else None,
            conversion_value=number / 4 if number % 5 == 2 else None,
        )
        for number in range(count)
    ]


async def test_the_history_is_filtered_and_paged_without_gaps(store: InteractionStore) -> None:
    written = varied(130)
    await store.write([*written, *(record(number, "c2") for number in range(5))])

    for query in FILTERS:
        asked = HistoryQuery(limit=1, **query)
        expected = in_order([one for one in written if is_asked_for(one, asked)])
        assert list(await history(store, **query)) == expected, query
        for limit in (1, 7):
            found, after = list[InteractionRecord](), None
            while page := await history(store, limit=limit, after=after, **query):
                assert len(page) <= limit
                found += page
                after = ListPosition(rank=0, at=page[-1].occurred_at, id=page[-1].id)
                if len(found) > 40:  # one by one through all of them teaches nothing more
                    break
            assert found == expected[: len(found)], (query, limit)
            assert len(found) >= min(40, len(expected)), (query, limit)


async def test_a_summary_adds_up_what_the_filters_let_through(store: InteractionStore) -> None:
    written = varied(60)
    await store.write([*written, record(1, "c2")])

    for query in FILTERS:
        asked = HistoryQuery(limit=1, **query)
        expected = summary_of([one for one in written if is_asked_for(one, asked)])
        assert await store.summary(TENANT, "c1", asked) == expected, query


async def test_a_customer_can_be_deleted_alone(store: InteractionStore) -> None:
    await store.write([*varied(60), record(0, TRICKY), record(1, "c2")])

    assert await store.delete_customer(TENANT, "c1") == 60
    assert await store.delete_customer(TENANT, "c1") == 0
    assert await store.delete_customer(OTHER_TENANT, "c2") == 0

    assert await history(store) == []
    assert {one.customer_id for one in await exported(store, ExportWindow())} == {TRICKY, "c2"}
    await store.write([record(0)])
    assert list(await history(store)) == [record(0)]


WINDOWS = (
    ExportWindow(),
    ExportWindow(tenant_id=TENANT),
    ExportWindow(tenant_id=OTHER_TENANT),
    ExportWindow(tenant_id=UUID(int=9)),
    ExportWindow(since=NOW - timedelta(seconds=30)),
    ExportWindow(until=NOW - timedelta(seconds=30)),
    ExportWindow(tenant_id=TENANT, since=NOW - timedelta(seconds=30), until=NOW - timedelta(seconds=12)),
)


async def test_a_window_is_exported_each_record_once(store: InteractionStore) -> None:
    written = [*varied(50), *(record(number, f"c{number % 9}", tenant_id=OTHER_TENANT) for number in range(60, 95))]
    await store.write(written)

    for window in WINDOWS:
        expected = {one.id for one in written if window.holds(one)}
        for limit in (7, 1000):
            found = await exported(store, window, limit)
            assert (len(found), {one.id for one in found}) == (len(expected), expected), (window, limit)
