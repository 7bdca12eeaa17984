"""A case as data, and what the engine makes of it in words: candidates by key, reasons by stage, type and entity."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np

from kaireon_core.catalog.document import Catalogue, Document
from kaireon_core.decisioning.call_flow import inline_calls
from kaireon_core.decisioning.compile import CompiledFlow, compile_flow
from kaireon_core.decisioning.contacts import ContactRows, Contacts, OutcomeRows, Place
from kaireon_core.decisioning.counters import Counters, EvidenceRows
from kaireon_core.decisioning.decide import Decisions, Facts, decide
from kaireon_core.decisioning.flow import Flow
from kaireon_core.decisioning.parse_flow import FlowKind, parse_flow
from kaireon_core.decisioning.request import DecisionRequest, PlacementAsk, Routing
from kaireon_core.learning.compile import compile_model
from kaireon_core.learning.model import Model, ScoringModel
from kaireon_core.table import CustomerFacts

# {timezone?, maxOffers?, catalogue, models?, flows?, flow, request, customers}; see tests/golden/decisions.
Case: TypeAlias = dict[str, Any]
# (offer id, creative id or None): a row of the candidate table.
Row: TypeAlias = tuple[str, str | None]
# (stage, type, entity id or None).
Why: TypeAlias = tuple[str, str, str | None]

_KINDS = (
    "offers",
    "creatives",
    "channels",
    "placements",
    "categories",
    "sub_categories",
    "qualification_rules",
    "contact_policies",
    "behavioral_metrics",
    "ranking_profiles",
    "frequency_caps",
    "guardrails",
)
_AFTER_SCORE = ("optimize", "guardrails", "rank", "post_rank", "response")
_OWN = ("id", "key", "name", "status", "createdAt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was decided for one customer."""

    # The answer in order: what is shown, a bare offer without creative.
    picks: list[Row]
    # Why every other candidate is not in it.
    dropped: dict[Row, Why]
    # The scores of the candidates that reached scoring.
    scores: dict[Row, float]
    funnel: list[tuple[str, int, int]]
    is_degraded: bool
    # What the output nodes set for each pick.
    properties: list[dict[str, Any]]
    # With which probability each pick was put at its rank.
    probabilities: list[float]
    # With several placements: where each pick goes, and which channels were emptied.
    placements: list[str] | None
    coupling: list[str]


def document(written: dict[str, Any]) -> Document:
    """Return a document from its short form: `key` and `name` default to the id, `status` to active."""
    return Document(
        id=written["id"],
        key=written.get("key", written["id"]),
        name=written.get("name", written["id"]),
        status=written.get("status", "active"),
        created_at=written.get("createdAt", ""),
        body={name: value for name, value in written.items() if name not in _OWN},
    )


def catalogue_of(case: Case) -> Catalogue:
    return Catalogue(**{kind: tuple(map(document, case["catalogue"].get(kind, ()))) for kind in _KINDS})


def flow_of(case: Case) -> Flow:
    """Return the flow with what it calls in it."""
    flows = {key: parse_flow(flow, FlowKind.DRAFT) for key, flow in case.get("flows", {}).items()}
    return inline_calls(parse_flow(case["flow"], FlowKind.DRAFT), flows)


def compile_case(
    case: Case, more_models: Mapping[str, Model] | None = None, unready: Mapping[str, str] | None = None
) -> CompiledFlow:
    models = {
        key: ScoringModel(model_type="scorecard", model=compile_model("scorecard", config, None, _no_trees))
        for key, config in case.get("models", {}).items()
    }
    models |= {key: ScoringModel(model_type="scorecard", model=model) for key, model in (more_models or {}).items()}
    return compile_flow(
        flow_of(case),
        catalogue_of(case),
        models,
        zone=ZoneInfo(case.get("timezone", "UTC")),
        max_offers=case.get("maxOffers", 100),
        coupling=case.get("coupling"),
        unready=unready,
    )


def _no_trees(_text: str) -> Any:
    raise AssertionError


def instant_ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def request_of(case: Case) -> DecisionRequest:
    written = case["request"]
    return DecisionRequest(
        now_ms=instant_ms(written["now"]),
        limit=written.get("limit", 5),
        routing=Routing(
            channel=written.get("channel"),
            channel_id=written.get("channelId"),
            placement=written.get("placement"),
            placements=tuple(
                PlacementAsk(name=one["name"], slots=one.get("slots")) for one in written.get("placements", ())
            ),
        ),
        deduplicate=written.get("deduplicate", False),
        excluded_offers=frozenset(written.get("excludeOffers", ())),
        excluded_creatives=frozenset(written.get("excludeCreatives", ())),
    )


def facts_of(case: Case, flow: CompiledFlow, customers: list[dict[str, Any]]) -> Facts:
    """Return the facts, of the history only what the flow says it needs."""
    return Facts(
        customers=[customer(one) for one in customers],
        segments=[frozenset(one.get("segments", ())) for one in customers],
        seeds=[one.get("seed", 0) for one in customers],
        contacts=_contacts(flow, customers, instant_ms(case["request"]["now"])),
        counters=_counters(case, flow),
    )


