"""Calls of a scoring service, and what became of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from kaireon_application.learning.external_scoring import EndpointBody, EndpointCall
from kaireon_core.learning.external_config import ExternalEndpointConfig
from kaireon_core.learning.external_endpoint import ExternalEndpoint
from kaireon_core.problems import convert
from kaireon_runtime.metrics import Metrics
from kaireon_runtime.outbound import AllowList
from kaireon_storage.external.breaker import Breakers
from kaireon_storage.external.client import EndpointClient
from kaireon_storage.external.scoring import EndpointScoring
from kaireon_storage.external.secrets import EnvironmentSecrets, Secrets
from kaireon_storage.outbound.connector import Lookup, look_up
from kaireon_storage.redis.connection import open_redis
from tests.api.scoring_service import Answer, says

if TYPE_CHECKING:
    import ssl

    from kaireon_core.decisioning.external import OfferScores

OFFERS = ("a", "b", "c")


@asynccontextmanager
async def scorer(
    redis_url: str,
    *,
    allowed: str = "127.0.0.1",
    tls: ssl.SSLContext | None = None,
    lookup: Lookup = look_up,
    secrets: Secrets | None = None,
) -> AsyncGenerator[EndpointScoring]:
    """The scoring of one process."""
    redis, metrics = open_redis(redis_url), Metrics()
    scoring = EndpointScoring(
        EndpointClient(AllowList.parse(allowed), lookup, tls),
        secrets or Secrets({"env": EnvironmentSecrets({"TOKEN": "from-env"})}),
        Breakers(redis, metrics),
        metrics,
    )
    try:
        yield scoring
    finally:
        await scoring.close()
        await redis.aclose()


def call_of(endpoint: str, *, model_id: str | None = None, **config: Any) -> EndpointCall:
    """Return a call about three offers, of a model of its own."""
    parsed = convert({"endpoint": endpoint, **config}, ExternalEndpointConfig)
    body = EndpointBody(customer_id="c1", attributes={}, candidates=[], request_id="r1", decision_flow_id="f1")
    return EndpointCall(
        tenant_id="t1",
        model_id=model_id or str(uuid4()),
        model_key="ext",
        endpoint=ExternalEndpoint(config=parsed),
        body=body,
        offers=OFFERS,
    )


def listed(*entries: tuple[str, str]) -> Answer:
    """Return what answers these entries, scores as JSON text."""
    texts = [f'{{"offerId": "{offer}", "score": {score}}}' for offer, score in entries]
    return says('{"scores": [' + ", ".join(texts) + "]}")


def told(found: OfferScores) -> dict[str, float | str]:
    """Return the score or the reason of each offer."""
    return {**found.scores, **{offer: reason.value for offer, reason in found.reasons.items()}}


ALL = listed(("a", "0.1"), ("b", "0.2"), ("c", "0.3"))
