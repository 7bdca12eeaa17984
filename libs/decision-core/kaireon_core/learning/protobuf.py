"""Reading Protocol Buffers that somebody else has written, field by field, without believing any of it.

https://protobuf.dev/programming-guides/encoding/ has the form: a message is a row of (number, form, value).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

# A number, or the bytes of a text, a message or packed numbers.
Value: TypeAlias = int | memoryview

_MAX_VARINT_BITS = 63


class DamagedMessage(Exception):
    """The bytes are no message of Protocol Buffers."""


def fields(message: memoryview) -> Iterator[tuple[int, Value]]:
    """Yield the number and the value of each field; of fixed width numbers nothing but that they are there (0).

    Raises `DamagedMessage`.
    """
    place, end = 0, len(message)
    while place < end:
        tag, place = _varint(message, place)
        value: Value = 0
        match tag & 7:
            case 0:
                value, place = _varint(message, place)
            case 1:
                place += 8
            case 2:
                size, place = _varint(message, place)
                value = message[place : place + size]
                place += size
            case 5:
                place += 4
            case _:
                raise DamagedMessage
        if place > end:
            raise DamagedMessage
        yield tag >> 3, value


class Parts:
    """The fields of a message that somebody asks for, by number; what has another form than asked for is not there."""

    def __init__(self, message: memoryview, *numbers: int) -> None:
        """Read the message once, keeping the fields of these numbers. Raises `DamagedMessage`."""
        self._found: dict[int, list[Value]] = {number: [] for number in numbers}
        for number, value in fields(message):
            if number in self._found:
                self._found[number].append(value)

    def messages(self, number: int) -> list[memoryview]:
        """Return the messages of a repeated field."""
        return [value for value in self._found[number] if isinstance(value, memoryview)]

    def message(self, number: int) -> memoryview | None:
        """Return the message of a field that is there once: several are one, laid end to end."""
        found = self.messages(number)
        return memoryview(b"".join(found)) if len(found) > 1 else next(iter(found), None)

    def number(self, number: int) -> int | None:
        """Return the last number of a field, None where there is none."""
        return next((value for value in reversed(self._found[number]) if isinstance(value, int)), None)

    def texts(self, number: int) -> list[str]:
        """Return the texts of a repeated field. Raises `DamagedMessage`."""
        try:
            return [str(value, "utf-8") for value in self.messages(number)]
        except UnicodeDecodeError:
            raise DamagedMessage from None

    def text(self, number: int) -> str:
        """Return the last text of a field, the empty one where there is none. Raises `DamagedMessage`."""
        return (self.texts(number) or [""])[-1]


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """Return a number of variable width and where it ends."""
    value = shift = 0
    try:
        while True:
            byte = message[place]
            place += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:  # noqa: PLR2004 - the bit that says that more follows
                return value, place
            shift += 7
            if shift > _MAX_VARINT_BITS:
                raise DamagedMessage
    except IndexError:
        raise DamagedMessage from None