def _counters(case: Case, flow: CompiledFlow) -> Counters:
    """Return what is counted over all customers, of it only what the flow says it needs."""
    catalogue = flow.candidates.catalogue
    counted: dict[str, dict[str, int]] = case.get("counters", {}) if flow.needs.counters else {}
    rows: list[dict[str, Any]] = case.get("evidence", []) if flow.needs.evidence else []

    def counts(name: str, documents: Sequence[Document]) -> Any:
        given = counted.get(name, {})
        return np.array([given.get(one.id, 0) for one in documents], np.int64)

    return Counters(
        taken=counts("taken", catalogue.offers),
        spent=counts("spent", catalogue.offers),
        spent_today=counts("spentToday", catalogue.offers),
        shown=counts("shown", catalogue.frequency_caps),
        evidence=EvidenceRows.of(
            [
                (
                    flow.offer_index.get(row["offer"], -1),
                    flow.channel_index.get(row["channel"], -1),
                    row["positive"],
                    row["negative"],
                )
                for row in rows
            ]
        ),
    )


def customer(written: dict[str, Any]) -> CustomerFacts:
    """Return what a case says of a customer."""
    attributes = written.get("attributes", {})
    return CustomerFacts(
        customer={**written.get("customer", {}), **attributes},
        attributes=attributes,
        context=written.get("context", {}),
        request=written.get("request", {}),
    )


def _contacts(flow: CompiledFlow, customers: list[dict[str, Any]], now_ms: int) -> Contacts:
    recent = list[tuple[int, int, int, int, int, int]]()
    totals = defaultdict[tuple[int, int, int, int], list[int]](list)
    for number, written in enumerate(customers):
        for contact in written.get("contacts", ()):
            customer, offer, creative, channel, at_ms = _place(flow, number, contact)
            place = customer, offer, creative, channel
            totals[place].append(at_ms)
            if at_ms >= now_ms - flow.needs.contact_window_ms and flow.needs.contact_window_ms:
                recent.append((*place, at_ms, 1))
    summed = [(*place, max(instants), len(instants)) for place, instants in totals.items()]
    return Contacts(
        recent=ContactRows.of(recent),
        totals=ContactRows.of(summed if flow.needs.contact_totals else []),
        outcomes=_outcomes(flow, customers, now_ms),
        metrics={
            metric: np.array([one.get("metrics", {}).get(metric, 0) for one in customers], np.float64)
            for metric in flow.needs.history.metrics
        },
    )


def _outcomes(flow: CompiledFlow, customers: list[dict[str, Any]], now_ms: int) -> OutcomeRows:
    window_ms = flow.needs.history.outcome_window_ms
    found: list[tuple[Place, dict[str, Any]]] = [
        (_place(flow, number, done), done)
        for number, customer in enumerate(customers)
        for done in customer.get("outcomes", ())
    ]
    known = [(place, done) for place, done in found if window_ms and place[4] >= now_ms - window_ms]
    return OutcomeRows.of(
        [place for place, _ in known],
        [done["outcome"] for _, done in known],
        [done["classification"] != "neutral" for _, done in known],
    )


def _place(flow: CompiledFlow, customer: int, row: dict[str, Any]) -> Place:
    return (
        customer,
        flow.offer_index.get(row.get("offer", ""), -1),
        flow.creative_index.get(row.get("creative") or "", -1),
        flow.channel_index.get(row.get("channel") or "", -1),
        instant_ms(row["at"]),
    )


def run(case: Case) -> list[Outcome]:
    """Return what the engine decides for all customers of the case at once."""
    flow = compile_case(case)
    decisions = decide(flow, request_of(case), facts_of(case, flow, case["customers"]))
    return [outcome(flow, decisions, customer) for customer in range(len(case["customers"]))]


def outcome(flow: CompiledFlow, decisions: Decisions, customer: int) -> Outcome:
    rows = [_row(flow, candidate) for candidate in range(len(flow.candidates))]
    codes: list[int] = decisions.reasons[customer].tolist()
    reasons = {rows[at]: flow.reasons[code - 1] for at, code in enumerate(codes) if code}
    scores = np.broadcast_to(decisions.score, decisions.reasons.shape)[customer]
    scored = [at for at, code in enumerate(codes) if not code or flow.reasons[code - 1].stage in _AFTER_SCORE]
    return Outcome(
        picks=[_shown(flow, decisions, candidate) for candidate in decisions.picks[customer].tolist()],
        dropped={row: (reason.stage, reason.type, reason.entity_id) for row, reason in reasons.items()},
        scores={rows[at]: float(scores[at]) for at in scored},
        funnel=[(count.stage, count.in_, count.out) for count in decisions.funnel(flow, customer)],
        is_degraded=bool(decisions.degraded[customer]),
        probabilities=[1.0] * len(decisions.picks[customer])
        if decisions.probabilities is None
        else decisions.probabilities[customer].tolist(),
        placements=None
        if decisions.placed is None
        else [cell.placement.id if cell.placement else cell.name for cell in decisions.placed[customer]],
        coupling=[
            flow.candidates.catalogue.channels[place].id
            for place in ([] if decisions.emptied is None else decisions.emptied[customer])
        ],
        properties=[{} for _ in decisions.picks[customer]]
        if decisions.properties is None
        else decisions.properties[customer],
    )


def _row(flow: CompiledFlow, candidate: int) -> Row:
    table, catalogue = flow.candidates, flow.candidates.catalogue
    creative = int(table.creative[candidate])
    offer = int(table.offer[candidate])
    return catalogue.offers[offer].id, None if creative < 0 else catalogue.creatives[creative].id


def _shown(flow: CompiledFlow, decisions: Decisions, candidate: int) -> Row:
    offer, creative = _row(flow, candidate)
    is_bare = decisions.bare is not None and bool(decisions.bare[candidate])
    return offer, None if is_bare else creative
