"""A decision for one customer, before it is written down."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from kaireon_application.decisioning.changes import AssignmentRow
from kaireon_application.decisioning.facts import CustomerRecord
from kaireon_application.decisioning.history_columns import contacts_of
from kaireon_application.decisioning.items import Standing
from kaireon_application.decisioning.snapshot import LiveFlow
from kaireon_application.decisioning.wire import CoupledChannel, DecisionItem
from kaireon_application.experimentation.variant import AS_PUBLISHED, ASSIGNED_MS, Variant
from kaireon_application.platform.identity import new_ids
from kaireon_core.column import row_of
from kaireon_core.decisioning.decide import Decisions, Facts
from kaireon_core.decisioning.external import Fetched
from kaireon_core.decisioning.request import DecisionRequest
from kaireon_core.table import CustomerFacts

PUBLIC_PREFIX = "rec_"
_NO_PROPERTIES: dict[str, Any] = {}
_NOTHING_FETCHED: Fetched = {}


def draw_ids(now_ms: int, count: int) -> list[list[str]]:
    """Return the ids of so many decisions, each with that of its event."""
    drawn = new_ids(now_ms, 2 * count)
    return [drawn[place : place + 2] for place in range(0, 2 * count, 2)]


def _known(probability: float) -> float | None:
    return None if math.isnan(probability) else probability


def seed_of(decision_id: str) -> int:
    """Return where the chance of a decision comes from: the last 64 bits of its id, of which 62 are random."""
    return int(decision_id[19:23] + decision_id[24:], 16)


@dataclass(slots=True, kw_only=True)
class DecidedCustomer:
    """What was decided for one customer of a group, and from which facts."""

    customer_id: str
    record: CustomerRecord
    facts: CustomerFacts
    segments: frozenset[str]
    request: DecisionRequest
    decisions: Decisions
    # Which of the customers of `decisions` this is.
    index: int
    load_ms: float
    enrichment_ms: float
    duration_ms: float = 0.0
    # The time of each stage of the group, for those who ask.
    told_stages_ms: dict[str, float] = field(default_factory=dict[str, float])
    # What services said for this customer.
    fetched: Fetched = field(default_factory=lambda: _NOTHING_FETCHED)
    # How the flow decided for this customer.
    variant: Variant = AS_PUBLISHED
    # Of the decision and of its event.
    ids: list[str] = field(default_factory=list[str])
    # The chosen candidates in rank order, and which of them stand for their offer alone.
    picks: list[int] = field(init=False)
    bare: list[bool] = field(init=False)
    # With which probability each of them was put at its rank, None where that is not known; None: nothing was drawn.
    probabilities: list[float | None] | None = field(init=False)

    def __post_init__(self) -> None:
        """Draw the ids unless they were drawn before, and take this customer's part of the decisions."""
        self.ids = self.ids or draw_ids(self.request.now_ms, 1)[0]
        drawn = self.decisions.probabilities
        self.probabilities = None if drawn is None else [_known(one) for one in drawn[self.index].tolist()]
        self.picks = self.decisions.picks[self.index].tolist()
        mask = self.decisions.bare
        self.bare = [False] * len(self.picks) if mask is None else mask[self.picks].tolist()

    @property
    def decision_id(self) -> str:
        """The UUID of the recommendation id."""
        return self.ids[0]

    @property
    def recommendation_id(self) -> str:
        """The public id."""
        return PUBLIC_PREFIX + self.ids[0]

    @property
    def is_degraded(self) -> bool:
        """Whether a model could not score for this customer."""
        return bool(self.decisions.degraded[self.index])

    @property
    def assignment(self) -> AssignmentRow | None:
        """What is to be stored of the customer's variant, None where it is stored already or there is none."""
        variant = self.variant
        if not variant.is_new or variant.experiment_key is None or variant.name is None:
            return None
        expires_at_ms = self.request.now_ms + ASSIGNED_MS
        return AssignmentRow(experiment_key=variant.experiment_key, variant=variant.name, expires_at_ms=expires_at_ms)

    @property
    def warnings(self) -> list[str]:
        """The keys of the soft guardrails that do not hold."""
        found = self.decisions.guardrails
        return [one.key for one, failing in found if one.body.get("severity") == "soft" and failing[self.index]]

    def coupling(self, live: LiveFlow) -> list[CoupledChannel]:
        """Return the channels that were emptied."""
        emptied = self.decisions.emptied
        return [] if emptied is None else [live.coupled(place, self.request) for place in emptied[self.index]]

    def placement_of(self, rank: int) -> str | None:
        """Return the placement that the offer at a rank goes to, None where that is its creative's own."""
        if self.decisions.placed is None:
            return None
        placement = self.decisions.placed[self.index][rank - 1].placement
        return None if placement is None else placement.id

    def alone(self, live: LiveFlow) -> Facts:
        """Return what the decision was made from as that of one customer: for explanations."""
        return Facts(
            seeds=[seed_of(self.decision_id)],
            customers=[self.facts],
            segments=[self.segments],
            contacts=contacts_of(live.compiled, [self.record.history]),
            counters=self.decisions.counters,
            learned=self.decisions.learned,
            fetched=[self.fetched],
        )

    def items(self, live: LiveFlow) -> list[DecisionItem]:
        """Return the offers as they are answered."""
        scores = row_of(self.decisions.score, self.index)
        propensities = None if self.decisions.propensity is None else row_of(self.decisions.propensity, self.index)
        properties, mandatory = self.decisions.properties, self.decisions.mandatory
        return [
            live.items.write(
                candidate,
                self.facts,
                Standing(
                    rank=rank,
                    score=float(scores[candidate]),
                    propensity=None if propensities is None else float(propensities[candidate]),
                    selection_probability=1.0 if self.probabilities is None else self.probabilities[rank - 1],
                    is_mandatory=mandatory is not None and bool(mandatory[candidate]),
                    placement_id=self.placement_of(rank),
                ),
                is_bare=is_bare,
                properties=_NO_PROPERTIES if properties is None else properties[self.index][rank - 1],
            )
            for rank, (candidate, is_bare) in enumerate(zip(self.picks, self.bare, strict=True), 1)
        ]
