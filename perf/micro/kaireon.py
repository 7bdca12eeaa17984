"""Our side: what is asked of the engine, and of the application that writes down what was decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from kaireon_application.decisioning.answer import build_answer
from kaireon_application.decisioning.changes import DecisionChange
from kaireon_application.decisioning.decided_customer import DecidedCustomer, draw_ids, seed_of
from kaireon_application.decisioning.facts import CustomerRecord, History
from kaireon_application.decisioning.history_columns import contacts_of
from kaireon_application.decisioning.record_decision import build_change
from kaireon_application.decisioning.snapshot import LiveFlow, TenantSnapshot
from kaireon_application.decisioning.wire import RecommendRequest
from kaireon_core.catalog.document import Document
from kaireon_core.decisioning.decide import Decisions, Facts, begin, decide
from kaireon_core.decisioning.request import DecisionRequest
from kaireon_core.decisioning.state import State
from kaireon_core.table import CustomerFacts
from perf.micro import world


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """B customers of a shop with C candidates, as loaded: everything up to deciding is done."""

    snapshot: TenantSnapshot
    live: LiveFlow
    records: Sequence[CustomerRecord]
    requests: Sequence[RecommendRequest]
    request: DecisionRequest
    facts: Facts

    @staticmethod
    def of(customers: int, offers: int, *, with_policies: bool = True) -> Shop:
        """Return so many customers of the shop with so many offers, each with one creative."""
        snapshot, live = world.built(offers, with_policies=with_policies)
        people = world.customers(customers, offers)
        histories = [History(1, 0, one.contacts, one.contacts) for one in people]
        return Shop(
            snapshot=snapshot,
            live=live,
            records=[CustomerRecord(rows={}, history=history) for history in histories],
            requests=[RecommendRequest(customer_id=one.id) for one in people],
            request=DecisionRequest(now_ms=world.NOW_MS, limit=world.LIMIT),
            facts=Facts(
                customers=[CustomerFacts(one.attributes, {}, {}, {"customerId": one.id}) for one in people],
                segments=[one.segments for one in people],
                contacts=contacts_of(live.compiled, histories),
            ),
        )

    def narrow(self) -> State:
        """Run the stages that narrow the candidates, with their reasons, and nothing after them."""
        state = begin(self.live.compiled, self.request, self.facts)
        for stage in self.live.compiled.stages:
            stage.apply(state)
        return state

    def decide(self) -> Decisions:
        """Decide for all customers."""
        return decide(self.live.compiled, self.request, self.facts)

    def record(self) -> list[DecisionChange]:
        """Decide for all customers, and build each one's answer, rows, event and trace; draw their ids first."""
        ids = draw_ids(self.request.now_ms, len(self.requests))
        facts = replace(self.facts, seeds=[seed_of(decision_id) for decision_id, _ in ids])
        decisions = decide(self.live.compiled, self.request, facts)
        changes = list[DecisionChange]()
        for index, asked in enumerate(self.requests):
            decided = DecidedCustomer(
                customer_id=asked.customer_id,
                record=self.records[index],
                facts=self.facts.customers[index],
                segments=self.facts.segments[index],
                request=self.request,
                decisions=decisions,
                index=index,
                ids=ids[index],
                load_ms=0.0,
                enrichment_ms=0.0,
            )
            answer = build_answer(self.snapshot, self.live, asked, decided)
            changes.append(build_change(self.snapshot, self.live, decided, answer, None)[0])
        return changes

    def untraced(self) -> Shop:
        """Return the shop of a tenant that keeps no traces."""
        settings = msgspec.structs.replace(self.snapshot.settings, decision_trace_enabled=False)
        configuration = replace(self.snapshot.configuration, settings=settings)
        return replace(self, snapshot=replace(self.snapshot, configuration=configuration))

    def failed_rules(self, customer: int = 0) -> list[int]:
        """Return for each candidate of one customer which rule dropped it, from 1; 0 for none."""
        reasons = self.live.compiled.reasons
        numbers = {rule.id: number for number, rule in enumerate(self._rules, 1)}
        codes: list[int] = self.decide().reasons[customer].tolist()
        return [numbers.get(reasons[code - 1].entity_id or "", 0) if code else 0 for code in codes]

    @property
    def _rules(self) -> Sequence[Document]:
        return self.live.compiled.candidates.catalogue.qualification_rules
