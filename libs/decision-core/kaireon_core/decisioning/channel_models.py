"""Models per channel: a score node's `overrides` ask another model about the candidates of a channel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kaireon_core.column import Floats, Mask, any_in
from kaireon_core.decisioning.candidates import Candidates
from kaireon_core.decisioning.external import ScoreNeed
from kaireon_core.decisioning.flow import ScoreConfig
from kaireon_core.decisioning.scorer import Scorer, asks_of, scorer_of
from kaireon_core.decisioning.state import Asks, Stage, State
from kaireon_core.learning.fallback import FallbackReason
from kaireon_core.learning.model import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class _ChannelModel:
    """A model and the candidates that it scores, (C,); no scorer while it cannot score."""

    covered: Mask
    scorer: Scorer | None

    def mine(self, state: State, alive: Mask) -> Mask:
        """Return which of those alive it scores, (B, C); offers that stand alone are on no channel."""
        return alive & (self.covered if state.bare is None else self.covered & ~state.bare)

    def predict(self, state: State, alive: Mask, propensity: Floats, default: float, floor: float) -> None:
        """Write the propensities of its candidates."""
        mine = self.mine(state, alive)
        rows = np.flatnonzero(mine.any(axis=0))
        if not rows.size:
            return
        if self.scorer is None:
            state.fall_back(mine, FallbackReason.NOT_READY)
            propensity[mine] = default
            return
        scored, asked = self.scorer.scores(state, rows), mine[:, rows]
        propensity[:, rows] = np.where(asked, scored.values, propensity[:, rows])
        state.note_fallbacks(rows, asked, scored.fallbacks)
        state.note_law(scored.regimes, rows, floor)


def with_channel_models(
    predict: Stage, config: ScoreConfig, candidates: Candidates, models: Mapping[str, Model], default: float
) -> Stage:
    """Return the stage that predicts with the channels' models where `overrides` name one, else as `predict` does.

    The first override of a channel counts; `default` is the propensity of a model that cannot score.
    """
    if not config.overrides:
        return predict
    parts = _parts(config, candidates, models)
    covered = np.logical_or.reduce([part.covered for part in parts])
    floor = config.propensity_floor or 0.0

    def apply(state: State) -> None:
        alive = state.alive
        others = covered if state.bare is None else covered & ~state.bare
        # Only what the node's own model is asked about can make it a degraded decision.
        state.alive = alive & ~others
        predict.apply(state)
        state.alive = alive
        assert state.propensity is not None  # noqa: S101 - it has just been predicted
        propensity = np.array(np.broadcast_to(state.propensity, alive.shape))
        for part in parts:
            if any_in(part.covered):
                part.predict(state, alive, propensity, default, floor)
        # Without a floor nothing is raised: what is below 0 passes.
        state.propensity = np.maximum(propensity, floor) if floor else propensity
        state.score = state.propensity if state.fit is None else state.propensity * state.fit
        if state.law is not None:
            state.law = state.law.anew(state.fit)

    scorers = [part.scorer for part in parts if part.scorer]
    return replace(
        predict,
        apply=apply,
        asks=_asks(predict, parts, covered),
        reads=[*predict.reads, *(name for scorer in scorers for name in scorer.reads)],
        candidate_reads=[*predict.candidate_reads, *(name for scorer in scorers for name in scorer.candidate_reads)],
        learned=[*predict.learned, *(one for scorer in scorers for one in scorer.learned)],
        needs_evidence=predict.needs_evidence or any(scorer.needs_evidence for scorer in scorers),
    )


def _asks(predict: Stage, parts: Sequence[_ChannelModel], covered: Mask) -> Asks | None:
    """Return how to tell what must be fetched for the node's own model and those of the channels."""
    asking = [(part, ask) for part in parts if (ask := asks_of(part.scorer))]
    if predict.asks is None and not asking:
        return None

    def asks(state: State, alive: Mask) -> list[ScoreNeed]:
        others = covered if state.bare is None else covered & ~state.bare
        needs = predict.asks(state, alive & ~others) if predict.asks else []
        return needs + [need for part, ask in asking for need in ask(state, part.mine(state, alive))]

    return asks


def _parts(config: ScoreConfig, candidates: Candidates, models: Mapping[str, Model]) -> list[_ChannelModel]:
    parts = list[_ChannelModel]()
    for key, covered in covered_by_overrides(config, candidates):
        model = models.get(key)
        parts.append(_ChannelModel(covered=covered, scorer=scorer_of(key, model, candidates) if model else None))
    return parts


def covered_by_overrides(config: ScoreConfig, candidates: Candidates) -> Iterator[tuple[str, Mask]]:
    """Yield each override's model key and its candidates, (C,): those of its channel, unless an earlier one has it."""
    taken = np.zeros(len(candidates), np.bool_)
    for override in config.overrides:
        channels = [override.channel_id in (one.id, one.key) for one in candidates.catalogue.channels]
        covered = np.array([*channels, False], np.bool_)[candidates.channel] & ~taken
        taken |= covered
        yield override.model_key, covered
