"""Deciding: a compiled flow and the facts of some customers in, a decision and its reasons out. Pure.

A flow that asks services is decided in steps: `start` says which scores it needs, and goes on once it is given them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from kaireon_core.catalog.document import Document
from kaireon_core.column import Floats, Mask
from kaireon_core.decisioning.cells import Cell, Cells
from kaireon_core.decisioning.compile import CompiledFlow
from kaireon_core.decisioning.contacts import Contacts
from kaireon_core.decisioning.counters import Counters
from kaireon_core.decisioning.coupling import couple
from kaireon_core.decisioning.coverage import Segments
from kaireon_core.decisioning.external import ExternalScores, Fetched, ScoreNeed, merged
from kaireon_core.decisioning.fill import Filled
from kaireon_core.decisioning.output import Properties
from kaireon_core.decisioning.rank import Indices, Ranked
from kaireon_core.decisioning.reasons import Reasons, StageCount, funnel, is_scored
from kaireon_core.decisioning.request import DecisionRequest
from kaireon_core.decisioning.scorer import asks_of
from kaireon_core.decisioning.shadows import ShadowResults, shadow_results
from kaireon_core.decisioning.state import State, Ticks
from kaireon_core.learning.fallback import Fallbacks
from kaireon_core.learning.learned import Learned
from kaireon_core.table import CustomerFacts, Table

_NO_OFFERS: Mapping[str, int] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that is known of the B customers of one decision.

    `seeds` are where their chance comes from, from 0 to 2^64 - 1; without any, all are 0.
    """

    customers: Sequence[CustomerFacts]
    segments: Segments
    contacts: Contacts
    seeds: Sequence[int] = ()
    # What is counted over all customers; None: nothing has happened yet.
    counters: Counters | None = None
    # For whom the shadows score too, (B,); None: for nobody.
    shadowed: Mask | None = None
    # What responses have taught the models that the flow asks, by model id.
    learned: Mapping[str, Learned] = field(default_factory=dict[str, Learned])
    # What services have said for each customer, by model key; without any, nobody has asked.
    fetched: Sequence[Fetched] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """What was decided for B customers over C candidates.

    `picks` are each customer's candidates in rank order. `reasons` int16 (B, C) says why every other one is not among
    them, `scored` (B, C) who reached the score stage. `score` and `propensity` broadcast to (B, C); propensity is None
    where no model was asked.
    `properties` are those of the picks, None for a flow without output nodes; `stages_ms` is filled when a clock was
    given.
    """

    picks: list[Indices]
    reasons: Reasons
    scored: Mask
    score: Floats
    propensity: Floats | None
    fit: Floats | None
    bare: Mask | None
    # Which candidates were mandatory, (C,).
    mandatory: Mask | None
    # Why a candidate's propensity stands in for one of its model, (B, C); None where none does.
    fallbacks: Fallbacks | None
    # With which probability each pick was put at its rank, NaN where that is not known; None where nothing was drawn.
    probabilities: list[Floats] | None
    # With several placements: where each pick goes, and which channels (places in the catalogue) were emptied.
    placed: list[list[Cell]] | None
    emptied: list[list[int]] | None
    # What was counted over all customers then.
    counters: Counters
    # What responses had taught the models, by model id.
    learned: Mapping[str, Learned]
    # The guardrails, and for whom each does not hold, (B,).
    guardrails: list[tuple[Document, Mask]]
    # Whether a formula stands for the score: it does not follow from propensity and fit.
    is_score_replaced: bool
    properties: Properties | None
    # What the shadows say; None where nobody was to know.
    shadows: ShadowResults | None
    stages_ms: dict[str, float]

    @property
    def degraded(self) -> Mask:
        """For whom a model could not score every candidate, (B,)."""
        if self.fallbacks is None:
            return np.zeros(len(self.picks), np.bool_)
        return np.any(self.fallbacks, axis=1)

    def funnel(self, flow: CompiledFlow, customer: int = 0) -> list[StageCount]:
        """Return how many candidates entered and left each stage for one customer."""
        return funnel(flow.spans, self.reasons[customer])


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedScores:
    """The decisions cannot go on before services have scored offers; `resume` goes on, once."""

    needs: Sequence[ScoreNeed]
    # Of shadows: nobody waits for these.
    shadows: Sequence[ScoreNeed]
    _run: _Run

    def resume(self, fetched: Sequence[Fetched]) -> Decisions | NeedScores:
        """Return what comes next, each customer's scores given; what is not among them gets its model's fallback."""
        for customer, by_model in enumerate(fetched):
            for model_key, found in by_model.items():
                self._run.state.external.add(model_key, customer, found)
        self._run.step()
        return _advance(self._run)


def decide(flow: CompiledFlow, request: DecisionRequest, facts: Facts, ticks: Ticks | None = None) -> Decisions:
    """Return the decisions. The same arguments give the same bytes; `ticks` (ms) only measures the stages.

    Scores of services are those among the facts, and never asked for.
    """
    decided = start(flow, request, facts, ticks)
    while isinstance(decided, NeedScores):
        decided = decided.resume(())
    return decided


