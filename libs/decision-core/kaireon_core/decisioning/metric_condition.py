"""Behavioural metrics in rules and policies: a number about the customer's past, compared with another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from kaireon_core.catalog.document import Catalogue
from kaireon_core.column import Column, Kind, Mask, Operator, compile_test
from kaireon_core.decisioning.candidates import Candidates
from kaireon_core.decisioning.history_needs import NOTHING, HistoryNeeds
from kaireon_core.decisioning.policy import AddReason, Policy, PolicyScope
from kaireon_core.decisioning.state import State

# Where the comparison holds, (B, 1).
Holds: TypeAlias = Callable[[State], Mask]


def find_metric(catalogue: Catalogue, reference: str) -> str | None:
    """Return the id of the active metric with this id, key or name, in this order; None without one."""
    active = [metric for metric in catalogue.behavioral_metrics if metric.status == "active"]
    for field in ("id", "key", "name"):
        found = next((metric.id for metric in active if getattr(metric, field) == reference), None)
        if found is not None:
            return found
    return None


def compile_metric_test(config: dict[str, Any], catalogue: Catalogue) -> tuple[Holds | None, HistoryNeeds]:
    """Return where `metric operator value` holds, None for a metric that is not computed, and what must be known."""
    metric = find_metric(catalogue, str(config["metric"]))
    if metric is None:
        return None, NOTHING
    test = compile_test(Operator(config["operator"]), float(config["value"]))

    def holds(state: State) -> Mask:
        values = state.contacts.metrics.get(metric)
        if values is None:
            values = np.zeros(state.table.customers)
        kinds = np.full(len(values), Kind.NUMBER, np.int8)
        return test(Column(kinds, values, values.astype(np.object_)))[:, None]

    return holds, HistoryNeeds(metrics=(metric,))


def compile_metric_policy(
    config: dict[str, Any], scope: PolicyScope, candidates: Candidates, add_reason: AddReason
) -> Policy:
    """Return the policy: it blocks while the comparison holds, or the metric is not computed (fail closed)."""
    holds, history = compile_metric_test(config, candidates.catalogue)
    said = f"metric {config['metric']} {config['operator']} {config['value']}"
    detail = {name: config[name] for name in ("metric", "operator", "value")}
    code = add_reason(f"blocks: {said}" if holds else f"blocks: {said} cannot be told, it is not computed", detail)

    def apply(state: State) -> None:
        binding = scope.binding(state)
        state.drop(binding if holds is None else binding & holds(state), code)

    return Policy(covered=scope.covered, apply=apply, history=history)
