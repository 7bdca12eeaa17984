"""The policy that is asked about, as it is written down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, TypeAlias, cast

import msgspec
import numpy as np
from msgspec import Meta

from kaireon_application.errors import InvalidInput
from kaireon_core.learning.off_policy.log import DecisionLog
from kaireon_core.learning.off_policy.target import TableTarget
from kaireon_core.problems import Problem

# How far above 1 a sum of decimal fractions may be by rounding.
_ROUNDING = 1e-6

Reference: TypeAlias = Annotated[str, Meta(min_length=1, max_length=255)]
Probability: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
Actions: TypeAlias = dict[Reference, Probability]


class GreedyPolicy(msgspec.Struct, frozen=True, kw_only=True, tag="greedy", forbid_unknown_fields=True):
    """Always the action with the best score; equals share it."""


class SoftmaxPolicy(msgspec.Struct, frozen=True, kw_only=True, tag="softmax", forbid_unknown_fields=True):
    """Each action with a probability proportional to exp(score / temperature)."""

    temperature: Annotated[float, Meta(gt=0, le=1e6)] = 1.0


class EpsilonPolicy(msgspec.Struct, frozen=True, kw_only=True, tag="epsilon", forbid_unknown_fields=True):
    """The best action, and with probability epsilon any other one or the same."""

    epsilon: Probability = 0.1


Policy: TypeAlias = GreedyPolicy | SoftmaxPolicy | EpsilonPolicy


class TablePolicy(msgspec.Struct, frozen=True, kw_only=True, tag="table", forbid_unknown_fields=True):
    """The probability of each action by slot; for a log of one slot the slot may be left out.

    What is missing to 1 is the probability of showing nothing.
    """

    probabilities: Annotated[dict[Reference, Actions | Probability], Meta(min_length=1, max_length=10_000)]
    by: Literal["slot"] = "slot"


class ModelPolicy(msgspec.Struct, frozen=True, kw_only=True, tag="model", rename="camel", forbid_unknown_fields=True):
    """What a model would choose by its scores; a bandit without a policy by its own exact probabilities."""

    model_key: Reference
    policy: Policy | None = None


TargetPolicy: TypeAlias = TablePolicy | ModelPolicy


def table_problems(table: TablePolicy, path: str = "$.target") -> list[Problem]:
    """Return what is wrong with a table whatever the log: slots beside bare actions, and sums above 1."""
    values = table.probabilities.values()
    if any(isinstance(value, dict) for value in values) and not all(isinstance(value, dict) for value in values):
        return [Problem(path=f"{path}.probabilities", message="has slots and actions side by side")]
    return [
        Problem(path=f"{path}.probabilities{place}", message=f"add up to {total:.6g}, which is above 1")
        for place, total in _sums(table)
        if total > 1 + _ROUNDING
    ]


def target_of_table(
    table: TablePolicy, log: DecisionLog, aliases: Mapping[str, str] | None = None, path: str = "$.target"
) -> TableTarget:
    """Return a table as a target for a log; `aliases` are other names of the log's actions.

    Raises `InvalidInput` for a slot that the log does not have, or one that the table leaves out.
    """
    problems = table_problems(table, path)
    if problems:
        raise InvalidInput.of(problems)
    by_slot = _by_slot(table, log, path)
    codes = {name: code for code, name in enumerate(log.action_names)}
    known = {**{alias: codes[name] for alias, name in (aliases or {}).items() if name in codes}, **codes}
    chances, outside = np.zeros((len(log.slot_names), len(codes))), np.zeros(len(log.slot_names))
    for slot, actions in enumerate(by_slot):
        for name, probability in actions.items():
            if name in known:
                chances[slot, known[name]] += probability
            else:
                outside[slot] += probability
    return TableTarget(chances, outside)


def _sums(table: TablePolicy) -> Iterator[tuple[str, float]]:
    """Return where in the table each distribution stands, and what it adds up to."""
    flat = {name: value for name, value in table.probabilities.items() if not isinstance(value, dict)}
    if flat:
        yield "", sum(flat.values())
        return
    for slot, actions in table.probabilities.items():
        yield f".{slot}", sum(cast("Actions", actions).values())


def _by_slot(table: TablePolicy, log: DecisionLog, path: str) -> list[Actions]:
    """Return the distribution of each slot of the log."""
    given = table.probabilities
    bare: Actions = {name: value for name, value in given.items() if not isinstance(value, dict)}
    only = log.slot_names[0] if len(log.slot_names) == 1 else None
    if bare:
        if len(log.slot_names) > 1:
            names = ", ".join(str(name) for name in log.slot_names[:20])
            raise InvalidInput.at(f"{path}.probabilities", f"must say what is shown in each slot of the log: {names}")
        return [bare]
    if only is None and len(log.slot_names) == 1:
        # A log without slots has one, whatever the table calls it.
        if len(given) > 1:
            raise InvalidInput.at(f"{path}.probabilities", "has several slots, and the log has none")
        return [cast("Actions", next(iter(given.values())))]
    found = {str(name): cast("Actions", given[str(name)]) for name in log.slot_names if str(name) in given}
    strange = [Problem(path=f"{path}.probabilities.{name}", message="the log has no such slot") for name in given]
    missing = [
        Problem(path=f"{path}.probabilities", message=f"says nothing about the log's slot '{name}'")
        for name in log.slot_names
        if str(name) not in given
    ]
    problems = [one for one, name in zip(strange, given, strict=True) if name not in found] + missing
    if problems:
        raise InvalidInput.of(problems)
    return [found[str(name)] for name in log.slot_names]
