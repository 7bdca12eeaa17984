"""Score with a model that is a service, outside of any decision: each score is a real call, and none is explained."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

import msgspec

from kaireon_application.catalog.entities import Entity
from kaireon_application.learning.external_scoring import EndpointBody, EndpointCall, ExternalScoring, sent_offer
from kaireon_core.catalog.document import Document
from kaireon_core.decisioning.external import OfferScores
from kaireon_core.learning.external_endpoint import ExternalEndpoint
from kaireon_core.learning.fallback import FallbackReason

# Each row is a call.
MAX_ROWS = 100
_AT_ONCE = 16
# What a row that names no offer is about.
_ROW = "row"


class OutsideScore(msgspec.Struct, frozen=True, kw_only=True):
    """What counts for a candidate: the service's score, else the fallback score and why."""

    score: float
    reason: FallbackReason | None


async def outside_row(
    scoring: ExternalScoring, tenant_id: UUID, model: Entity, endpoint: ExternalEndpoint, row: Mapping[str, Any]
) -> OutsideScore:
    """Return the score of one row: the service is sent it as the attributes of a customer, with one candidate."""
    named = row.get("offerId")
    offer = named if isinstance(named, str) and named else _ROW
    candidate = msgspec.Raw(msgspec.json.encode({"id": offer, "name": offer, "attributes": {}}))
    customer = row.get("customerId")
    customer_id = customer if isinstance(customer, str) else None
    return (await _ask(scoring, tenant_id, model, endpoint, customer_id, row, {offer: candidate}))[offer]


async def outside_rows(
    scoring: ExternalScoring,
    tenant_id: UUID,
    model: Entity,
    endpoint: ExternalEndpoint,
    rows: Sequence[Mapping[str, Any]],
) -> list[float]:
    """Return the scores of rows, in their order, each as alone."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def ask(row: Mapping[str, Any]) -> float:
        async with gate:
            return (await outside_row(scoring, tenant_id, model, endpoint, row)).score

    return list(await asyncio.gather(*map(ask, rows)))


async def outside_offers(
    scoring: ExternalScoring,
    tenant_id: UUID,
    model: Entity,
    endpoint: ExternalEndpoint,
    customer_id: str | None,
    attributes: Mapping[str, Any],
    offers: Sequence[tuple[Document, str | None]],
) -> list[OutsideScore]:
    """Return the scores of offers, each with the key of its category, by one call."""
    candidates = {offer.id: sent_offer(offer, category) for offer, category in offers}
    found = await _ask(scoring, tenant_id, model, endpoint, customer_id, attributes, candidates)
    return [found[offer.id] for offer, _ in offers]


async def _ask(
    scoring: ExternalScoring,
    tenant_id: UUID,
    model: Entity,
    endpoint: ExternalEndpoint,
    customer_id: str | None,
    attributes: Mapping[str, Any],
    candidates: Mapping[str, msgspec.Raw],
) -> dict[str, OutsideScore]:
    said = await scoring.score(
        EndpointCall(
            tenant_id=str(tenant_id),
            model_id=str(model.id),
            model_key=model.key,
            endpoint=endpoint,
            body=EndpointBody(
                customer_id=customer_id,
                attributes=attributes,
                candidates=list(candidates.values()),
                request_id=str(uuid4()),
                decision_flow_id=None,
            ),
            offers=list(candidates),
        )
    )
    return {offer: _counted(said, offer, endpoint.fallback) for offer in candidates}


def _counted(said: OfferScores, offer: str, fallback: float) -> OutsideScore:
    return OutsideScore(score=said.scores.get(offer, fallback), reason=said.reasons.get(offer))
