"""A request that was planned: which flow decides, and for whom."""

from __future__ import annotations

from collections.abc import Hashable

import msgspec

from kaireon_application.decisioning.decided_customer import DecidedCustomer
from kaireon_application.decisioning.facts import CustomerRecord
from kaireon_application.decisioning.fetch_scores import Attempt
from kaireon_application.decisioning.record_decision import IdempotencyDraft
from kaireon_application.decisioning.snapshot import LiveFlow, TenantSnapshot
from kaireon_application.decisioning.wire import RecommendRequest
from kaireon_application.experimentation.variant import AS_PUBLISHED, CONTROL, Variant, assign, is_held_out


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A planned request: which flow decides, and for whom; `is_fresh` when cached facts turned out to be stale.

    `validation_ms` is how long it took to check the request.
    """

    snapshot: TenantSnapshot
    live: LiveFlow
    request: RecommendRequest
    customer_id: str
    started: float
    idempotency: IdempotencyDraft | None = None
    is_fresh: bool = False
    validation_ms: float = 0.0
    # Where a model is a service: what an attempt at this decision leaves to the next.
    attempt: Attempt | None = None
    # The trace that this request belongs to.
    traceparent: str | None = None

    @property
    def tenant_id(self) -> str:
        """The tenant that asks."""
        return self.snapshot.configuration.tenant_id

    def variant(self, record: CustomerRecord, now_ms: int) -> Variant:
        """Return how the flow decides for the customer: held out, assigned to a model, or as it is published."""
        if is_held_out(self.customer_id, self.snapshot.settings.holdout_percentage):
            return Variant(name=CONTROL)
        split = self.live.split
        if split is None:
            return AS_PUBLISHED
        stored = {key: found for key, found in record.history.assignments.items() if found is not None}
        return assign(split, self.customer_id, stored, now_ms)

    def form(self, decided: DecidedCustomer) -> LiveFlow:
        """Return the form of the flow that decided."""
        return self.snapshot.variant(self.live, decided.variant.name)

    @property
    def company(self) -> Hashable:
        """What requests must share to be decided together."""
        request = self.request
        return (
            id(self.live),
            self.is_fresh,
            request.limit,
            request.channel,
            request.channel_id,
            request.placement,
            request.routing.placements,
            request.deduplicate,
            request.debug,
            tuple(request.exclude_offers),
            tuple(request.exclude_creatives),
        )
