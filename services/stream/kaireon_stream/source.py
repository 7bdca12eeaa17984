"""The port to a broker: partitions of records that can be read from any position on, again and again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from kaireon_application.engagement.consume_events import InboundRecord


class SourceUnavailable(Exception):
    """The broker cannot be reached, or does not know what it is asked for; the message says which."""


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """The records that follow a position, in order; `lag_seconds` is how old the oldest one left behind may be."""

    records: Sequence[InboundRecord]
    lag_seconds: float


class Source(Protocol):
    """One stream of one broker. Every method raises `SourceUnavailable`, and takes a few seconds at most."""

    async def partitions(self) -> Sequence[str]:
        """Return the names of the partitions there are now."""
        ...

    async def read(self, partition: str, after: str | None) -> Batch:
        """Return records after a position (None: the oldest there are); waits up to half a second for the first."""
        ...

    async def close(self) -> None:
        """Give back connections."""
        ...
