"""The inputs of a decision as its trace keeps them: written from what was decided, read back to decide once more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from kaireon_application.decisioning.decided_customer import DecidedCustomer
from kaireon_application.decisioning.facts import CustomerRecord, History
from kaireon_application.decisioning.trace import TraceContent
from kaireon_core.decisioning.external import Fetched, OfferScores
from kaireon_core.decisioning.request import DecisionRequest, PlacementAsk, Routing
from kaireon_core.learning.fallback import FallbackReason
from kaireon_core.table import CustomerFacts

# What the engine itself is asked, beside the fields of `request.X`.
_ASKED = frozenset({"nowMs", "excludeOffers", "excludeCreatives", "placements", "deduplicate"})


class RecordedInputs(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a decision was made from but its snapshot."""

    request: DecisionRequest
    customer: CustomerFacts
    segments: frozenset[str]
    record: CustomerRecord
    fetched: Fetched


def write_request(decided: DecidedCustomer) -> dict[str, Any]:
    """Return the request as a trace keeps it."""
    return {
        "nowMs": decided.request.now_ms,
        "limit": decided.request.limit,
        "excludeOffers": sorted(decided.request.excluded_offers),
        "excludeCreatives": sorted(decided.request.excluded_creatives),
        **_write_placements(decided.request),
        **decided.facts.request,
    }


def _write_placements(request: DecisionRequest) -> dict[str, Any]:
    """Return the placements where several were asked for."""
    if not request.routing.placements:
        return {}
    asked = [{"placement": one.name, "slots": one.slots} for one in request.routing.placements]
    return {"placements": asked, "deduplicate": request.deduplicate}


def write_facts(decided: DecidedCustomer) -> dict[str, Any]:
    """Return the facts as a trace keeps them."""
    return {
        "customer": decided.facts.customer,
        "attributes": decided.facts.attributes,
        "context": decided.facts.context,
        "segments": sorted(decided.segments),
        "contacts": decided.record.history.recent,
        "contactTotals": decided.record.history.totals,
        **_write_outcomes(decided.record.history),
        **_write_metrics(decided.record.history),
        **_write_fetched(decided.fetched),
    }


def _write_fetched(fetched: Fetched) -> dict[str, Any]:
    """Return what services said, by model key; a flow that asks none keeps nothing."""
    if not fetched:
        return {}
    return {
        "externalScores": {
            model_key: {"scores": dict(found.scores), "fallbackReasons": dict(found.reasons)}
            for model_key, found in fetched.items()
        }
    }


def _read_fetched(facts: Mapping[str, Any]) -> Fetched:
    kept: Mapping[str, dict[str, Any]] = facts.get("externalScores", {})
    return {
        model_key: OfferScores(
            scores=found["scores"],
            reasons={offer: FallbackReason(reason) for offer, reason in found["fallbackReasons"].items()},
        )
        for model_key, found in kept.items()
    }


def _write_metrics(history: History) -> dict[str, Any]:
    """Return the values of the metrics that are known, by id."""
    return {"metrics": {id_: value for id_, (value, *_) in history.metrics.items()}} if history.metrics else {}


def _write_outcomes(history: History) -> dict[str, Any]:
    """Return the outcomes where they are known: a flow that does not look at them keeps none."""
    return {} if history.outcomes_since_ms is None else {"outcomes": history.outcomes}


def read_inputs(content: TraceContent) -> RecordedInputs:
    """Return what a trace says that its decision was made from."""
    request, facts = content.request, content.facts
    totals = facts["contactTotals"]
    history = History(
        version=0,
        since_ms=0,
        recent=[tuple(row) for row in facts["contacts"]],
        totals=None if totals is None else [tuple(row) for row in totals],
        outcomes=[tuple(row) for row in facts.get("outcomes", ())],
        metrics={id_: (value, None, 0) for id_, value in facts.get("metrics", {}).items()},
    )
    return RecordedInputs(
        request=DecisionRequest(
            now_ms=request["nowMs"],
            limit=request["limit"],
            routing=Routing(
                channel=request["channel"],
                channel_id=request["channelId"],
                placement=request["placement"],
                placements=tuple(
                    PlacementAsk(name=one["placement"], slots=one["slots"]) for one in request.get("placements", ())
                ),
            ),
            deduplicate=request.get("deduplicate", False),
            excluded_offers=frozenset(request["excludeOffers"]),
            excluded_creatives=frozenset(request["excludeCreatives"]),
        ),
        customer=CustomerFacts(
            customer=facts["customer"],
            attributes=facts["attributes"],
            context=facts["context"],
            request={name: value for name, value in request.items() if name not in _ASKED},
        ),
        segments=frozenset(facts["segments"]),
        record=CustomerRecord(rows={}, history=history),
        fetched=_read_fetched(facts),
    )
