"""Behavioural metrics: numbers about what one customer did, for rules and policies to compare."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, cast

from msgspec import Meta, Struct, field

from kaireon_application.catalog.entities import EntityWriter, ListQuery
from kaireon_application.catalog.fields import Key, Label, Name, Text
from kaireon_application.catalog.kind import Change, Document, EntityKind, Reference
from kaireon_application.customers.metric_field import FIELD_PROBLEM, REFERRED, field_of, is_number
from kaireon_application.errors import Conflict
from kaireon_core.column import Operator, compile_test
from kaireon_core.problems import Problem

KIND = "behavioral_metric"
MAX_METRICS = 20
_REALTIME_FUNCTIONS = frozenset({"count", "sum"})

FilterOperator = Literal[
    "eq", "neq", "gt", "gte", "lt", "lte", "in", "not_in", "contains", "starts_with", "is_null", "is_not_null"
]
Dimension = Literal[
    "offer_id",
    "creative_id",
    "category_id",
    "sub_category_id",
    "channel_id",
    "placement_id",
    "placement_type",
    "direction",
    "outcome_key",
]


class FilterCondition(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Which interactions count: those whose field compares like this."""

    field: Label
    operator: FilterOperator
    value: Any = None


class NewBehavioralMetric(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A metric as it is created; `window_days` null is all time, `source_field` null counts interactions."""

    key: Key | None = None
    name: Name
    status: Literal["active", "paused"] = "active"
    description: Text | None = None
    aggregate_function: Literal["count", "sum", "avg", "min", "max"] = "count"
    source_field: Label | None = None
    window_days: Annotated[int, Meta(ge=1, le=3_650)] | None = None
    group_by_dimensions: Annotated[list[Dimension], Meta(max_length=9)] = field(default_factory=list)
    filter_conditions: Annotated[list[FilterCondition], Meta(max_length=20)] = field(default_factory=list)
    sql_filter: Any = None
    compute_mode: Literal["batch", "realtime"] = "batch"
    batch_interval_min: Annotated[int, Meta(ge=1, le=10_080)] = 60


def _problems(change: Change) -> Iterator[Problem]:
    document = change.document
    function, source = document["aggregateFunction"], document["sourceField"]
    if document["sqlFilter"] is not None:
        yield change.problem("SQL is not run here; say it with filterConditions", "sqlFilter")
    if document["computeMode"] == "realtime" and function not in _REALTIME_FUNCTIONS:
        yield change.problem("a realtime metric is a count or a sum; use batch", "computeMode")
    if source is None:
        if function != "count":
            yield change.problem(f"is required: what is the {function} of?", "sourceField")
    elif field_of(source) is None:
        yield change.problem(FIELD_PROBLEM, "sourceField")
    elif function != "count" and not is_number(field_of(source) or ""):
        yield change.problem(f"holds no numbers to take the {function} of", "sourceField")
    for index, condition in enumerate(document["filterConditions"]):
        yield from _condition_problems(change, index, condition)


def _condition_problems(change: Change, index: int, condition: Document) -> Iterator[Problem]:
    place = "filterConditions", index
    if field_of(condition["field"]) is None:
        yield change.problem(FIELD_PROBLEM, *place, "field")
    if isinstance(condition["value"], dict):
        yield change.problem("must not be an object", *place, "value")
        return
    try:
        compile_test(Operator(condition["operator"]), condition["value"])
    except ValueError as error:
        yield change.problem(str(error), *place, "value")


def _references(document: Document) -> Iterable[Reference]:
    """Return the things that conditions compare ids with."""
    for index, condition in enumerate(document["filterConditions"]):
        kind = REFERRED.get(field_of(condition["field"]) or "")
        place, value = ("filterConditions", index, "value"), condition["value"]
        if kind is None or condition["operator"] not in {"eq", "neq", "in", "not_in"}:
            continue
        if isinstance(value, str):
            yield Reference(path=place, kind=kind)
        elif isinstance(value, list):
            members = [at for at, member in enumerate(cast("list[object]", value)) if isinstance(member, str)]
            yield from (Reference(path=(*place, at), kind=kind) for at in members)


async def _settle(writer: EntityWriter, change: Change) -> Document:
    """Refuse one metric too many, and a name that another one has: rules may name a metric by it."""
    others = (await writer.page(KIND, ListQuery(limit=MAX_METRICS + 1))).entities
    if change.previous is None and len(others) >= MAX_METRICS:
        message = f"a tenant has at most {MAX_METRICS} behavioural metrics; delete one first"
        raise Conflict(message)
    mine = change.previous.id if change.previous else None
    if any(other.name == change.document["name"] and other.id != mine for other in others):
        message = "this name is taken; choose another one"
        raise Conflict(message)
    return change.document


BEHAVIORAL_METRIC = EntityKind(
    name=KIND,
    noun="behavioural metric",
    path="behavioral-metrics",
    create=NewBehavioralMetric,
    example={
        "key": "clicks_7d",
        "name": "Clicks in a week",
        "aggregateFunction": "count",
        "windowDays": 7,
        "filterConditions": [{"field": "outcome", "operator": "eq", "value": "click"}],
        "computeMode": "realtime",
    },
    key_separator="_",
    references=_references,
    problems=_problems,
    settle=_settle,
)
