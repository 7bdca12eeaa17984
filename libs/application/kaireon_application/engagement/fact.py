"""The platform's own facts: what triggers and journeys may wait for beside what customers are said to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

REACT_JOB = "react_to_facts"


class Fact(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What happened to one customer, and when (ms)."""

    id: str
    customer_id: str
    at_ms: int
    properties: dict[str, Any]
    # Whether a trigger brought it about: then it fires none that would do so again.
    is_caused: bool = False


class FactsPayload(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Facts of one type."""

    type: str
    facts: Sequence[Fact]
