"""Configurations whose form depends on `ruleType`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Literal

from msgspec import Meta, Struct

from kaireon_application.catalog.kind import Change, Reference
from kaireon_core.problems import InvalidValue, Problem, convert

MetricOperator = Literal["eq", "neq", "gt", "gte", "lt", "lte"]
Hours = Annotated[float, Meta(gt=0, le=87_600)]
Days = Annotated[float, Meta(gt=0, le=3_650)]

# Where in a configuration, and what is wrong there.
Broken = tuple[tuple[str | int, ...], str]


class Config(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What every configuration is: strict about the names of its fields."""

    def broken(self) -> Iterable[Broken]:
        """Return the broken rules between fields; a type alone says nothing about them."""
        return ()


def metric_reference() -> Reference:
    """Return where a configuration names a behavioural metric: by id, key or name."""
    return Reference(path=("config", "metric"), kind="behavioral_metric", by_name=True)


def config_problems(change: Change, types: Mapping[str, type[Config]]) -> Iterator[Problem]:
    """Yield what is wrong with `ruleType` and `config`; `types` has the form of `config` for each type."""
    config_type = types.get(change.document["ruleType"])
    if config_type is None:
        yield change.problem(f"must be one of: {', '.join(types)}", "ruleType")
        return
    try:
        config = convert(change.document["config"], config_type, f"{change.path}.config")
    except InvalidValue as error:
        yield from error.problems
        return
    for parts, message in config.broken():
        yield change.problem(message, "config", *parts)
