"""What a trace knows of a decision, counted the way a narrative tells it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from kaireon_application.decisioning.explain_trace import ScoringResult, StoredTrace, TraceDetail, detail
from kaireon_application.decisioning.trace import reasons_of
from kaireon_core.decisioning.reasons import KEPT, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """So many offers that are not in the answer, and why: the reason of the creative that came furthest."""

    reason: Reason
    offers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NarrativeFacts:
    """A decision as its trace tells it. `drops` counts candidates by reason, `missed` offers, most first."""

    trace: TraceDetail
    offers: int
    chosen: Sequence[ScoringResult]
    drops: Sequence[tuple[Reason, int]]
    missed: Sequence[Missed]
    model_key: str | None
    model_type: str | None

    @property
    def chosen_candidates(self) -> int:
        """How many candidates were chosen; one may stand in several placements."""
        return len({(one.offer_id, one.creative_id) for one in self.chosen})

    @property
    def missed_offers(self) -> int:
        """How many offers are not in the answer."""
        return sum(one.offers for one in self.missed)


def facts_of(trace: StoredTrace) -> NarrativeFacts:
    """Return the facts of a trace; which reason stands first among equals is decided by the order of the legend."""
    legend = trace.legend
    codes: list[int] = reasons_of(trace.content).tolist()
    found = detail(trace)
    counts = Counter(code for code in codes if code != KEPT)
    offers = [candidate.offer_id for candidate in legend.candidates]
    furthest = dict[str, int]()
    for offer, code in zip(offers, codes, strict=True):
        furthest[offer] = max(furthest.get(offer, 0), code)
    chosen = {one.offer_id for one in found.selected_offers}
    missed = Counter(code for offer, code in furthest.items() if offer not in chosen)
    return NarrativeFacts(
        trace=found,
        offers=len(furthest),
        chosen=found.selected_offers,
        drops=[(legend.reasons[code - 1], counts[code]) for code in sorted(counts)],
        missed=[
            Missed(reason=legend.reasons[code - 1], offers=count)
            for code, count in sorted(missed.items(), key=lambda one: (-one[1], one[0]))
        ],
        model_key=legend.model_key,
        model_type=legend.model_type,
    )
