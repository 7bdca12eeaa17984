"""A log of decisions as columns: what was shown, with which probability, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from kaireon_core.column import Column, Floats, Mask

Codes: TypeAlias = NDArray[np.int64]

# With fewer customers than these their number says too little about how they differ; decisions are the units then.
_FEWEST_CUSTOMERS = 30


@dataclass(frozen=True, slots=True)
class Eligible:
    """Which actions were to be had for each row: row i has `codes[offsets[i]:offsets[i + 1]]`, codes of actions."""

    offsets: Codes
    codes: Codes

    def mask(self, start: int, stop: int, action_count: int) -> Mask:
        """Return for these rows, (m, A), which actions were eligible."""
        counts = np.diff(self.offsets[start : stop + 1])
        found = np.zeros((stop - start, action_count), np.bool_)
        codes = self.codes[self.offsets[start] : self.offsets[stop]]
        found[np.repeat(np.arange(stop - start), counts), codes] = True
        return found


@dataclass(frozen=True, kw_only=True)
class DecisionLog:
    """n rows, each one slot of one decision; all arrays are (n,).

    `decisions`, `slots` and `actions` are codes; `slot_names` and `action_names` say what they stand for, and
    `action_names` includes eligible actions that were never shown. `customers` are codes too, -1 where none is known.
    `probabilities` are those with which the logging policy chose, in (0, 1]; `rewards` are finite. `attributes` are
    columns of n values by name.
    """

    decisions: Codes
    customers: Codes
    slots: Codes
    slot_names: tuple[str | None, ...]
    actions: Codes
    action_names: tuple[str, ...]
    probabilities: Floats
    rewards: Floats
    attributes: Mapping[str, Column] = field(default_factory=dict[str, Column])
    eligible: Eligible | None = None

    @property
    def row_count(self) -> int:
        """The number of rows, n."""
        return len(self.actions)

    @cached_property
    def shown(self) -> Mask:
        """Which actions were shown at least once in each slot, (S, A)."""
        found = np.zeros((len(self.slot_names), len(self.action_names)), np.bool_)
        found[self.slots, self.actions] = True
        return found

    @cached_property
    def clusters(self) -> Codes:
        """The unit of independence of each row, as codes from 0: its customer, or its decision where none is known.

        Rows of one customer are like each other, and so are the slots of one decision: errors are computed from sums
        over these units (Liang and Zeger 1986, Biometrika 73). With fewer than thirty customers all go by decision.
        """
        known = self.customers >= 0
        if len(np.unique(self.customers[known])) < _FEWEST_CUSTOMERS:
            return np.unique(self.decisions, return_inverse=True)[1].reshape(-1)
        # Below zero and above it: a decision never has the code of a customer.
        return np.unique(np.where(known, self.customers, -1 - self.decisions), return_inverse=True)[1].reshape(-1)
