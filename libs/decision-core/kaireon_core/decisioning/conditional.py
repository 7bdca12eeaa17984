"""The conditional node: one of two branches for each candidate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from kaireon_core.column import Mask
from kaireon_core.decisioning.candidates import Candidates
from kaireon_core.decisioning.conditions import Holding
from kaireon_core.decisioning.filtering import compile_conditions, customer_names
from kaireon_core.decisioning.flow import Conditional
from kaireon_core.decisioning.history_needs import HistoryNeeds
from kaireon_core.decisioning.state import Asks, Stage, StagePart, State


def compile_conditional(
    node: Conditional, candidates: Candidates, then: Sequence[Stage], otherwise: Sequence[Stage]
) -> Stage:
    """Return the stage that runs `then` where the condition holds and `otherwise` elsewhere."""
    condition = node.config.condition
    holds = compile_conditions(condition, candidates)
    branches: list[tuple[Holding, Sequence[Stage]]] = [(holds, then), (lambda state: ~holds(state), otherwise)]

    def apply(state: State) -> None:
        alive, outer = state.alive, state.within
        masks = [np.broadcast_to(mask(state), alive.shape) for mask, _ in branches]
        kept = np.zeros_like(alive)
        for mask, (_, stages) in zip(masks, branches, strict=True):
            state.alive = alive & mask
            state.within = mask if outer is None else outer & mask
            for stage in stages:
                stage.apply(state)
            kept |= state.alive
        state.alive, state.within = kept, outer

    inner = [_inside(stage, mask) for mask, stages in branches for stage in stages]
    return Stage(
        name="conditional",
        apply=apply,
        asks=_asks(branches),
        reads=[*customer_names(condition), *(name for stage in inner for name in stage.reads)],
        candidate_reads=[name for stage in inner for name in stage.candidate_reads],
        shared_codes=[code for stage in inner for code in stage.shared_codes],
        contact_window_ms=max((stage.contact_window_ms for stage in inner), default=0),
        needs_contact_totals=any(stage.needs_contact_totals for stage in inner),
        history=HistoryNeeds.union(stage.history for stage in inner),
        needs_evidence=any(stage.needs_evidence for stage in inner),
        learned=[one for stage in inner for one in stage.learned],
        inner=[one for stage in inner for one in (stage, *stage.inner)],
    )


def _asks(branches: Sequence[tuple[Holding, Sequence[Stage]]]) -> Asks | None:
    """Return how to tell what the branches must have fetched, each for its own candidates."""
    asking = [(mask, stage.asks) for mask, stages in branches for stage in stages if stage.asks]
    if not asking:
        return None
    return lambda state, alive: [need for mask, ask in asking for need in ask(state, alive & mask(state))]


def _inside(stage: Stage, mask: Holding) -> Stage:
    """Return the stage as explanations see it: its rules and policies cover nothing outside the branch."""
    parts = [replace(part, covered=_covered_inside(part, mask)) for part in stage.parts]
    return replace(stage, parts=parts, inner=[_inside(one, mask) for one in stage.inner])


def _covered_inside(part: StagePart, mask: Holding) -> Callable[[State], Mask]:
    return lambda state: part.covered(state) & mask(state)
