"""The score node: what a candidate is worth, by priority, by a model's propensity, or by the PRIE formula."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from kaireon_core.column import Floats
from kaireon_core.decisioning.candidates import Candidates
from kaireon_core.decisioning.channel_models import with_channel_models
from kaireon_core.decisioning.evidence import DEFAULT_PROPENSITY, compile_evidence
from kaireon_core.decisioning.flow import Score, ScoreConfig
from kaireon_core.decisioning.maturity import with_maturity
from kaireon_core.decisioning.prie import compile_prie
from kaireon_core.decisioning.scorer import asks_of, scorer_of
from kaireon_core.decisioning.state import Stage, State
from kaireon_core.learning.fallback import FallbackReason
from kaireon_core.learning.model import Model


def compile_score(node: Score | None, candidates: Candidates, models: Mapping[str, Model]) -> Stage:
    """Return the stage; a flow without a score node scores by priority.

    A model that is missing from `models` cannot score now: its candidates get the default propensity, and the decision
    says that it is degraded.
    """
    config = node.config if node else ScoreConfig()
    return with_maturity(
        _compile_method(config, candidates, models), config.maturity_ramp, compile_evidence(candidates)
    )


def _compile_method(config: ScoreConfig, candidates: Candidates, models: Mapping[str, Model]) -> Stage:
    if config.method == "priority_weighted":
        return _priority_weighted(candidates)
    if config.model_key is None:
        predict = _by_evidence(config, candidates)
    else:
        predict = _by_model(config, config.model_key, candidates, models.get(config.model_key))
    predict = with_channel_models(predict, config, candidates, models, DEFAULT_PROPENSITY)
    if config.method == "propensity":
        return predict
    prie = compile_prie(config, candidates)

    def apply(state: State) -> None:
        predict.apply(state)
        assert state.propensity is not None  # noqa: S101 - it has just been predicted
        state.score = _times_fit(prie.score(state, state.propensity), state)
        if state.law is not None:
            # The factor of a propensity of 1, and how the formula bends others.
            factor = _times_fit(prie.score(state, np.ones_like(state.propensity)), state)
            state.law = state.law.bent(factor, prie.exponent(state))
        state.is_score_replaced = True

    return replace(predict, apply=apply, needs_contact_totals=prie.needs_contact_totals, history=prie.history)


def _priority_weighted(candidates: Candidates) -> Stage:
    """Score = priority/100 * weight/100 * fit multiplier; without a creative the weight is 100."""
    full = (candidates.priority / 100) * (candidates.weight / 100)
    bare = candidates.priority / 100

    def apply(state: State) -> None:
        base = full if state.bare is None else np.where(state.bare, bare, full)
        state.score = _times_fit(base[None, :], state)

    return Stage(name="score", apply=apply)


def _by_evidence(config: ScoreConfig, candidates: Candidates) -> Stage:
    """Score = propensity * fit multiplier, where no model is named."""
    evidence, floor = compile_evidence(candidates), config.propensity_floor or 0.0

    def apply(state: State) -> None:
        propensity = np.maximum(evidence.propensities(state), floor)
        state.propensity = propensity
        state.score = _times_fit(propensity, state)

    return Stage(name="score", apply=apply, needs_evidence=True)


def _by_model(config: ScoreConfig, key: str, candidates: Candidates, model: Model | None) -> Stage:
    """Score = propensity * fit multiplier; `propensityFloor` raises the propensity and drops nobody."""
    floor = config.propensity_floor or 0.0
    scorer = scorer_of(key, model, candidates) if model else None

    def apply(state: State) -> None:
        shape = (state.table.customers, len(candidates))
        propensity = np.full(shape, DEFAULT_PROPENSITY)
        alive = np.flatnonzero(state.alive.any(axis=0))
        if alive.size and scorer is None:
            state.fall_back(state.alive, FallbackReason.NOT_READY)
        elif alive.size and scorer is not None:
            scored = scorer.scores(state, alive)
            # A candidate that is alive for another customer only is not this customer's: its score stays unasked.
            asked = state.alive.take(alive, axis=1)
            propensity[:, alive] = np.where(asked, scored.values, DEFAULT_PROPENSITY)
            state.note_fallbacks(alive, asked, scored.fallbacks)
            state.note_law(scored.regimes, alive, floor)
        if floor:
            propensity = np.maximum(propensity, floor)
        state.propensity = propensity
        _score_by_propensity(state, propensity)

    if scorer is None:
        return Stage(name="score", apply=apply)
    return Stage(
        name="score",
        apply=apply,
        reads=scorer.reads,
        candidate_reads=scorer.candidate_reads,
        learned=scorer.learned,
        needs_evidence=scorer.needs_evidence,
        asks=asks_of(scorer),
    )


def _score_by_propensity(state: State, propensity: Floats) -> None:
    state.score = _times_fit(propensity, state)
    if state.fit is not None:
        state.scale_law(state.fit)


def _times_fit(score: Floats, state: State) -> Floats:
    return score if state.fit is None else score * state.fit
