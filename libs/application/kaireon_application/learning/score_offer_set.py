"""Score a set of offers for one customer with a model, outside of any decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from uuid import UUID

import msgspec
import numpy as np
from msgspec import UNSET, Meta, UnsetType

from kaireon_application.catalog.entities import Entities, Entity, EntityReader, ListQuery
from kaireon_application.catalog.refusal import refuse
from kaireon_application.errors import InvalidInput, NotFound
from kaireon_application.learning.external_scoring import ExternalScoring
from kaireon_application.learning.score_outside import outside_offers
from kaireon_application.learning.score_rows import LoadedModel, ModelScoring, degraded
from kaireon_core.catalog.document import Document
from kaireon_core.column import Column
from kaireon_core.learning.external_endpoint import ExternalEndpoint
from kaireon_core.learning.fallback import FallbackReason
from kaireon_core.learning.model import Contribution
from kaireon_core.problems import Problem
from kaireon_core.table import CustomerFacts, Table, split_name

_ALL = 10_000

Reference = Annotated[str, Meta(min_length=1, max_length=255)]


class ScoreOfferSetRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Whose attributes, and which offers: these, those of a category, or all active ones."""

    attributes: dict[str, Any] = {}
    customer_id: Reference | None = None
    offer_ids: Annotated[list[Reference], Meta(min_length=1, max_length=1000)] | None = None
    category_id: Reference | None = None


class OfferScore(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The score of one offer: `base_value` plus the sum of the contributions is `raw_score`."""

    offer_id: UUID
    score: float
    raw_score: float
    base_value: float
    explanations: tuple[Contribution, ...]
    # Of a model that is a service: why its fallback score counts.
    fallback_reason: FallbackReason | UnsetType = UNSET
    # Of an imported graph that has no score for this offer.
    engine_type: str | UnsetType = UNSET
    degraded: bool | UnsetType = UNSET
    reason: FallbackReason | UnsetType = UNSET


class OfferScores(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The scores of a set of offers, in the order of `offerIds`, else by key."""

    scores: list[OfferScore]
    model_id: UUID
    model_key: str
    model_type: str
    model_version: int


async def score_offer_set(
    entities: Entities, scoring: ModelScoring, tenant_id: UUID, reference: str, request: ScoreOfferSetRequest
) -> OfferScores:
    """Return the score of every offer of the set. Raises `NotFound`, `Conflict` when the model cannot score yet."""
    if request.offer_ids is not None and request.category_id is not None:
        raise InvalidInput.at("$.categoryId", "send offerIds or categoryId, not both")
    loaded = await scoring.load(tenant_id, reference)
    async with entities.reading(tenant_id) as reader:
        offers = await _offers(reader, request)
        categories = await _category_keys(reader, offers) if isinstance(loaded.model, ExternalEndpoint) else {}
    if isinstance(loaded.model, ExternalEndpoint):
        outside = scoring.outside(loaded.entity)
        scores = await _outside(outside, tenant_id, loaded.entity, loaded.model, request, offers, categories)
    else:
        scores = _scores(loaded, offers, request) if offers else []
    return OfferScores(
        scores=scores,
        model_id=loaded.entity.id,
        model_key=loaded.entity.key,
        model_type=str(loaded.entity.body["modelType"]),
        model_version=loaded.version,
    )


async def _offers(reader: EntityReader, request: ScoreOfferSetRequest) -> list[Entity]:
    if request.offer_ids is not None:
        found = await reader.find("offer", request.offer_ids)
        unknown = [
            Problem(path=f"$.offerIds[{index}]", message="there is no such offer")
            for index, wanted in enumerate(request.offer_ids)
            if wanted not in found
        ]
        refuse(NotFound, unknown)
        return [found[wanted] for wanted in request.offer_ids]
    matching: dict[str, Any] = {}
    if request.category_id is not None:
        category = (await reader.find("category", [request.category_id])).get(request.category_id)
        if category is None:
            raise NotFound.reference("$.categoryId", "there is no such category")
        matching["categoryId"] = str(category.id)
    page = await reader.page("offer", ListQuery(limit=_ALL, status="active", matching=matching))
    return sorted(page.entities, key=lambda offer: offer.key)


async def _category_keys(reader: EntityReader, offers: Sequence[Entity]) -> dict[str, str]:
    """Return the keys of the offers' categories, by id."""
    ids = {str(offer.body["categoryId"]) for offer in offers if offer.body.get("categoryId")}
    return {id_: category.key for id_, category in (await reader.find("category", ids)).items()}


async def _outside(
    outside: ExternalScoring,
    tenant_id: UUID,
    model: Entity,
    endpoint: ExternalEndpoint,
    request: ScoreOfferSetRequest,
    offers: Sequence[Entity],
    categories: Mapping[str, str],
) -> list[OfferScore]:
    """Return what a service says of the offers, in one call; it explains nothing."""
    if not offers:
        return []
    sent = [(_document(offer), categories.get(str(offer.body.get("categoryId")))) for offer in offers]
    found = await outside_offers(outside, tenant_id, model, endpoint, request.customer_id, request.attributes, sent)
    return [
        OfferScore(
            offer_id=offer.id,
            score=one.score,
            raw_score=one.score,
            base_value=one.score,
            explanations=(),
            fallback_reason=one.reason or UNSET,
        )
        for offer, one in zip(offers, found, strict=True)
    ]


def _scores(loaded: LoadedModel, offers: Sequence[Entity], request: ScoreOfferSetRequest) -> list[OfferScore]:
    model = loaded.scorer
    documents = [_document(offer) for offer in offers]
    columns = {
        name: Column.from_values([document.value(field) for document in documents])
        for name in model.fields
        for namespace, field in [split_name(name)]
        if namespace == "offer"
    }
    facts = CustomerFacts(request.attributes, request.attributes, {}, {"customerId": request.customer_id})
    table = Table.of([facts], columns, len(offers))
    scores = model.score(table)
    values = np.broadcast_to(scores.values, (1, len(offers)))[0].tolist()
    raws = np.broadcast_to(scores.raw, (1, len(offers)))[0].tolist()
    codes = None if scores.fallbacks is None else np.broadcast_to(scores.fallbacks, (1, len(offers)))
    explanations = [model.explain(table, 0, index) for index in range(len(offers))]
    return [
        OfferScore(
            offer_id=offer.id,
            score=score,
            raw_score=raw,
            base_value=explanation.base,
            explanations=explanation.contributions,
            **degraded(loaded.entity, None if codes is None else codes[:, place]),
        )
        for place, (offer, score, raw, explanation) in enumerate(zip(offers, values, raws, explanations, strict=True))
    ]


def _document(offer: Entity) -> Document:
    return Document(id=str(offer.id), key=offer.key, name=offer.name, status=offer.status, body=offer.body)
