"""Selection probabilities of drawn scores: how likely each offer was at its rank, given those at the ranks before.

The ranking is that of independent scores (`kaireon_core.learning.contest`). P(rank r | ranks before) is the probability
of the answer so far over that of the answer one shorter. Whoever was admissible at a rank and was not chosen scores
less than who was: also those who leave with it, because a limit is reached, their category is full, or had its turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import betaincinv

from kaireon_core.column import Floats, row_of
from kaireon_core.decisioning.answer_order import AnswerOrder, Limit, arranged_order, ranked_order
from kaireon_core.decisioning.candidates import Candidates, Indices
from kaireon_core.decisioning.flow import AnyNode, ExtensionPoint, Optimize, Rank, RankConfig
from kaireon_core.decisioning.flow_parts import Hook
from kaireon_core.decisioning.formulas import FlowFormula
from kaireon_core.decisioning.guardrails import active_guardrails, is_hard
from kaireon_core.decisioning.rank import Ranked
from kaireon_core.decisioning.score_law import ScoreLaw
from kaireon_core.decisioning.state import State
from kaireon_core.learning.bandit import Regime
from kaireon_core.learning.contest import Contest
from kaireon_core.learning.score_axis import score_axis
from kaireon_core.learning.score_laws import Laws

# What this much of a law's mass lies below is never ahead of it.
_TAIL = 1e-15


@dataclass(frozen=True, slots=True, kw_only=True)
class Chances:
    """The ranking of a flow; `is_exact` unless something looks at scores whose law is not worked out."""

    candidates: Candidates
    config: RankConfig
    is_exact: bool

    def of(self, state: State, ranked: Ranked, picks: Sequence[Indices], *, has_cells: bool) -> list[Floats]:
        """Return for each customer the probability of each pick at its rank, NaN where it is not known."""
        law = state.law
        assert law is not None  # noqa: S101 - asked only where scores were drawn
        if has_cells or not self.is_exact or law.regimes is None or not self._is_shared(state, law):
            return [np.full(len(mine), np.nan) for mine in picks]
        starts = np.searchsorted(ranked.customer, np.arange(len(picks) + 1))
        return [
            self._of_customer(state, law.regimes, law, customer, ranked.candidate[start:end], mine)
            for customer, (start, end, mine) in enumerate(zip(starts[:-1], starts[1:], picks, strict=True))
        ]

    def _is_shared(self, state: State, law: ScoreLaw) -> bool:
        """Whether all candidates of an offer are drawn alike, so that the best stands for it whatever is drawn."""
        alive = np.flatnonzero(state.alive.any(axis=0))
        shape = len(self.candidates)
        exponent = np.broadcast_to(law.exponent, (shape,))[alive]
        offers = self.candidates.offer[alive]
        kinds = np.unique(np.column_stack((offers, law.drawn[alive], exponent)), axis=0)
        return len(kinds) == len(np.unique(offers))

    def _of_customer(
        self,
        state: State,
        regimes: Sequence[Regime],
        law: ScoreLaw,
        customer: int,
        ranked: Indices,
        picks: Indices,
    ) -> Floats:
        is_first = np.zeros(len(self.candidates), np.bool_) if state.mandatory is None else state.mandatory
        must, drawn = int(np.count_nonzero(is_first[picks])), picks[~is_first[picks]]
        rows = ranked[~is_first[ranked]]
        chances = np.ones(len(picks))
        order = self._order(state, customer, rows, drawn, picks[:must])
        if order is None:
            chances[must:] = np.nan
        elif law.drawn[rows].any():
            parts = [one.chance * self._joint(state, one, law, customer, rows, order) for one in regimes]
            joint = np.sum(parts, axis=0)
            before = np.concatenate(([1.0], joint[:-1]))
            ratio = np.divide(joint, before, out=np.full(len(joint), np.nan), where=before > 0)
            chances[must:] = np.clip(ratio, 0.0, 1.0)
        return chances

    def _order(self, state: State, customer: int, rows: Indices, picks: Indices, must: Indices) -> AnswerOrder | None:
        """Return who was admissible when, None where limits meet a ranking that is not by score alone."""
        places = {candidate: place for place, candidate in enumerate(rows.tolist())}
        chosen = [places[candidate] for candidate in picks.tolist()]
        left = list[Limit]()
        for one in state.shared_limits:
            binding, counting = row_of(one.binding, customer), row_of(one.counting, customer)
            left.append((binding[rows], counting[rows], int(one.remaining[customer]) - int(counting[must].sum())))
        if self.config.method == "topN":
            return ranked_order(len(rows), chosen, left)
        if any(binding.any() and remaining < len(picks) for binding, _, remaining in left):
            return None
        return arranged_order(self.config, self.candidates.category[rows].tolist(), chosen)

    def _joint(
        self, state: State, regime: Regime, law: ScoreLaw, customer: int, rows: Indices, order: AnswerOrder
    ) -> Floats:
        """Return the probability of every beginning of the answer."""
        laws = self._laws(state, regime, law, customer, rows)
        columns, kind = np.unique(laws.columns(), axis=1, return_inverse=True)
        kinds = Laws.from_columns(columns)
        axis = score_axis(kinds, _lowest(laws, len(order.picks)) if order.is_by_score else 0.0)
        return order.joint(Contest(axis=axis, kind=kind.reshape(-1).tolist()))

    def _laws(self, state: State, regime: Regime, law: ScoreLaw, customer: int, rows: Indices) -> Laws:
        assert state.score is not None  # noqa: S101 - the score stage has run
        count = len(self.candidates)
        scale = row_of(np.broadcast_to(law.scale, (len(law.scale), count)), customer)[rows]
        exponent = np.broadcast_to(law.exponent, (count,))[rows]
        sure = np.maximum(regime.sure[rows], law.floor) if law.floor else regime.sure[rows]
        held = np.clip(sure, 0.0, 1.0) if law.is_held else sure
        drawn = law.drawn[rows]
        certain = scale * (held**exponent if law.is_held else held)
        return Laws.of(
            alpha=np.where(drawn, regime.alpha[rows], 0.0),
            beta=regime.beta[rows],
            scale=scale,
            exponent=exponent,
            floor=law.floor,
            sure=np.where(drawn, certain, row_of(state.score, customer)[rows]),
            tie=-self.candidates.tie_rank[rows].astype(np.float64),
        )


def compile_chances(nodes: Sequence[AnyNode], candidates: Candidates) -> Chances:
    """Return what tells the selection probabilities of a flow whose scores are drawn."""
    config = next((node.config for node in nodes if isinstance(node, Rank)), RankConfig())
    return Chances(
        candidates=candidates,
        config=config,
        is_exact=config.method != "explore"
        and not any(_looks_at_scores(node) for node in nodes)
        and not any(_asks_scores(one.body["expressionAst"]) for one in active_guardrails(candidates) if is_hard(one)),
    )


def _looks_at_scores(node: AnyNode) -> bool:
    """Whether a node makes another score of scores, or drops candidates by them."""
    if isinstance(node, Optimize):
        return True
    if not isinstance(node, ExtensionPoint) or node.config.formula is None:
        return False
    is_mask = node.config.hook is Hook.POST_RANK
    names = FlowFormula.of(node.config.formula).formula.names
    return node.config.hook is Hook.SCORE_OVERRIDE or (is_mask and not {"score", "propensity"}.isdisjoint(names))


def _asks_scores(expression: dict[str, Any]) -> bool:
    """Whether an expression over the candidates has a metric of their scores in it."""
    inner = [*expression.get("all", ()), *expression.get("any", ()), *filter(None, [expression.get("not")])]
    return str(expression.get("metric", "")).endswith("Score") or any(map(_asks_scores, inner))


def _lowest(laws: Laws, picks: int) -> float:
    """Return a score below which nobody is chosen: someone of those left is above it, whoever is chosen before."""
    if len(laws.alpha) <= picks:
        return 0.0
    drawn = laws.is_drawn
    tails = laws.scale * betaincinv(np.where(drawn, laws.alpha, 1.0), laws.beta, _TAIL) ** laws.exponent
    lows = np.where(drawn, np.maximum(tails, laws.least), laws.least)
    return max(float(np.sort(lows)[::-1][picks]), 0.0)
