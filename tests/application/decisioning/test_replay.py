"""Replay is exact: what a trace has kept decides again to the same bytes, on flows and customers that nobody chose."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeAlias
from uuid import UUID

import pytest
from msgspec import structs

from kaireon_application.decisioning.decided_customer import DecidedCustomer, draw_ids, seed_of
from kaireon_application.decisioning.explain_trace import StoredTrace
from kaireon_application.decisioning.facts import CustomerRecord, History, MetricValue
from kaireon_application.decisioning.history_columns import contacts_of
from kaireon_application.decisioning.record_trace import trace_of
from kaireon_application.decisioning.replay_trace import Replay, configuration_of, decide_again, read_content
from kaireon_application.decisioning.snapshot import (
    Configuration,
    DecisionSettings,
    LiveFlow,
    ModelOrigin,
    PublishedFlow,
    TenantSnapshot,
    build_snapshot,
    decode_legend,
    snapshot_of,
)
from kaireon_core.decisioning.decide import Facts, decide
from kaireon_core.learning.compile import compile_model
from kaireon_core.learning.model import ScoringModel
from tests.core.decisioning.cases import Case, catalogue_of, flow_of, instant_ms, request_of
from tests.core.decisioning.cases import customer as customer_of
from tests.core.decisioning.worlds import world

_WORLDS = 1_700
_CUSTOMERS = 6
_CHUNKS = 10
Thing: TypeAlias = dict[str, Any]


@pytest.mark.parametrize("chunk", range(_CHUNKS))
def test_law_every_trace_decides_again_to_the_same_bytes(chunk: int) -> None:
    decisions = 0
    for seed in range(chunk, _WORLDS, _CHUNKS):
        snapshot, traces = recorded(sendable(world(seed, customers=_CUSTOMERS)))
        again = stored_and_read(snapshot)
        for trace in traces:
            replay = decide_again(again, again.configuration.flows[0], trace)
            assert (replay.identical, replay.differences) == (True, []), seed
            decisions += 1
    assert decisions * _CHUNKS >= 10_000


def test_a_difference_is_told_where_it_is() -> None:
    snapshot, (trace, *_) = recorded(_plain())
    cheaper = [{**offer, "priority": 20} if offer["id"] == "a" else offer for offer in _plain()["catalogue"]["offers"]]
    changed, _ = recorded({**_plain(), "catalogue": {"offers": cheaper}})

    replay = decide_again(changed, changed.configuration.flows[0], trace)

    assert not replay.identical
    assert told(replay) == {
        "decisions[0]": ({"offerKey": "a", "creativeId": None}, {"offerKey": "b", "creativeId": None}),
        "decisions[1]": ({"offerKey": "b", "creativeId": None}, {"offerKey": "a", "creativeId": None}),
        "candidates[a].score": (0.9, 0.2),
    }
    assert snapshot.hash != changed.hash


def test_another_engine_is_named_where_it_decides_otherwise() -> None:
    snapshot, (trace, *_) = recorded(_plain())
    older = replace(trace, content=replace_content(trace, engine_version="0.0.1"))
    other = replace(older, content=replace_content(older, picks=[1, 0]))
    flow = snapshot.configuration.flows[0]

    assert decide_again(snapshot, flow, older).identical
    assert told(decide_again(snapshot, flow, other))["engineVersion"] == ("0.0.1", "0.1.0")


def _plain() -> Case:
    offers = [{"id": "a", "priority": 90}, {"id": "b", "priority": 50}]
    nodes = [{"id": type_, "type": type_} for type_ in ("inventory", "score", "rank", "response")]
    return {
        "catalogue": {"offers": offers},
        "flow": {"version": 2, "nodes": nodes},
        "request": {"now": "2026-05-04T12:00:00+00:00"},
        "customers": [{}],
    }


def sendable(case: Case) -> Case:
    """Return the case without the integers that the wire refuses."""
    return json.loads(json.dumps(case).replace(str(2**70), "9"))


def told(replay: Replay) -> dict[str, tuple[Any, Any]]:
    return {one.path: (one.recorded, one.replayed) for one in replay.differences}


def replace_content(trace: StoredTrace, **changes: Any) -> Any:
    return structs.replace(trace.content, **changes)


def recorded(case: Case) -> tuple[TenantSnapshot, list[StoredTrace]]:
    """Return the snapshot of a case, and the traces of its customers as they are read from storage."""
    snapshot = build_snapshot(_configuration(case))
    live = snapshot.live(snapshot.configuration.flows[0])
    request = request_of(case)
    asked = {
        "channel": request.routing.channel,
        "channelId": request.routing.channel_id,
        "placement": request.routing.placement,
        "limit": request.limit,
    }
    customers = [customer_of({**one, "request": asked}) for one in case["customers"]]
    segments = [frozenset(one.get("segments", ())) for one in case["customers"]]
    histories = [_history(one) for one in case["customers"]]
    ids = draw_ids(request.now_ms, len(customers))
    facts = Facts(
        customers=customers,
        segments=segments,
        contacts=contacts_of(live.compiled, histories),
        seeds=[seed_of(decision_id) for decision_id, _ in ids],
    )
    decisions = decide(live.compiled, request, facts)
    traces = list[StoredTrace]()
    for index, (customer, history) in enumerate(zip(customers, histories, strict=True)):
        decided = DecidedCustomer(
            customer_id=f"c{index}",
            record=CustomerRecord(rows={}, history=history),
            facts=customer,
            segments=segments[index],
            request=request,
            decisions=decisions,
            index=index,
            ids=ids[index],
            load_ms=0.0,
            enrichment_ms=0.0,
        )
        traces.append(_stored(snapshot, live, decided))
    return snapshot, traces


def _stored(snapshot: TenantSnapshot, live: LiveFlow, decided: DecidedCustomer) -> StoredTrace:
    row = trace_of(snapshot, live, decided)
    assert row is not None
    legend = decode_legend(live.legend)
    return StoredTrace(
        recommendation_id=UUID(decided.decision_id),
        decided_at=datetime.fromtimestamp(0, UTC),
        customer_id=decided.customer_id,
        flow_id=UUID(live.published.id),
        flow_key=live.published.key,
        flow_version=1,
        content=legend.codec().decode(row.content),
        legend=legend,
    )


def stored_and_read(snapshot: TenantSnapshot) -> TenantSnapshot:
    """Return the snapshot as it is made again from its stored bytes."""
    content = read_content(snapshot.content)
    models = {key: _model(origin.model_type, origin.config) for key, origin in content.models.items()}
    return snapshot_of(configuration_of("t", content, models), snapshot.hash)


def _configuration(case: Case) -> Configuration:
    cards: dict[str, Thing] = case.get("models", {})
    flow = flow_of(case)
    return Configuration(
        tenant_id="t",
        config_version=1,
        settings=DecisionSettings(
            timezone=case.get("timezone", "UTC"), max_offers_per_decision=case.get("maxOffers", 100)
        ),
        catalogue=catalogue_of(case),
        outcome_types=(),
        flows=(
            PublishedFlow(
                id=str(UUID(int=1)), key="flow", name="flow", status="active", version=1, flow=flow, published_at=""
            ),
        ),
        routes=(),
        model_origins={
            key: ModelOrigin(id=str(UUID(int=2)), version=0, model_type="scorecard", config=config)
            for key, config in cards.items()
        },
        models={key: _model("scorecard", config) for key, config in cards.items()},
        schema_tables={},
    )


def _model(model_type: str, config: Thing) -> ScoringModel:
    return ScoringModel(model_type=model_type, model=compile_model(model_type, config, None, _no_trees))


def _no_trees(_text: str) -> Any:
    raise AssertionError


def _history(customer: Thing) -> History:
    rows = [
        (one.get("offer"), one.get("creative"), one.get("channel"), instant_ms(one["at"]), 1)
        for one in customer.get("contacts", ())
    ]
    outcomes = [
        (one["offer"], one["creative"], one["channel"], instant_ms(one["at"]), one["outcome"], _is_response(one))
        for one in customer.get("outcomes", ())
    ]
    metrics: dict[str, MetricValue] = {id_: (value, None, 0) for id_, value in customer.get("metrics", {}).items()}
    return History(1, 0, sorted(rows, key=lambda row: row[3]), rows, 0, outcomes, metrics)


def _is_response(outcome: Thing) -> bool:
    return outcome["classification"] != "neutral"
