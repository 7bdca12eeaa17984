"""What a model has learned from responses since its state was last written: facts, loaded with every decision.

The state that an operator or a training wrote is configuration; what is learned on top of it changes with every
response. Both together are the state that scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

import msgspec
import numpy as np

from kaireon_core.column import Floats


class LearnedForm(StrEnum):
    """How what a model learns is kept."""

    # Two sums for each offer.
    ARMS = "arms"
    # Two sums for each class and value of a field.
    COUNTS = "counts"
    # A weight for each feature, and a bias.
    WEIGHTS = "weights"


class LearnerReference(msgspec.Struct, frozen=True, kw_only=True):
    """Where to find what a model has learned; a new `generation` begins with nothing."""

    model_id: str
    generation: int
    form: LearnedForm


class LearnedRows(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored of one model: two sums by subject, or weights by feature in place of those of its state."""

    sums: Mapping[str, tuple[float, float]] = {}
    weights: Mapping[str, float] | None = None
    bias: float = 0.0
    # How many responses taught it, of a model with weights.
    updates: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedArms:
    """Two sums for each offer of a catalogue, (O, 2), and over all arms, (2,): offers may be gone."""

    sums: Floats
    totals: Floats

    @staticmethod
    def none(offers: int) -> LearnedArms:
        """Return the sums of a model that nothing has taught yet."""
        return LearnedArms(sums=np.zeros((offers, 2)), totals=np.zeros(2))


# What a decision knows of a model: arms lie over the flow's catalogue, the others as they are stored.
Learned: TypeAlias = LearnedArms | LearnedRows
