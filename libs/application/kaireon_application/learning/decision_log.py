"""Uploaded decision logs: what is kept of one, and where."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec

from kaireon_application.compression import zstd
from kaireon_application.errors import NotFound
from kaireon_application.learning.logged_row import LogPart, log_of
from kaireon_core.learning.off_policy.log import DecisionLog

_LEVEL = 6
# What a stored part may become again: no more than was ever put into one.
_MOST_PART_BYTES = 512 * 1024 * 1024

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(LogPart).decode


class LogSummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A log without its rows: how many there are, and what they are about.

    `first_at` and `last_at` are the first and the last timestamp, null where no row has one; `customers` counts the
    different ones.
    """

    id: UUID
    rows: int
    decisions: int
    customers: int
    actions: int
    slots: list[str | None]
    mean_reward: float
    first_at: datetime | None
    last_at: datetime | None
    created_at: datetime


class LogPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of logs, newest first."""

    logs: list[LogSummary]
    total: int


class DecisionLogs(Protocol):
    """Keeps uploaded logs. Raises `Unavailable` while the storage is down."""

    async def add(self, tenant_id: UUID, summary: LogSummary, parts: Sequence[bytes]) -> None:
        """Store a log and its parts in one transaction."""
        ...

    async def get(self, tenant_id: UUID, log_id: UUID) -> LogSummary | None:
        """Return a log without its rows, or None."""
        ...

    async def parts(self, tenant_id: UUID, log_id: UUID) -> list[bytes]:
        """Return the parts of a log in their order; none for a log that there is not."""
        ...

    async def page(self, tenant_id: UUID, limit: int, offset: int) -> LogPage:
        """Return a page of logs, newest first."""
        ...

    async def delete(self, tenant_id: UUID, log_id: UUID) -> bool:
        """Delete a log; its evaluations stay. Return whether there was one."""
        ...


def stored_part(part: LogPart) -> bytes:
    """Return a part as it is stored: MessagePack of its columns in one Zstandard frame."""
    return zstd.compress(_encode(part), _LEVEL)


def read_part(stored: bytes) -> LogPart:
    """Return the part that was stored."""
    return _decode(_opened(stored))


def read_part_naming(stored: bytes, words: Iterable[str]) -> LogPart | None:
    """Return the part if any of these words stands anywhere in its bytes, else None: quicker than decoding it."""
    opened = _opened(stored)
    return _decode(opened) if any(word.encode() in opened for word in words) else None


def _opened(stored: bytes) -> bytes:
    decompressor = zstd.ZstdDecompressor()
    opened = decompressor.decompress(stored, max_length=_MOST_PART_BYTES)
    if not decompressor.eof:
        raise zstd.ZstdError(f"a stored part is cut off, or larger than {_MOST_PART_BYTES} bytes")
    return opened


def summary_of(id_: UUID, parts: Sequence[LogPart], created_at: datetime) -> LogSummary:
    """Return what a log is about. Raises `InvalidInput` for a log that cannot be evaluated: see `log_of`."""
    log = log_of(parts)
    return LogSummary(
        id=id_,
        rows=log.row_count,
        decisions=len({name for part in parts for name in part.decisions}),
        customers=len({name for part in parts for name in part.customers} - {None}),
        actions=len(log.action_names),
        slots=list(log.slot_names),
        mean_reward=float(log.rewards.mean()),
        first_at=min((part.first_at for part in parts if part.first_at is not None), default=None),
        last_at=max((part.last_at for part in parts if part.last_at is not None), default=None),
        created_at=created_at,
    )


async def find_log(logs: DecisionLogs, tenant_id: UUID, log_id: UUID | None) -> LogSummary:
    """Return a log. Raises `NotFound`."""
    found = None if log_id is None else await logs.get(tenant_id, log_id)
    if found is None:
        raise NotFound("there is no such decision log")
    return found


def read_log(parts: Sequence[bytes]) -> DecisionLog:
    """Return the log that was stored in these parts."""
    return log_of([read_part(part) for part in parts])
