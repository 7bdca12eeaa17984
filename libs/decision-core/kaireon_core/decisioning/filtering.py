"""The filter node, and the conditions that other nodes share with it."""

from __future__ import annotations

from functools import reduce

import numpy as np

from kaireon_core.column import compile_test
from kaireon_core.decisioning.candidates import Candidates
from kaireon_core.decisioning.conditions import Holding, compile_condition
from kaireon_core.decisioning.flow import Filter, FilterConfig
from kaireon_core.decisioning.reasons import LegendBuilder
from kaireon_core.decisioning.state import Stage, State
from kaireon_core.table import Axis, axis_of


def compile_filter(node: Filter, candidates: Candidates, legend: LegendBuilder) -> Stage:
    """Return the stage; without conditions everything passes."""
    config = node.config
    text = f" {config.combinator} ".join(f"{c.field} {c.operator} {c.value!r}" for c in config.conditions)
    code = legend.add("filter", f"not so: {text}", detail={"combinator": config.combinator})
    holds = compile_conditions(config, candidates)

    def apply(state: State) -> None:
        state.drop(~holds(state), code)

    return Stage(name="filter", apply=apply, reads=customer_names(config))


def compile_conditions(config: FilterConfig, candidates: Candidates) -> Holding:
    """Return where all or any of the conditions hold; without conditions everywhere."""
    if not config.conditions:
        return lambda _state: _EVERYWHERE
    combine = np.logical_and if config.combinator == "AND" else np.logical_or
    conditions = [compile_condition(c.field, compile_test(c.operator, c.value), candidates) for c in config.conditions]
    return lambda state: reduce(combine, (holds(state) for holds in conditions))


def customer_names(config: FilterConfig) -> list[str]:
    """Return the names about the customer that the conditions read."""
    return [c.field for c in config.conditions if axis_of(c.field) is Axis.CUSTOMER]


_EVERYWHERE = np.ones((1, 1), np.bool_)