def start(
    flow: CompiledFlow, request: DecisionRequest, facts: Facts, ticks: Ticks | None = None
) -> Decisions | NeedScores:
    """Return the decisions, or what must be fetched for them and is not among the facts."""
    cells = flow.placing.cells(request)
    state = begin(flow, request, facts)
    state.repeats = 1 if cells is None or cells.is_unique else len(cells.cells)
    return _advance(_Run(flow=flow, state=state, cells=cells, shadowed=facts.shadowed, watch=_Watch(ticks)))


@dataclass(slots=True, kw_only=True)
class _Run:
    """Decisions on their way; `done` stages have been applied."""

    flow: CompiledFlow
    state: State
    cells: Cells | None
    shadowed: Mask | None
    watch: _Watch
    done: int = 0

    def step(self) -> None:
        """Apply the next stage."""
        stage = self.flow.every_stage[self.done]
        stage.apply(self.state)
        self.watch.lap(stage.name)
        self.done += 1


def _advance(run: _Run) -> Decisions | NeedScores:
    state, stages = run.state, run.flow.every_stage
    while run.done < len(stages):
        asks = stages[run.done].asks
        needs = [] if asks is None else merged(asks(state, state.alive))
        shadows = _shadow_needs(run) if run.done == len(run.flow.stages) else []
        if needs or shadows:
            return NeedScores(needs=needs, shadows=shadows, _run=run)
        run.step()
    return _finish(run)


def _shadow_needs(run: _Run) -> list[ScoreNeed]:
    """Return what shadows that are services must score, of what the active model is about to score."""
    if run.shadowed is None or not run.flow.calls_out:
        return []
    alive = run.state.alive & run.shadowed[:, None]
    asking = [ask for shadow in run.flow.shadows if (ask := asks_of(shadow.scorer))]
    return merged(need for ask in asking for need in ask(run.state, alive))


def _finish(run: _Run) -> Decisions:
    """Rank what was scored and fill the answers."""
    flow, state, cells, watch = run.flow, run.state, run.cells, run.watch
    ranked = flow.ranker.rank(state, cells)
    for mask in flow.post_rank:
        ranked = mask.keep(state, ranked)
    filled, emptied = flow.filler.fill(state, ranked, _limit(flow, state.request), cells), None
    if cells is not None:
        filled, emptied = couple(state, flow.placing, cells, filled)
    watch.lap("rank")
    assert state.score is not None  # noqa: S101 - the score stage has run
    scored = is_scored(flow.spans, state.reasons)
    return Decisions(
        picks=filled.picks,
        reasons=state.reasons,
        scored=scored,
        score=state.score,
        propensity=state.propensity,
        fit=state.fit,
        bare=state.bare,
        mandatory=state.mandatory,
        fallbacks=state.fallbacks,
        probabilities=_probabilities(flow, state, ranked, filled),
        placed=None if filled.cells is None or cells is None else _placed(cells, filled.cells),
        emptied=emptied,
        counters=state.counters,
        learned=state.learned,
        guardrails=state.guardrails,
        is_score_replaced=state.is_score_replaced,
        properties=flow.output.write(state, filled.picks),
        # Last, when there is nothing left that they could change.
        shadows=None if run.shadowed is None else shadow_results(flow.shadows, state, scored, run.shadowed),
        stages_ms=watch.laps,
    )


def _probabilities(flow: CompiledFlow, state: State, ranked: Ranked, filled: Filled) -> list[Floats] | None:
    if state.law is None:
        return filled.probabilities
    return flow.chances.of(state, ranked, filled.picks, has_cells=filled.cells is not None)


def _placed(cells: Cells, taken: Sequence[Indices]) -> list[list[Cell]]:
    return [[cells.cells[place] for place in mine.tolist()] for mine in taken]


def begin(flow: CompiledFlow, request: DecisionRequest, facts: Facts) -> State:
    """Return the state before the first stage: every candidate is alive."""
    customers, candidates = len(facts.customers), len(flow.candidates)
    return State(
        request=request,
        zone=flow.zone,
        candidates=flow.candidates,
        table=Table.of(facts.customers, flow.candidate_columns, candidates, flow.reads),
        segments=facts.segments,
        contacts=facts.contacts,
        seeds=np.array(facts.seeds or np.zeros(customers), np.uint64),
        counters=facts.counters or flow.nothing_counted,
        learned=facts.learned,
        external=ExternalScores(facts.fetched, customers, flow.offer_index if flow.calls_out else _NO_OFFERS),
        mandatory=flow.mandatory.at(request.now_ms) if flow.mandatory else None,
        alive=np.ones((customers, candidates), np.bool_),
        reasons=np.zeros((customers, candidates), np.int16),
    )


def _limit(flow: CompiledFlow, request: DecisionRequest) -> int:
    """Return how many offers may be answered: the smallest of request, rank node and tenant."""
    limit = min(request.limit, flow.max_offers)
    return limit if flow.ranker.max_candidates is None else min(limit, flow.ranker.max_candidates)


class _Watch:
    """Adds up the milliseconds of each stage, when there is a clock."""

    def __init__(self, ticks: Ticks | None) -> None:
        self._ticks = ticks
        self._last = ticks() if ticks else 0.0
        self.laps: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        if self._ticks is None:
            return
        now = self._ticks()
        self.laps[stage] = self.laps.get(stage, 0.0) + now - self._last
        self._last = now
