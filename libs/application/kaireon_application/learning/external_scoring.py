"""Asking a service for scores: what is sent, and the port to whoever sends it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from kaireon_core.catalog.document import Document
from kaireon_core.decisioning.external import OfferScores
from kaireon_core.learning.external_endpoint import ExternalEndpoint

_encode = msgspec.json.Encoder().encode


class EndpointBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The body of a call, exactly as documented; `candidates` are encoded already."""

    customer_id: str | None
    attributes: Mapping[str, Any]
    candidates: Sequence[msgspec.Raw]
    request_id: str
    decision_flow_id: str | None


class EndpointCall(msgspec.Struct, frozen=True, kw_only=True):
    """One call: whose model, what is sent, and the offers that it is about."""

    tenant_id: str
    model_id: str
    model_key: str
    endpoint: ExternalEndpoint
    body: EndpointBody
    offers: Sequence[str]


class ExternalScoring(Protocol):
    """Calls services. It never raises: what fails is a reason, and counted; it ends within the model's time-out."""

    async def score(self, call: EndpointCall) -> OfferScores:
        """Return a score or a reason for each of the call's offers."""
        ...


def sent_offer(offer: Document, category_key: str | None) -> msgspec.Raw:
    """Return an offer as it is sent: its custom fields among its attributes, behind key, category and priority."""
    attributes: dict[str, Any] = {
        **(offer.body.get("customFields") or {}),
        "key": offer.key,
        "category": category_key,
        "priority": offer.body.get("priority", 50),
    }
    return msgspec.Raw(_encode({"id": offer.id, "name": offer.name, "attributes": attributes}))
