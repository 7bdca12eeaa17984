"""What decisions take of Postgres, table by table, and what a month of them does."""

from __future__ import annotations

import re

import psycopg

_DAYS = 30
_DECISIONS_A_DAY = 10_000
# `cleanup` removes these after a day.
_SHORT_LIVED = frozenset({"outbox_events", "idempotency_keys"})
# What an empty database takes, Postgres' own tables.
_CATALOGUES = 8_000_000
# Partitions and the numbers of them: one table here.
_PARTITION = re.compile(r"_(\d{4}_?\d{2}|default)$")


def sizes_of(database_url: str) -> dict[str, int]:
    """Return the bytes of every table with its indexes and what is stored beside it, after a VACUUM."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("VACUUM")
        rows = connection.execute(
            "SELECT relname, pg_total_relation_size(oid) FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        ).fetchall()
    sizes: dict[str, int] = {}
    for name, size in rows:
        table = _PARTITION.sub("", name)
        sizes[table] = sizes.get(table, 0) + size
    return sizes


def month_of(before: dict[str, int], after: dict[str, int], decisions: int) -> dict[str, float]:
    """Return bytes for each decision, by table and together, and the megabytes of a month beside what was there.

    Short-lived tables count for a day. `twoMonthsMb` is what lies on disk at most: rows of a month that is not over for
    everybody are deleted, and its files go when the whole month does.
    """
    grown = {
        name: (size - before.get(name, 0)) / decisions for name, size in after.items() if size > before.get(name, 0)
    }
    lasting = sum(size for name, size in grown.items() if name not in _SHORT_LIVED)
    passing = sum(size for name, size in grown.items() if name in _SHORT_LIVED)
    base, day = (sum(before.values()) + _CATALOGUES) / 1e6, _DECISIONS_A_DAY / 1e6
    return {
        **{f"bytes.{name}": size for name, size in sorted(grown.items())},
        "bytesPerDecision": lasting,
        "bytesForADay": passing,
        "baseMb": base,
        "monthMb": base + day * (_DAYS * lasting + passing),
        "twoMonthsMb": base + day * (2 * _DAYS * lasting + passing),
    }
