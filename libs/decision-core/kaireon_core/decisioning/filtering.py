"""The filter node: conditions on offers, channels, customers, context and request."""

from __future__ import annotations

from functools import reduce

import numpy as np

from kaireon_core.column import compile_test
from kaireon_core.decisioning.candidates import Candidates
from kaireon_core.decisioning.conditions import compile_condition
from kaireon_core.decisioning.flow import Filter
from kaireon_core.decisioning.reasons import LegendBuilder
from kaireon_core.decisioning.state import Stage, State
from kaireon_core.table import Axis, axis_of


def compile_filter(node: Filter, candidates: Candidates, legend: LegendBuilder) -> Stage:
    """Return the stage; without conditions everything passes."""
    config = node.config
    text = f" {config.combinator} ".join(f"{c.field} {c.operator} {c.value!r}" for c in config.conditions)
    code = legend.add("filter", f"not so: {text}", detail={"combinator": config.combinator})
    combine = np.logical_and if config.combinator == "AND" else np.logical_or
    conditions = [compile_condition(c.field, compile_test(c.operator, c.value), candidates) for c in config.conditions]

    def apply(state: State) -> None:
        if conditions:
            state.drop(~reduce(combine, (holds(state) for holds in conditions)), code)

    reads = [c.field for c in config.conditions if axis_of(c.field) is Axis.CUSTOMER]
    return Stage(name="filter", apply=apply, reads=reads)
