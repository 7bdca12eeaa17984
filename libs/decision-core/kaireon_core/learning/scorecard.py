"""Scorecards: points per matched rule, summed and normalised to [0, 1]."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from kaireon_core.column import Floats, Test, compile_test
from kaireon_core.learning.configs import ScorecardConfig, ScorecardRule
from kaireon_core.learning.definitions import Normalization
from kaireon_core.learning.model import Contribution, Explanation, Fields, Scores
from kaireon_core.table import Axis

# raw = min and raw = max lie three units either side of the middle of the sigmoid.
_SIGMOID_WIDTH = 6.0


def _sigmoid(config: ScorecardConfig) -> Callable[[Floats], Floats]:
    middle = (config.max_score + config.min_score) / 2
    width = config.max_score - config.min_score
    return lambda raw: expit((raw - middle) / width * _SIGMOID_WIDTH)


def _linear(config: ScorecardConfig) -> Callable[[Floats], Floats]:
    width = config.max_score - config.min_score
    return lambda raw: np.clip((raw - config.min_score) / width, 0.0, 1.0)


_NORMALIZATIONS: dict[Normalization, Callable[[ScorecardConfig], Callable[[Floats], Floats]]] = {
    Normalization.SIGMOID: _sigmoid,
    Normalization.LINEAR: _linear,
}


@dataclass(frozen=True, slots=True)
class Scorecard:
    """A compiled scorecard. Raw is base + the points of the matched rules, clamped by linear normalisation only."""

    fields: tuple[str, ...]
    _base: float
    _rules: tuple[tuple[ScorecardRule, Test], ...]
    _normalize: Callable[[Floats], Floats]

    @staticmethod
    def compile(config: ScorecardConfig) -> Scorecard:
        """Return the scorecard of a valid config."""
        rules = tuple((rule, compile_test(rule.operator.comparison, rule.value)) for rule in config.rules)
        fields = tuple(dict.fromkeys(rule.field for rule in config.rules))
        return Scorecard(fields, config.base_score, rules, _NORMALIZATIONS[config.normalization](config))

    def score(self, table: Fields) -> Scores:
        """Return the scores; rules that read only the customer are evaluated once per customer."""
        by_customer = np.full(table.customers, self._base)
        by_candidate: Floats | None = None
        for rule, test in self._rules:
            column, axis = table.column(rule.field)
            points: Floats = np.where(test(column), rule.points, 0.0)
            if axis is Axis.CUSTOMER:
                by_customer += points
            else:
                by_candidate = points if by_candidate is None else np.add(by_candidate, points)
        raw = by_customer[:, None] if by_candidate is None else by_customer[:, None] + by_candidate
        return Scores(self._normalize(raw), raw)

    def bound(self, candidates: Fields) -> None:
        """Return None: its rules are cheaper than remembering what they say of every candidate."""

    def explain(self, table: Fields, customer: int, candidate: int) -> Explanation:
        """Return one contribution per rule, in the order of the rules."""
        return Explanation(
            self._base,
            tuple(_explained(rule, test, table, customer, candidate) for rule, test in self._rules),
        )


def _explained(rule: ScorecardRule, test: Test, table: Fields, customer: int, candidate: int) -> Contribution:
    column, axis = table.column(rule.field)
    row = np.array([customer if axis is Axis.CUSTOMER else candidate])
    value = column.take(row)
    matched = bool(test(value)[0])
    return Contribution(
        id=rule.id,
        field=rule.field,
        operator=rule.operator,
        value=rule.value,
        actual=value.objects[0],
        matched=matched,
        points=rule.points,
        contribution=rule.points if matched else 0.0,
        description=rule.description,
    )
