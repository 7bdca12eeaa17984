"""What a decision is made of while it is being made: B customers, C candidates, and what is known of them so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from kaireon_core.catalog.document import Document
from kaireon_core.column import Floats, Mask, any_in
from kaireon_core.decisioning.calendar import Period, period_start_ms
from kaireon_core.decisioning.candidates import Candidates, Indices
from kaireon_core.decisioning.contacts import Contacts
from kaireon_core.decisioning.counters import Counters
from kaireon_core.decisioning.coverage import Coverage, Segments
from kaireon_core.decisioning.external import ExternalScores, ScoreNeed
from kaireon_core.decisioning.history_needs import NOTHING, HistoryNeeds
from kaireon_core.decisioning.reasons import Reasons
from kaireon_core.decisioning.request import DecisionRequest
from kaireon_core.decisioning.score_law import ScoreLaw
from kaireon_core.learning.bandit import Regime
from kaireon_core.learning.fallback import FallbackReason, Fallbacks
from kaireon_core.learning.learned import Learned, LearnerReference
from kaireon_core.table import Table

# Milliseconds per stage, and what measures them: the core has no clock of its own.
Ticks: TypeAlias = Callable[[], float]


@dataclass(slots=True, kw_only=True)
class SharedLimit:
    """What the candidates of one answer share: how many more may be taken by each customer, shape (B,).

    `binding` and `counting` are (B, C) or (1, C): which candidates it may keep out, and which take from it.
    """

    binding: Mask
    counting: Mask
    remaining: NDArray[np.int64]
    code: int


@dataclass(slots=True, kw_only=True)
class State:
    """Arrays over (B, C), or (1, C) where all customers agree; stages narrow `alive` and explain it in `reasons`."""

    request: DecisionRequest
    zone: ZoneInfo
    candidates: Candidates
    table: Table
    segments: Segments
    contacts: Contacts
    # Where each customer's chance comes from, (B,); see `kaireon_core.decisioning.draws`.
    seeds: NDArray[np.uint64]
    counters: Counters
    # What responses have taught the models that the flow asks, by model id.
    learned: Mapping[str, Learned]
    alive: Mask
    reasons: Reasons
    # What models that are services said; nothing for a flow that asks none.
    external: ExternalScores
    # Why a candidate's propensity stands in for one of its model, (B, C); None while all are the models' own.
    fallbacks: Fallbacks | None = None
    # Which candidates are mandatory now, (C,); None when none is.
    mandatory: Mask | None = None
    # Offers kept although none of their creatives matched, (C,): they stand alone, without channel or placement.
    bare: Mask | None = None
    fit: Floats | None = None
    propensity: Floats | None = None
    score: Floats | None = None
    # What the scores were drawn from; None where nothing was drawn.
    law: ScoreLaw | None = None
    # Whether a formula stands for the score: it does not follow from propensity and fit any more.
    is_score_replaced: bool = False
    # How often an offer may stand in one answer: once in each of its placements, unless it is unique.
    repeats: int = 1
    # Inside a branch, (B, C): the candidates that it is for.
    within: Mask | None = None
    # The guardrails, and for whom each does not hold, (B,).
    guardrails: list[tuple[Document, Mask]] = field(default_factory=list[tuple[Document, Mask]])
    shared_limits: list[SharedLimit] = field(default_factory=list[SharedLimit])

    def period_start_ms(self, period: Period) -> int:
        """Return when the day, week or month of this decision began."""
        return period_start_ms(period, self.request.now_ms, self.zone)

    def drop(self, failing: Mask, code: int) -> None:
        """Drop the candidates that are alive where `failing` (broadcastable to (B, C)), for this reason."""
        dropped = self.alive & failing
        if any_in(dropped):
            self.reasons[dropped] = code
            self.alive &= ~dropped

    def note_law(self, regimes: Sequence[Regime] | None, rows: Indices, floor: float) -> None:
        """Note what the propensities of the candidates at `rows` were drawn from, where they were."""
        if regimes is not None:
            self.law = ScoreLaw.of(regimes, rows, len(self.candidates), floor).beside(self.law)

    def scale_law(self, factor: Floats) -> None:
        """Note that all scores are what they were times a factor, broadcastable to (B, C)."""
        if self.law is not None:
            self.law = self.law.times(factor)

    def fall_back(self, where: Mask, reason: FallbackReason) -> None:
        """Note that the candidates of `where`, (B, C), have a stand-in for their model's score."""
        if any_in(where):
            self._fallbacks()[where] = reason.code

    def note_fallbacks(self, rows: Indices, asked: Mask, found: Fallbacks | None) -> None:
        """Note the codes of the candidates at `rows`, (B, rows), where they were asked for."""
        if found is not None:
            codes = self._fallbacks()
            codes[:, rows] = np.where(asked, found, codes[:, rows])

    def _fallbacks(self) -> Fallbacks:
        if self.fallbacks is None:
            self.fallbacks = np.zeros(self.alive.shape, np.int8)
        return self.fallbacks

    def limit_each_offer(self, binding: Mask, counting: Mask, remaining: NDArray[np.int64], code: int) -> None:
        """Have each offer share its own limit with itself, `remaining` (B, O), where an answer may repeat offers."""
        if self.repeats == 1:
            return
        for offer in np.flatnonzero((remaining < self.repeats).any(axis=0)).tolist():
            mine = (self.candidates.offer == offer)[None, :]
            self.shared_limits.append(
                SharedLimit(binding=binding & mine, counting=counting & mine, remaining=remaining[:, offer], code=code)
            )

    def keep_bare(self, bare: Mask) -> None:
        """Let these candidates, (C,), stand for their offer alone; none of their creative's fields is read any more."""
        self.bare = bare
        self.table = self.table.without_creatives(bare)

    def covered(self, coverage: Coverage, of_candidates: Mask, of_offers: Mask) -> Mask:
        """Return where a rule or policy applies, (1, C) or (B, C)."""
        mask = of_candidates if self.bare is None else np.where(self.bare, of_offers, of_candidates)
        members = coverage.of_customers(self.segments)
        return mask[None, :] if members is None else mask[None, :] | members[:, None]

    def unless_mandatory(self, mask: Mask) -> Mask:
        """Return a mask, broadcastable to (B, C), without the mandatory candidates."""
        return mask if self.mandatory is None else mask & ~self.mandatory

    def of_customers(self, places: Indices) -> State:
        """Return what scorers read, for the customers at these places only; what is shared stays shared."""
        return replace(
            self,
            table=self.table.of_customers(places),
            seeds=self.seeds[places],
            alive=self.alive[places],
            reasons=self.reasons[places],
            external=self.external.of_customers(places),
        )

    def inside(self, mask: Mask) -> Mask:
        """Return the part of a mask, broadcastable to (B, C), that lies in the branch that runs."""
        return mask if self.within is None else mask & self.within


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePart:
    """One rule or policy of a stage, on its own: what it covers, and its effect."""

    document: Document
    covered: Callable[[State], Mask]
    apply: Callable[[State], None]


