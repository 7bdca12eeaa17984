"""Statements of which a part is left out are still statements."""

from __future__ import annotations

from itertools import chain, combinations
from typing import TYPE_CHECKING

import psycopg
import pytest

from kaireon_storage.postgres.queries import positional

if TYPE_CHECKING:
    from collections.abc import Iterator

DECISIONS = ("new_impression", "new_late", "new_summary", "new_suppression", "new_key", "new_event")
RESPONSES = ("new_interaction", "new_late", "new_summary", "new_suppression", "new_event")


def subsets(names: tuple[str, ...]) -> Iterator[frozenset[str]]:
    every = chain.from_iterable(combinations(names, count) for count in range(len(names) + 1))
    return map(frozenset, every)


@pytest.mark.parametrize(("name", "parts"), [("commit_decisions", DECISIONS), ("commit_responses", RESPONSES)])
def test_any_parts_can_be_left_out(database_url: str, name: str, parts: tuple[str, ...]) -> None:
    whole = positional("decisions", name)
    with psycopg.connect(database_url, autocommit=True) as connection:
        for left_out in subsets(parts):
            statement = positional("decisions", name, left_out)
            connection.execute(b"PREPARE checked AS " + statement.text.rstrip(b"; \n"))
            connection.execute("DEALLOCATE checked")
            assert all((f"), {part} AS (".encode() in statement.text) == (part not in left_out) for part in parts)
            assert set(statement.names) <= set(whole.names)
    assert positional("decisions", name, frozenset[str]()).text == whole.text
