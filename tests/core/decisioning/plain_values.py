"""Values, documents and candidates of the reference: the one comparison in plain Python."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from tests.core.decisioning.cases import Row, Why

Thing = dict[str, Any]

_KINDS = {
    type(None): "null",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "text",
    list: "list",
    dict: "object",
}


def _kind(value: Any) -> str:
    return _KINDS[type(value)]


def same(left: Any, right: Any) -> bool:
    if _kind(left) != _kind(right):
        return False
    if _kind(left) == "list":
        return len(left) == len(right) and all(map(same, left, right))
    if _kind(left) == "object":
        return set(left) == set(right) and all(same(left[name], right[name]) for name in left)
    return left == right


def holds(value: Any, operator: str, operand: Any) -> bool:  # noqa: C901, PLR0911 - one case per operator
    match operator:
        case "eq":
            return same(value, operand)
        case "neq":
            return not same(value, operand)
        case "in":
            members: list[Any] = [value, *value] if _kind(value) == "list" else [value]
            return any(same(one, other) for one in members for other in operand)
        case "not_in":
            return not holds(value, "in", operand)
        case "is_null" | "not_exists":
            return value is None
        case "is_not_null" | "exists":
            return value is not None
        case "contains":
            if _kind(value) == "list":
                return any(same(member, operand) for member in value)
            return _are_texts(value, operand) and operand in value
        case "starts_with":
            return _are_texts(value, operand) and value[: len(operand)] == operand
        case "regex":
            return _are_texts(value, operand) and re.search(operand, value) is not None
        case _:
            return _is_ordered(value, operator, operand)


def _are_texts(value: Any, operand: Any) -> bool:
    return _kind(value) == _kind(operand) == "text"


def _is_ordered(value: Any, operator: str, operand: Any) -> bool:
    if _kind(value) != _kind(operand) or _kind(value) not in ("number", "text"):
        return False
    left, right = value, operand
    if _kind(value) == "text":
        left, right = [ord(c) for c in value], [ord(c) for c in operand]
    return {"gt": left > right, "gte": left >= right, "lt": left < right, "lte": left <= right}[operator]


def get(values: Thing, path: str) -> Any:
    if path in values:
        return values[path]
    head, dot, rest = path.partition(".")
    return get(values[head], rest) if dot and isinstance(values.get(head), dict) else None


def key_of(thing: Thing) -> str:
    return thing.get("key", thing["id"])


def name_of(thing: Thing) -> str:
    return thing.get("name", thing["id"])


def status_of(thing: Thing) -> str:
    return thing.get("status", "active")


def is_named(thing: Thing, names: list[str]) -> bool:
    return thing["id"] in names or key_of(thing) in names


def value_of(thing: Thing | None, field: str) -> Any:
    if thing is None:
        return None
    own = {"id": thing["id"], "key": key_of(thing), "name": name_of(thing), "status": status_of(thing)}
    if field in own:
        return own[field]
    found = get(thing, field)
    return get(thing.get("customFields", {}), field) if found is None else found


def instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    parsed = datetime.fromisoformat(text)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def readable_instant(value: Any) -> datetime | None:
    try:
        return instant(value)
    except (TypeError, ValueError):
        return None


class Candidate:
    """An offer on a creative; `is_bare` once it stands for the offer alone."""

    def __init__(self, offer: Thing, creative: Thing | None, channel: Thing | None, placement: Thing | None) -> None:
        self.offer, self.creative, self.channel, self.placement = offer, creative, channel, placement
        self.row: Row = (offer["id"], creative["id"] if creative else None)
        self.fit = 1.0
        self.score = 0.0
        self.propensity: float | None = None
        self.why: Why | None = None

    def make_bare(self) -> None:
        self.creative = self.channel = self.placement = None

    @property
    def weight(self) -> float:
        return self.creative.get("weight", 100) if self.creative else 100

    @property
    def priority(self) -> float:
        return self.offer.get("priority", 50)