# Which scores of services a stage looks at, the candidates that are alive given, (B, C).
Asks: TypeAlias = Callable[[State, Mask], list[ScoreNeed]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The executable form of one node: narrows or completes the state."""

    name: str
    apply: Callable[[State], None]
    # The names of the columns that it reads, so that a decision makes them all at once.
    reads: Sequence[str] = ()
    # The names of the candidates' columns that it may read; they are made when the flow is compiled.
    candidate_reads: Sequence[str] = ()
    # How far back it must see contacts, in milliseconds; 0 = not at all.
    contact_window_ms: int = 0
    needs_contact_totals: bool = False
    history: HistoryNeeds = NOTHING
    # Whether it looks at what is counted over all customers, and at the evidence among it.
    needs_counters: bool = False
    needs_evidence: bool = False
    # The models of which it must know what responses have taught them.
    learned: Sequence[LearnerReference] = ()
    # What it must have fetched before it is applied; None for a stage that needs nothing.
    asks: Asks | None = None
    # The reasons of its shared limits: these may apply again while the answer is filled.
    shared_codes: Sequence[int] = ()
    # Its rules or policies one by one, for explanations.
    parts: Sequence[StagePart] = ()
    # The stages of its branches, for explanations.
    inner: Sequence[Stage] = ()
