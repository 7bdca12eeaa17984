"""Copying one store into another: everything, once, also after an interruption; and told when they differ."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from kaireon_application.customers.copy_interactions import CopyInteractions, RangeDigest, checksum_of, digests_of
from kaireon_application.customers.interaction_store import ExportWindow, InteractionRecord, InteractionStore
from kaireon_application.errors import Unavailable
from kaireon_storage.postgres.interaction_copies import PostgresCopyLog
from kaireon_storage.postgres.interactions import PostgresInteractions
from tests.storage.interactions.conftest import BACKENDS, opened, table_of
from tests.storage.interactions.records import NOW, OTHER_TENANT, TRICKY, bare, full, record

if TYPE_CHECKING:
    from kaireon_runtime.store_settings import CqlStore, DynamoDbStore
    from kaireon_storage.postgres.database import Database

NAMES = ("pg", "other")
WRITTEN = [
    full(),
    bare(),
    full(TRICKY),
    *(record(number, f"c{number % 40}", details={"context": {"number": number / 2}}) for number in range(2, 1700)),
    *(record(number, f"c{number % 7}", tenant_id=OTHER_TENANT) for number in range(2000, 2050)),
]


class Interrupted:
    """A store whose next writes fail after so many."""

    def __init__(self, store: InteractionStore, patience: int) -> None:
        self._store = store
        self._patience = patience
        self.written = 0
        self.export = store.export
        self.page = store.page
        self.summary = store.summary
        self.delete_customer = store.delete_customer

    async def write(self, records: Sequence[InteractionRecord]) -> None:
        self._patience -= 1
        if self._patience < 0:
            raise Unavailable
        await self._store.write(records)
        self.written += len(records)


@pytest.fixture(params=["moto", *(pytest.param(name, marks=pytest.mark.backends) for name in BACKENDS)])
async def other(request: pytest.FixtureRequest) -> AsyncIterator[InteractionStore]:
    settings: DynamoDbStore | CqlStore = request.getfixturevalue(f"{request.param}_store")
    async with opened(table_of(settings)) as store:
        yield store


async def test_everything_is_copied_and_goes_on_after_an_interruption(
    database: Database, other: InteractionStore
) -> None:
    source, log = PostgresInteractions(database), PostgresCopyLog(database)
    await source.write(WRITTEN)
    first, second = Interrupted(other, 2), Interrupted(other, 100)
    window = ExportWindow()

    with pytest.raises(Unavailable):
        await CopyInteractions(source, first, window, retention_days=None).copy(log, NAMES, lambda _: None)
    copying = CopyInteractions(source, second, window, retention_days=None)
    assert not (await copying.compare()).is_equal
    reported = list[int]()
    copied = await copying.copy(log, NAMES, reported.append)

    assert copied == reported[-1] == len(WRITTEN)
    assert second.written == len(WRITTEN) - first.written
    comparison = await copying.compare()
    assert comparison.is_equal
    assert comparison.source_count == comparison.target_count == len(WRITTEN)
    assert await copying.copy(log, NAMES, reported.append) == len(WRITTEN)  # nothing is left to do
    assert second.written == len(WRITTEN) - first.written


async def test_what_differs_is_found(database: Database, other: InteractionStore) -> None:
    source, window = PostgresInteractions(database), ExportWindow(since=NOW - timedelta(seconds=100))
    some = WRITTEN[:60]
    await source.write(some)
    comparing = CopyInteractions(source, other, window, retention_days=None)
    for wrong in (some[:-1], [*some, record(5, "nobody else")], [*some[:-1], replace(some[-1], rank=9)]):
        await other.write(wrong)
        comparison = await comparing.compare()
        assert len(comparison.differing_ranges) == 1, wrong[-1]
        for customer_id in {one.customer_id for one in [*some, *wrong]}:
            await other.delete_customer(some[0].tenant_id, customer_id)
    await other.write([*some, record(101)])  # outside the window
    assert (await comparing.compare()).is_equal


async def test_the_way_back_is_the_same(database: Database, other: InteractionStore) -> None:
    target, log = PostgresInteractions(database), PostgresCopyLog(database)
    await other.write(WRITTEN[:100])

    copying = CopyInteractions(other, target, ExportWindow(), retention_days=None)
    assert await copying.copy(log, ("other", "pg"), lambda _: None) == 100

    assert (await copying.compare()).is_equal


def test_a_digest_does_not_depend_on_order_and_notices_repeats() -> None:
    shuffled = random.Random(7).sample(WRITTEN, len(WRITTEN))

    def digest(records: Sequence[InteractionRecord]) -> RangeDigest:
        whole = RangeDigest()
        for one in records:
            whole = whole.plus(one)
        return whole

    assert digest(shuffled) == digest(WRITTEN)
    assert digest([*WRITTEN, WRITTEN[0], WRITTEN[0]]) != digest(WRITTEN)


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ({"a": 1}, {"a": 1.0}, True),
        ({"a": -0.0, "b": [1e22]}, {"b": [10**22], "a": 0}, True),
        ({"a": True}, {"a": 1}, False),
        ({"a": "1"}, {"a": 1}, False),
        ({"a": None}, {}, False),
        ({}, None, False),
    ],
)
def test_a_checksum_is_that_of_what_is_meant(
    one: dict[str, object] | None, other: dict[str, object] | None, *, is_same: bool
) -> None:
    checksums = checksum_of(record(1, details=one)), checksum_of(record(1, details=other, retention_days=3))
    assert (checksums[0] == checksums[1]) == is_same


async def test_an_empty_store_has_no_digests(other: InteractionStore) -> None:
    assert await digests_of(other, ExportWindow()) == {}
