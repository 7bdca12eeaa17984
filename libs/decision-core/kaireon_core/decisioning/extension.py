"""The extension points: a formula that masks candidates before the score, replaces it, or masks the ranking."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kaireon_core.column import any_in
from kaireon_core.decisioning.flow import ExtensionPoint
from kaireon_core.decisioning.formulas import FlowFormula
from kaireon_core.decisioning.rank import Ranked
from kaireon_core.decisioning.reasons import LegendBuilder
from kaireon_core.decisioning.state import Stage, State


def compile_pre_score(node: ExtensionPoint, formula: FlowFormula, legend: LegendBuilder) -> Stage:
    """Return the stage that keeps the candidates for which the formula is true."""
    code = _reason(node, legend)

    def apply(state: State) -> None:
        state.drop(~formula.of_candidates(state).is_true(), code)

    return Stage(name=node.config.hook.value, apply=apply, reads=formula.reads, candidate_reads=formula.reads)


def compile_score_override(node: ExtensionPoint, formula: FlowFormula) -> Stage:
    """Return the stage that replaces the score; a candidate whose formula is no number keeps the one it has."""

    def apply(state: State) -> None:
        numbers = formula.of_candidates(state).as_numbers()
        assert state.score is not None  # noqa: S101 - the score stage has run
        state.score = np.where(np.isnan(numbers), state.score, numbers)
        state.is_score_replaced = True

    return Stage(name=node.config.hook.value, apply=apply, reads=formula.reads, candidate_reads=formula.reads)


@dataclass(frozen=True, slots=True, kw_only=True)
class PostRank:
    """Keeps the ranked candidates for which the formula is true."""

    formula: FlowFormula
    code: int

    def keep(self, state: State, ranked: Ranked) -> Ranked:
        """Return the ranking without those that fail; they are explained in `state.reasons`."""
        holds = self.formula.of_rows(state, ranked.customer, ranked.candidate).is_true()
        kept = np.broadcast_to(holds, ranked.customer.shape)
        if any_in(~kept):
            state.reasons[ranked.customer[~kept], ranked.candidate[~kept]] = self.code
        return ranked.only(kept)


def compile_post_rank(node: ExtensionPoint, formula: FlowFormula, legend: LegendBuilder) -> PostRank:
    """Return what masks the ranking."""
    return PostRank(formula=formula, code=_reason(node, legend))


def _reason(node: ExtensionPoint, legend: LegendBuilder) -> int:
    message = f"not so: {node.config.formula}"
    return legend.add(
        "extension_point", message, detail={"hook": node.config.hook.value, "formula": node.config.formula}
    )
