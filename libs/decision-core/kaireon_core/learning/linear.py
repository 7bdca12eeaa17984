"""Logistic and linear regression: a weight per field or per `field=value`, and a bias."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta
from scipy.special import expit

from kaireon_core.column import Column, Floats
from kaireon_core.learning.additive import Additive, Link
from kaireon_core.learning.definitions import Name
from kaireon_core.learning.terms import NumericTerm, is_number, text_of

Weight = Annotated[float, Meta(ge=-1e50, le=1e50)]
Weights = Annotated[dict[Name, Weight], Meta(max_length=100_000)]
Scale = Annotated[float, Meta(gt=1e-50, le=1e50)]


class LinearState(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a linear model has learnt.

    `weights`: by field, or by `field=value` for one value of it. A number x adds weight * (x - mean) / scale, `means`
    and `scales` being those of training (0 and 1 where there is none), true adds what 1 does. A field without a value,
    or with a category that has no weight, adds its weight in `missing`, 0 where it has none.
    """

    weights: Weights
    bias: Weight = 0.0
    missing: Weights = msgspec.field(default_factory=dict[str, float])
    means: Weights = msgspec.field(default_factory=dict[str, float])
    scales: Annotated[dict[Name, Scale], Meta(max_length=100_000)] = msgspec.field(default_factory=dict[str, float])


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryTerm:
    """Adds the weight of a value, `missing` where it has none; numbers go to `number` where the field has one."""

    weights: Mapping[str, float]
    missing: float
    number: NumericTerm | None = None

    def value(self, value: object) -> float:
        """Return what one value adds."""
        if self.number is not None and is_number(value):
            return self.number.value(value)
        text = text_of(value)
        return self.missing if text is None else self.weights.get(text, self.missing)

    def column(self, column: Column) -> Floats:
        """Return what each row adds, shape (n,)."""
        return np.array([self.value(value) for value in column.objects.tolist()], np.float64)


def compile_logistic(state: LinearState) -> Additive:
    """Return the model whose score is the sigmoid of bias + the sum of weights times values."""
    return _compiled(state, expit)


def compile_linear(state: LinearState) -> Additive:
    """Return the model whose score is bias + the sum of weights times values, never clamped."""
    return _compiled(state, np.array)


def _compiled(state: LinearState, link: Link) -> Additive:
    names = dict.fromkeys([*(name.partition("=")[0] for name in state.weights), *state.missing])
    return Additive.of(state.bias, [(name, _term(name, state)) for name in names], link)


def _term(field: str, state: LinearState) -> NumericTerm | CategoryTerm:
    missing = state.missing.get(field, 0.0)
    number = None
    if field in state.weights:
        slope = state.weights[field] / state.scales.get(field, 1.0)
        number = NumericTerm(slope=slope, mean=state.means.get(field, 0.0), missing=missing)
    prefix = f"{field}="
    categories = {
        name.removeprefix(prefix): weight for name, weight in state.weights.items() if name.startswith(prefix)
    }
    if number is not None and not categories:
        return number
    return CategoryTerm(weights=categories, missing=missing, number=number)
