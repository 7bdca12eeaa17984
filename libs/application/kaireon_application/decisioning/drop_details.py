"""Why a candidate was dropped, in figures: what the rule or policy says, and the value that it met, from the trace."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from kaireon_application.decisioning.trace import TraceContent
from kaireon_core.decisioning.calendar import DAY_MS, HOUR_MS, instant_ms
from kaireon_core.decisioning.outcome_policies import IMPRESSION
from kaireon_core.decisioning.reasons import Reason
from kaireon_core.table import Axis, axis_of, lookup, split_name

Detail: TypeAlias = dict[str, Any]
# A contact or an outcome of a trace: offer, creative, channel, instant in ms, and what else is known of it.
HistoryRow: TypeAlias = Sequence[Any]

_OFFER, _AT, _OUTCOME, _IS_RESPONSE = 0, 3, 4, 5
# Where in a row stands what a scope names; other scopes need the catalogue, which a trace does not hold.
_PLACES = {"offer": _OFFER, "creative": 1, "channel": 2}
_PRECISION = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drop:
    """One candidate that was dropped: its offer, and the offers that fell with it for the same reason."""

    content: TraceContent
    detail: Detail
    offer_id: str
    peers: frozenset[str]


Tell: TypeAlias = Callable[[_Drop], Detail]


@dataclass(slots=True)
class DropDetails:
    """The details of one trace; what several candidates share is found once."""

    content: TraceContent
    peers: Mapping[int, frozenset[str]]
    _found: dict[tuple[int, str], Detail] = field(default_factory=dict[tuple[int, str], Detail])

    @staticmethod
    def of(content: TraceContent, dropped: Iterable[tuple[int, str]]) -> DropDetails:
        """Return the details of a trace; `dropped` are the reason code and the offer of each candidate."""
        peers = defaultdict[int, set[str]](set)
        for code, offer_id in dropped:
            peers[code].add(offer_id)
        return DropDetails(content, {code: frozenset(offers) for code, offers in peers.items()})

    def told(self, reason: Reason, code: int, offer_id: str) -> Detail:
        """Return the detail of a reason, with the value that it met where the trace knows it."""
        tell = _TELL.get(reason.type)
        if tell is None:
            return reason.detail
        is_own = reason.type == "mutual_exclusion" or bool(reason.detail.get("perOffer"))
        place = code, offer_id if is_own else ""
        if place not in self._found:
            drop = _Drop(content=self.content, detail=reason.detail, offer_id=offer_id, peers=self.peers[code])
            self._found[place] = {**reason.detail, **tell(drop)}
        return self._found[place]


def _rows(drop: _Drop, name: str) -> list[HistoryRow]:
    """Return the rows that a policy counts, none where its scope says more than a trace knows."""
    rows: list[HistoryRow] = drop.content.facts.get(name) or []
    if drop.detail.get("perOffer"):
        rows = [row for row in rows if row[_OFFER] == drop.offer_id]
    scopes = [scope.partition(" ") for scope in str(drop.detail["scope"]).split(", ")]
    if any(kind == "global" for kind, _, _ in scopes):
        return rows
    if any(kind not in _PLACES for kind, _, _ in scopes):
        return []
    return [row for row in rows if any(row[_PLACES[kind]] == id_ for kind, _, id_ in scopes)]


def _since(drop: _Drop, at_ms: int, unit_ms: int) -> float:
    return round((drop.content.request["nowMs"] - at_ms) / unit_ms, _PRECISION)


def _last(rows: Sequence[HistoryRow]) -> HistoryRow | None:
    return max(rows, key=lambda row: row[_AT], default=None)


def _cooldown(drop: _Drop) -> Detail:
    last = _last(_rows(drop, "contactTotals"))
    return {} if last is None else {"hoursSinceLast": _since(drop, last[_AT], HOUR_MS)}


def _outcome_based(drop: _Drop) -> Detail:
    keys = drop.detail["afterOutcome"]
    contacts = _rows(drop, "contacts") if IMPRESSION in keys else []
    shown = [(*row[: _AT + 1], IMPRESSION) for row in contacts]
    last = _last([*(row for row in _rows(drop, "outcomes") if row[_OUTCOME] in keys), *shown])
    return {} if last is None else {"daysSince": _since(drop, last[_AT], DAY_MS), "lastOutcome": last[_OUTCOME]}


def _category_suppression(drop: _Drop) -> Detail:
    """The category's offers are known by what fell with this one: a trigger that fell before it stays untold."""
    rows: list[HistoryRow] = drop.content.facts.get("outcomes") or []
    last = _last([row for row in rows if row[_IS_RESPONSE] and row[_OFFER] in drop.peers])
    return {} if last is None else {"daysSince": _since(drop, last[_AT], DAY_MS), "triggeringOfferId": last[_OFFER]}


def _mutual_exclusion(drop: _Drop) -> Detail:
    group = drop.detail["offerGroup"]
    shown = (row[_OFFER] for row in drop.content.facts.get("contactTotals") or ())
    conflicting = next((one for one in shown if one in group and one != drop.offer_id), None)
    return {} if conflicting is None else {"conflictingOfferId": conflicting}


def _segment_exclusion(drop: _Drop) -> Detail:
    segments = drop.content.facts["segments"]
    return {"matchedSegment": next((one for one in drop.detail["excludeSegments"] if one in segments), None)}


def _segment_required(drop: _Drop) -> Detail:
    return {"required": drop.detail["requiredSegments"], "actual": drop.content.facts["segments"]}


def _metric_condition(drop: _Drop) -> Detail:
    metrics: Detail = drop.content.facts.get("metrics", {})
    metric = drop.detail["metric"]
    return {"actual": metrics[metric]} if metric in metrics else {}


def _attribute_condition(drop: _Drop) -> Detail:
    expected = {"expected": drop.detail.get("value")}
    return expected if _is_of_candidate(drop) else {**expected, "actual": _value(drop)}


def _recency_check(drop: _Drop) -> Detail:
    at_ms = None if _is_of_candidate(drop) else instant_ms(_value(drop))
    return {} if at_ms is None else {"actualDays": _since(drop, at_ms, DAY_MS)}


def _is_of_candidate(drop: _Drop) -> bool:
    return axis_of(drop.detail["attribute"]) is Axis.CANDIDATE


def _value(drop: _Drop) -> object:
    namespace, attribute = split_name(drop.detail["attribute"])
    return lookup(drop.content.request if namespace == "request" else drop.content.facts[namespace], attribute)


_TELL: dict[str, Tell] = {
    "cooldown": _cooldown,
    "outcome_based": _outcome_based,
    "category_suppression": _category_suppression,
    "mutual_exclusion": _mutual_exclusion,
    "segment_exclusion": _segment_exclusion,
    "segment_required": _segment_required,
    "metric_condition": _metric_condition,
    "attribute_condition": _attribute_condition,
    "recency_check": _recency_check,
}
