"""What is counted over all customers, from storage to the columns of a flow, and to a trace and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from kaireon_application.customers.tally import CAP, EVER, SPENT, STOCK, period_key
from kaireon_core.catalog.document import Document
from kaireon_core.decisioning.calendar import Period
from kaireon_core.decisioning.compile import CompiledFlow
from kaireon_core.decisioning.constraints import PERIODS
from kaireon_core.decisioning.counters import Counters, EvidenceRows, Ints
from kaireon_core.learning.learned import LearnedRows

# (kind, subject id, period) -> amount.
Tallies: TypeAlias = Mapping[tuple[str, str, str], int]
# (offer id, channel id or None, positive, negative).
Evidence: TypeAlias = Sequence[tuple[str, str | None, int, int]]


class TenantCounts(msgspec.Struct, frozen=True, kw_only=True):
    """The tallies of the periods that hold now, the evidence, and what models learned; empty where not needed."""

    tallies: Tallies = {}
    evidence: Evidence = ()
    # What responses have taught models, by model id.
    learned: Mapping[str, LearnedRows] = {}


def current_periods(now_ms: int, zone: ZoneInfo) -> list[str]:
    """Return the names of the periods that hold now: ever, and this day, week and month of the tenant."""
    return [EVER, *(period_key(period, now_ms, zone) for period in Period)]


def counters_of(flow: CompiledFlow, counts: TenantCounts, now_ms: int) -> Counters:
    """Return the counts as columns over the catalogue of a flow."""
    catalogue, tallies = flow.candidates.catalogue, counts.tallies
    today = period_key(Period.DAY, now_ms, flow.zone)

    def amounts(kind: str, period: str) -> Ints:
        return _column([tallies.get((kind, offer.id, period), 0) for offer in catalogue.offers])

    return Counters(
        taken=amounts(STOCK, EVER),
        spent=amounts(SPENT, EVER),
        spent_today=amounts(SPENT, today),
        shown=_column([_shown(tallies, cap, now_ms, flow.zone) for cap in catalogue.frequency_caps]),
        evidence=EvidenceRows.of(
            [
                (flow.offer_index.get(offer, -1), flow.channel_index.get(channel or "", -1), positive, negative)
                for offer, channel, positive, negative in counts.evidence
            ]
        ),
    )


def _shown(tallies: Tallies, cap: Document, now_ms: int, zone: ZoneInfo) -> int:
    return tallies.get((CAP, cap.id, period_key(PERIODS[str(cap.body["period"])], now_ms, zone)), 0)


def _column(amounts: list[int]) -> Ints:
    return np.array(amounts, np.int64)


_OF_OFFERS = ("taken", "spent", "spent_today")


def write_counters(flow: CompiledFlow, counters: Counters) -> dict[str, Any]:
    """Return the counters as a trace keeps them: what is not 0, by id; evidence by places in the catalogue."""
    catalogue, written = flow.candidates.catalogue, dict[str, Any]()
    if flow.needs.counters:
        columns = [(name, catalogue.offers) for name in _OF_OFFERS] + [("shown", catalogue.frequency_caps)]
        written["counters"] = {name: _named(getattr(counters, name), documents) for name, documents in columns}
    if flow.needs.evidence:
        rows = counters.evidence
        columns = (rows.offer, rows.channel, rows.positive, rows.negative)
        written["evidence"] = list(zip(*(column.tolist() for column in columns), strict=True))
    return written


def _named(column: Ints, documents: Sequence[Document]) -> dict[str, int]:
    return {document.id: amount for document, amount in zip(documents, column.tolist(), strict=True) if amount}


def read_counters(flow: CompiledFlow, facts: Mapping[str, Any]) -> Counters:
    """Return the counters that a trace has kept."""
    catalogue = flow.candidates.catalogue
    kept: Mapping[str, dict[str, int]] = facts.get("counters", {})

    def column(name: str, documents: Sequence[Document]) -> Ints:
        named = kept.get(name, {})
        return _column([named.get(document.id, 0) for document in documents])

    return Counters(
        taken=column("taken", catalogue.offers),
        spent=column("spent", catalogue.offers),
        spent_today=column("spent_today", catalogue.offers),
        shown=column("shown", catalogue.frequency_caps),
        evidence=EvidenceRows.of([tuple(row) for row in facts.get("evidence", ())]),
    )
