"""Results of decisions as Parquet: one row per customer, written row group by row group."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import msgspec

PARQUET = "application/vnd.apache.parquet"
_TEXTS = (
    "offerId",
    "offerKey",
    "offerName",
    "categoryId",
    "categoryName",
    "creativeId",
    "creativeName",
    "channelId",
    "channelName",
    "placementId",
)
# JSON without a fixed form travels as text.
_DOCUMENTS = ("content", "personalization")
_encode = msgspec.json.Encoder().encode


async def parquet_of(lines: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Yield a Parquet file of results that come as whole NDJSON lines; each part becomes a row group."""
    # In threads: nobody else should wait for the columns, or for Arrow to be imported.
    writer = await asyncio.to_thread(_Writer)
    async with aclosing(lines):
        async for part in lines:
            yield await asyncio.to_thread(writer.write, part)
    yield writer.end()


class _Writer:
    """Turns lines into the bytes of a file, as they come."""

    def __init__(self) -> None:
        # A process that nobody asks for Parquet never pays for these.
        import pyarrow as pa  # noqa: PLC0415
        from pyarrow.parquet import ParquetWriter  # noqa: PLC0415

        self._arrow: Any = pa
        self._schema = _schema(pa)
        self._sink = _Sink()
        self._file: Any = ParquetWriter(self._sink, self._schema, compression="zstd")

    def write(self, lines: bytes) -> bytes:
        rows = [_row(msgspec.json.decode(line)) for line in lines.splitlines()]
        self._file.write_table(self._arrow.Table.from_pylist(rows, schema=self._schema))
        return self._sink.taken()

    def end(self) -> bytes:
        self._file.close()
        return self._sink.taken()


class _Sink:
    """A file for a writer that never looks back: keeps what was written until it is taken."""

    def __init__(self) -> None:
        self._parts = list[bytes]()
        self._position = 0
        self.closed = False

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._position += len(part)
        return len(part)

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        self.closed = True

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def taken(self) -> bytes:
        """Return what was written since the last time."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _schema(arrow: Any) -> Any:
    text, number = arrow.string(), arrow.float64()
    item = [
        *((name, text) for name in (*_TEXTS, *_DOCUMENTS)),
        ("score", number),
        ("rank", arrow.int32()),
        ("propensity", number),
        ("selectionProbability", number),
        ("mandatory", arrow.bool_()),
    ]
    assignment = [("experimentKey", text), ("variant", text)]
    return arrow.schema(
        [
            ("customerId", text),
            ("recommendationId", text),
            ("decisions", arrow.list_(arrow.struct(item))),
            ("experimentAssignment", arrow.struct(assignment)),
            ("degradedScoring", arrow.bool_()),
            ("controlGroup", arrow.bool_()),
            ("code", text),
            ("message", text),
        ]
    )


def _row(result: dict[str, Any]) -> dict[str, Any]:
    """Return a result as a row; what it lacks becomes null."""
    decisions = result.get("decisions")
    return result | {"decisions": decisions and [_item(item) for item in decisions]}


def _item(item: dict[str, Any]) -> dict[str, Any]:
    return item | {name: _text(item[name]) for name in _DOCUMENTS}


def _text(document: Any) -> str | None:
    return None if document is None else _encode(document).decode()
