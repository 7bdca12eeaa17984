"""Filling one interaction store from another, and comparing the two by ranges of customers."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Protocol, cast

import msgspec
from msgspec.structs import replace

from kaireon_application.customers.interaction_store import (
    ExportWindow,
    InteractionRecord,
    InteractionStore,
)

_PAGE = 500
_RANGES = 256
_MODULUS = 2**64


class CopyProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a copy has come: where the source is read next, and how many records were written."""

    cursor: str | None = None
    copied: int = 0
    is_read: bool = False


class CopyLog(Protocol):
    """Remembers a copy that was interrupted. Every method may raise `Unavailable`."""

    async def read(self, source: str, target: str) -> CopyProgress:
        """Return how far it has come."""
        ...

    async def note(self, source: str, target: str, progress: CopyProgress) -> None:
        """Remember how far it has come."""
        ...

    async def forget(self, source: str, target: str) -> None:
        """Let the next copy begin at the beginning."""
        ...


class RangeDigest(msgspec.Struct, frozen=True, kw_only=True):
    """What a range of customers holds: how many records, and the sum of their checksums, whatever their order."""

    count: int = 0
    checksum: int = 0

    def plus(self, record: InteractionRecord) -> RangeDigest:
        """Return it with one more record."""
        return RangeDigest(count=self.count + 1, checksum=(self.checksum + checksum_of(record)) % _MODULUS)


class Comparison(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How two stores compare: the records of each, and the ranges of customers (of 256) in which they differ."""

    source_count: int
    target_count: int
    differing_ranges: list[int]

    @property
    def is_equal(self) -> bool:
        """Whether both hold the same records."""
        return not self.differing_ranges


class CopyInteractions:
    """Copies a window from one store to the other page by page; to write a record again changes nothing."""

    def __init__(
        self,
        source: InteractionStore,
        target: InteractionStore,
        window: ExportWindow,
        *,
        retention_days: int | None,
    ) -> None:
        """Take two stores; records get `retention_days` in the target."""
        self._source = source
        self._target = target
        self._window = window
        self._retention_days = retention_days

    async def copy(self, log: CopyLog, names: tuple[str, str], report: Callable[[int], None]) -> int:
        """Copy what an interrupted copy has left, or everything; return how many records were written in all."""
        progress = await log.read(*names)
        while not progress.is_read:
            page = await self._source.export(self._window, progress.cursor, _PAGE)
            await self._target.write([replace(one, retention_days=self._retention_days) for one in page.records])
            progress = CopyProgress(
                cursor=page.cursor, copied=progress.copied + len(page.records), is_read=page.cursor is None
            )
            await log.note(*names, progress)
            report(progress.copied)
        return progress.copied

    async def compare(self) -> Comparison:
        """Read both stores and compare them range by range."""
        left, right = await digests_of(self._source, self._window), await digests_of(self._target, self._window)
        differing = sorted(number for number in {*left, *right} if left.get(number) != right.get(number))
        return Comparison(
            source_count=sum(digest.count for digest in left.values()),
            target_count=sum(digest.count for digest in right.values()),
            differing_ranges=differing,
        )


async def digests_of(store: InteractionStore, window: ExportWindow) -> dict[int, RangeDigest]:
    """Return what each range of customers holds; ranges that hold nothing are left out."""
    digests = defaultdict[int, RangeDigest](RangeDigest)
    cursor: str | None = None
    while True:
        page = await store.export(window, cursor, _PAGE)
        for record in page.records:
            number = range_of(record)
            digests[number] = digests[number].plus(record)
        cursor = page.cursor
        if cursor is None:
            return dict(digests)


def range_of(record: InteractionRecord) -> int:
    """Return the range that a record's customer belongs to: the first byte of a hash."""
    return hashlib.sha256(f"{record.tenant_id}/{record.customer_id}".encode()).digest()[0] % _RANGES


def checksum_of(record: InteractionRecord) -> int:
    """Return 64 bits that stand for everything a record says."""
    plain = msgspec.to_builtins(replace(record, retention_days=None))
    content = msgspec.json.encode(_even(plain), order="deterministic")
    return int.from_bytes(hashlib.sha256(content).digest()[:8])


def _even(value: Any) -> Any:
    """Return a JSON value in which equal numbers look the same: stores differ in whether they write 1, 1.0 or -0.0."""
    if isinstance(value, dict):
        return {key: _even(one) for key, one in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_even(one) for one in cast("list[Any]", value)]
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value)
        return repr(number + 0.0) if math.isfinite(number) else str(value)
    return value
