"""The optimize node: objectives, each brought to [0, 1] over a customer's candidates, become one composite score.

    z = (x - min) / (max - min) over the candidates that reach the node, 1 where all are alike
    w = weight / sum of weights

    weighted_sum: sum of w * z
    tchebycheff: 1 - max of w * (1 - z), by the objective that is furthest from its best

docs/reference/ranking-profiles.md gives each objective's x.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kaireon_core.catalog.document import Document
from kaireon_core.column import Floats
from kaireon_core.decisioning.calendar import DAY_MS
from kaireon_core.decisioning.candidates import Candidates, Indices
from kaireon_core.decisioning.flow import Optimize, ScoreConfig
from kaireon_core.decisioning.flow_parts import OptimizeConfig
from kaireon_core.decisioning.history_needs import HistoryNeeds
from kaireon_core.decisioning.objectives import Objective
from kaireon_core.decisioning.prie import Prie, compile_prie
from kaireon_core.decisioning.rank import DECIMALS
from kaireon_core.decisioning.reasons import LegendBuilder
from kaireon_core.decisioning.state import Stage, State
from kaireon_core.decisioning.strategy import named

# The objectives that are a number of the offer, and what stands for a missing one.
_FIELDS = {
    Objective.IMPACT: ("businessValue", 50.0),
    Objective.REVENUE: ("revenueValue", 0.0),
    Objective.MARGIN: ("margin", 0.0),
}
_ENGAGEMENT_MS = 90 * DAY_MS
_ASK_CONTACTS = {Objective.RELEVANCE, Objective.RECENCY, Objective.FATIGUE, Objective.FAIRNESS}


def compile_optimize(node: Optimize, candidates: Candidates, legend: LegendBuilder) -> Stage:
    """Return the stage; without weights (their profile is gone) every candidate keeps its score."""
    config = node.config
    weights = _weights(config, candidates.catalogue.ranking_profiles)
    values = _Values.of(candidates, weights)
    code = None
    if config.floor is not None:
        code = legend.add("floor", f"the composite score is below {config.floor:g}", detail={"floor": config.floor})

    def apply(state: State) -> None:
        if not weights:
            return
        state.score = _COMPOSITES[config.method](
            [(weight, _normalised(values.of_objective(one, state), state)) for one, weight in weights.items()]
        )
        state.is_score_replaced = True
        if code is not None and config.floor is not None:
            is_low = state.score.round(DECIMALS) < config.floor
            state.drop(is_low if state.mandatory is None else is_low & ~state.mandatory, code)

    needs = [HistoryNeeds(outcome_window_ms=_ENGAGEMENT_MS)] if Objective.ENGAGEMENT in weights else []
    needs += [values.prie.of_relevance] if Objective.RELEVANCE in weights else []
    return Stage(
        name="optimize",
        apply=apply,
        needs_contact_totals=not _ASK_CONTACTS.isdisjoint(weights),
        history=HistoryNeeds.union(needs),
    )


def _weights(config: OptimizeConfig, profiles: Sequence[Document]) -> dict[Objective, float]:
    """Return the weights above 0, which sum to 1, in the order of the objectives."""
    profile = named(config.profile_key, profiles)
    given: Mapping[str, float] = config.weights or (profile.body.get("weights") or {} if profile else {})
    weights = {one: float(given.get(one, 0.0)) for one in Objective}
    total = sum(weights.values())
    return {one: weight / total for one, weight in weights.items() if weight > 0}


def _normalised(values: Floats, state: State) -> Floats:
    """Return values as places between the least and the greatest of each customer's candidates, (B, C)."""
    halves = np.broadcast_to(values / 2, state.alive.shape)  # of halves no difference overflows
    least = np.where(state.alive, halves, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    most = np.where(state.alive, halves, -np.inf).max(axis=1, keepdims=True, initial=-np.inf)
    span = most - least
    places = np.ones(state.alive.shape)
    np.divide(halves - least, span, out=places, where=state.alive & (span > 0))
    return places


def _weighted_sum(parts: Sequence[tuple[float, Floats]]) -> Floats:
    total = np.zeros_like(parts[0][1])
    for weight, places in parts:
        total = total + weight * places
    return total


def _tchebycheff(parts: Sequence[tuple[float, Floats]]) -> Floats:
    furthest = np.zeros_like(parts[0][1])
    for weight, places in parts:
        furthest = np.maximum(furthest, weight * (1 - places))
    return 1 - furthest


_COMPOSITES: dict[str, Callable[[Sequence[tuple[float, Floats]]], Floats]] = {
    "weighted_sum": _weighted_sum,
    "tchebycheff": _tchebycheff,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Values:
    """What each objective is for the candidates of a flow; `category` (offers + 1,) is 0 for none, `fields` (1, C)."""

    candidates: Candidates
    prie: Prie
    category: Indices
    fields: Mapping[Objective, Floats]

    @staticmethod
    def of(candidates: Candidates, weights: Container[Objective]) -> _Values:
        category = np.zeros(len(candidates.catalogue.offers) + 1, np.int64)
        category[candidates.offer] = candidates.category
        return _Values(
            candidates=candidates,
            prie=compile_prie(ScoreConfig(), candidates),
            category=category,
            fields={one: _field(candidates, *field) for one, field in _FIELDS.items() if one in weights},
        )

    def of_objective(self, objective: Objective, state: State) -> Floats:
        """Return the values of an objective, in a shape that goes with (B, C)."""
        return self.fields[objective] if objective in self.fields else _OBJECTIVES[objective](self, state)

    def score(self, state: State) -> Floats:
        assert state.score is not None  # noqa: S101 - the score stage has run
        return state.score

    def propensity(self, state: State) -> Floats:
        return self.score(state) if state.propensity is None else state.propensity

    def diversity(self, state: State) -> Floats:
        """Return 1 / (candidates of its category)."""
        customer, candidate = np.nonzero(state.alive)
        category = self.candidates.category
        counts = _counts(customer, category[candidate], None, state.table.customers, len(self.category))
        return 1 / np.maximum(counts[:, category], 1)

    def engagement(self, state: State) -> Floats:
        """Return n / (1 + n) for n responses to offers of its category in the last 90 days."""
        outcomes = state.contacts.outcomes
        is_recent = outcomes.at_ms > state.request.now_ms - _ENGAGEMENT_MS
        counted = outcomes.is_response & is_recent & (outcomes.offer >= 0)
        customer, category = outcomes.customer[counted], self.category[outcomes.offer[counted]]
        responses = _counts(customer, category, None, state.table.customers, len(self.category))
        mine = responses[:, self.candidates.category]
        return mine / (1 + mine)

    def fatigue(self, state: State) -> Floats:
        """1 / (1 + contacts with the offer)."""
        totals = state.contacts.totals
        known = totals.offer >= 0
        counts = _counts(
            totals.customer[known], totals.offer[known], totals.count[known], state.table.customers, len(self.category)
        )
        return 1 / (1 + counts[:, self.candidates.offer])

    def fairness(self, state: State) -> Floats:
        """1 - the share of the customer's contacts that offers of its category had, 1 without any contact."""
        totals, customers = state.contacts.totals, state.table.customers
        known = totals.offer >= 0
        category = self.category[totals.offer[known]]
        counts = _counts(totals.customer[known], category, totals.count[known], customers, len(self.category))
        everything = np.bincount(totals.customer, totals.count, customers)[:, None]
        return 1 - counts[:, self.candidates.category] / np.maximum(everything, 1)


def _field(candidates: Candidates, name: str, default: float) -> Floats:
    """Return a number of each candidate's offer, (1, C)."""
    found = [offer.body.get(name) for offer in candidates.catalogue.offers]
    return np.array([default if one is None else float(one) for one in found])[candidates.offer][None, :]


def _counts(row: Indices, column: Indices, weights: Indices | None, rows: int, columns: int) -> Floats:
    """Return how many, or how much weight, there is of each (row, column)."""
    return np.bincount(row * columns + column, weights, rows * columns).reshape(rows, columns).astype(np.float64)


_OBJECTIVES: dict[Objective, Callable[[_Values, State], Floats]] = {
    Objective.PROPENSITY: _Values.propensity,
    Objective.RELEVANCE: lambda values, state: values.prie.relevance(state),
    Objective.EMPHASIS: lambda values, _state: values.candidates.priority[None, :],
    Objective.DIVERSITY: _Values.diversity,
    Objective.CLV: lambda values, state: values.prie.lift.clv(state),
    Objective.UPLIFT: lambda values, state: values.prie.lift.uplift(state),
    Objective.ENGAGEMENT: _Values.engagement,
    Objective.CONVERSION: _Values.score,
    Objective.RECENCY: lambda values, state: values.prie.recency(state),
    Objective.FAIRNESS: _Values.fairness,
    Objective.FATIGUE: _Values.fatigue,
}
