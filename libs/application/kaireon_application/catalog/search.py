"""Searching what a tenant has configured, by words and by how they begin."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec

from kaireon_application.errors import InvalidInput
from kaireon_application.governance.configured_kinds import CONFIGURED_KINDS
from kaireon_runtime.listed import listed

_MOST_WORDS = 12
_BETWEEN_WORDS = re.compile(r"[\W_]+")

# What a caller names -> the kind that is stored: the last part of the path of its list.
SEARCHED_TYPES: dict[str, str] = {kind.path.rpartition("/")[2]: name for name, kind in CONFIGURED_KINDS.items()}
# The singular is understood too.
_KIND_OF = SEARCHED_TYPES | {kind.replace("_", "-"): kind for kind in SEARCHED_TYPES.values()}
TYPE_OF_KIND: dict[str, str] = {kind: type_ for type_, kind in SEARCHED_TYPES.items()}


class SearchQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked for: things of these kinds in whose texts every word begins a word."""

    words: tuple[str, ...]
    kinds: tuple[str, ...]
    limit: int
    offset: int = 0


class SearchHit(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Something found; `score` compares the hits of one search, and nothing else."""

    type: str
    id: UUID
    key: str
    name: str
    status: str
    description: str | None
    score: float
    updated_at: datetime


class SearchPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of hits, the best first."""

    hits: Sequence[SearchHit]
    total: int


class SearchIndex(Protocol):
    """Finds what was configured. Raises `Unavailable` while it cannot be reached."""

    async def search(self, tenant_id: UUID, query: SearchQuery) -> SearchPage:
        """Return one page of hits: the best first, equal ones by type, name and id.

        Where nothing has all the words, what is spelled nearly like them is found.
        """
        ...


def words_of(text: str) -> tuple[str, ...]:
    """Return the words of a text: its letters and digits, in lower case."""
    return tuple(word for word in _BETWEEN_WORDS.split(text.lower()) if word)


def search_query(text: str, types: str | None, limit: int, offset: int) -> SearchQuery:
    """Return what a caller looks for; `types` is comma-separated. Raises `InvalidInput`."""
    words = words_of(text)
    if not words or len(words) > _MOST_WORDS:
        raise InvalidInput.at("query.q", f"must have 1 to {_MOST_WORDS} words of letters or digits")
    named = listed(types or "")
    unknown = [name for name in named if name not in _KIND_OF]
    if unknown:
        raise InvalidInput.at("query.types", f"knows no {', '.join(unknown)}; known: {', '.join(SEARCHED_TYPES)}")
    kinds = tuple(_KIND_OF[name] for name in named) or tuple(SEARCHED_TYPES.values())
    return SearchQuery(words=words, kinds=kinds, limit=limit, offset=offset)
