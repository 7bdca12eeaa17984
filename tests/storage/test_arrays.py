"""Array literals: Postgres reads what was written, whatever it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kaireon_storage.postgres.arrays import array, bytes_array, json_array, nested_array, text_array

if TYPE_CHECKING:
    from kaireon_storage.postgres.database import Database

# Any text that Postgres can hold.
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)))
TRICKY = ("", "NULL", "null", '"', "\\", '\\"', "{", "}", "{a,b}", ",", " ", "\t\n", "é€😀", "'; DROP TABLE x; --")
LAW = settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])


async def read(database: Database, sql: LiteralString, literal: str) -> object:
    async with database.system_transaction() as connection:
        cursor = await connection.execute(sql, [literal])
        row = await cursor.fetchone()
    assert row is not None
    return row["found"]


async def test_tricky_text_is_read_back(database: Database) -> None:
    values = [*TRICKY, None]

    assert await read(database, "SELECT %s::text[] AS found", text_array(values)) == values
    assert await read(database, "SELECT %s::text[] AS found", text_array([])) == []


@pytest.mark.parametrize(
    ("sql", "values"),
    [
        ("SELECT %s::bigint[] AS found", [0, -1, 2**53, None]),
        ("SELECT %s::double precision[] AS found", [0.1, -1e-300, 1e300, 1e16, 5.0, None]),
        ("SELECT %s::uuid[]::text[] AS found", ["019ab0c5-7d5e-7c3a-9a54-0f4d0f3f9a11", None]),
    ],
)
async def test_plain_values_are_read_back(database: Database, sql: LiteralString, values: list[object]) -> None:
    assert await read(database, sql, array(values)) == values
    assert await read(database, sql, array([])) == []


async def test_arrays_of_different_lengths_are_read_back(database: Database) -> None:
    statement = "SELECT to_jsonb(ARRAY(SELECT to_jsonb(one::uuid[]) FROM unnest(%s::text[]) AS one)) AS found"
    rows = [["019ab0c5-7d5e-7c3a-9a54-0f4d0f3f9a11", None], [], [None]]

    assert await read(database, statement, nested_array(rows)) == rows
    assert await read(database, statement, nested_array([])) == []


@LAW
@given(values=st.lists(st.none() | TEXT, max_size=20))
def test_every_text_has_a_literal(values: list[str | None]) -> None:
    assert parsed(text_array(values)) == values


@pytest.mark.parametrize(
    "content", [[], [b""], [None], [None, b"1", None], [b"\x00\xff", b"{}", b'"\\', bytes(range(256))]]
)
async def test_byte_strings_are_read_back(database: Database, content: list[bytes | None]) -> None:
    statement = (
        b"SELECT to_jsonb(ARRAY(SELECT encode(one, 'hex') FROM unnest($1::bytea[]) AS one))",
        [bytes_array(content)],
    )

    (result,) = await database.round_trip(UUID(int=1), [statement])

    found = msgspec.json.decode(result.get_value(0, 0) or b"")
    assert [None if one is None else bytes.fromhex(one) for one in found] == content


@pytest.mark.parametrize("values", [[], [None], list(TRICKY), [None, {"a": ["é€😀", '"', "\\"]}, None]])
async def test_json_is_read_back(database: Database, values: list[object]) -> None:
    content = [None if value is None else msgspec.json.encode(value) for value in values]
    statement = b"SELECT to_jsonb(ARRAY(SELECT one::jsonb FROM unnest($1::text[]) AS one))", [json_array(content)]

    (result,) = await database.round_trip(UUID(int=1), [statement])

    assert msgspec.json.decode(result.get_value(0, 0) or b"") == values


def parsed(literal: str) -> list[str | None]:
    """Return the elements of a one-dimensional array literal, read as the manual says (8.15.2)."""
    assert literal.startswith("{")
    found: list[str | None] = []
    place = 1
    while literal[place] != "}":
        place += literal[place] == ","
        if literal.startswith("NULL", place):
            found.append(None)
            place += len("NULL")
            continue
        assert literal[place] == '"'
        element, place = "", place + 1
        while literal[place] != '"':
            place += literal[place] == "\\"
            element += literal[place]
            place += 1
        found.append(element)
        place += 1
    return found
