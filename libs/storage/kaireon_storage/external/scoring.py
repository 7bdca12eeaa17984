"""Scoring by services: attempts within one time-out, the answer read, and a reason for everything that fails."""

from __future__ import annotations

import asyncio

import msgspec

from kaireon_application.learning.endpoint_answer import read_answer
from kaireon_application.learning.external_scoring import EndpointCall
from kaireon_core.decisioning.external import OfferScores
from kaireon_core.learning.external_config import ExternalEndpointConfig
from kaireon_core.learning.fallback import FallbackReason
from kaireon_runtime.catalogue import SCORING_MODEL_FAILURE
from kaireon_runtime.metrics import Metrics
from kaireon_storage.external.breaker import Breakers, Subject
from kaireon_storage.external.client import CallFailed, EndpointClient
from kaireon_storage.external.secrets import Secrets, UnknownSecret

# Between two attempts: whoever has just failed gets a moment.
_PAUSE_SECONDS = 0.02
# Nobody was called, so there is nobody to be left alone.
_NOT_CALLED = (FallbackReason.SECRET, FallbackReason.BLOCKED_ADDRESS)
_encode = msgspec.json.Encoder().encode


class EndpointScoring:
    """Implements `ExternalScoring`; for one event loop."""

    def __init__(self, client: EndpointClient, secrets: Secrets, breakers: Breakers, metrics: Metrics) -> None:
        """Call through this client, with tokens from these secrets, and not while a breaker is open."""
        self._client = client
        self._secrets = secrets
        self._breakers = breakers
        self._metrics = metrics

    async def score(self, call: EndpointCall) -> OfferScores:
        """Return a score or a reason for each of the call's offers."""
        subject = Subject(tenant_id=call.tenant_id, model_id=call.model_id, name=call.model_key)
        admission = await self._breakers.admit(subject, call.endpoint.config.timeout_ms)
        if admission is None:
            return _all(call, FallbackReason.BREAKER_OPEN)
        said = await self._said(call)
        if isinstance(said, OfferScores) and said.scores:
            await self._breakers.succeeded(admission)
            return said
        self._metrics.add(SCORING_MODEL_FAILURE, call.model_key)
        if said not in _NOT_CALLED:
            await self._breakers.failed(admission)
        return _all(call, said) if isinstance(said, FallbackReason) else said

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _said(self, call: EndpointCall) -> OfferScores | FallbackReason:
        config = call.endpoint.config
        try:
            async with asyncio.timeout(config.timeout_ms / 1000):
                answer = await self._attempts(call, config)
        except TimeoutError:
            return FallbackReason.TIMEOUT
        except UnknownSecret:
            return FallbackReason.SECRET
        except CallFailed as failed:
            return failed.reason
        return read_answer(answer, config.response_mapping, call.offers)

    async def _attempts(self, call: EndpointCall, config: ExternalEndpointConfig) -> bytes:
        headers, body = await self._headers(call, config), _encode(call.body)
        for left in reversed(range(config.retries)):
            try:
                return await self._client.post(config.endpoint, headers, body)
            except CallFailed as failed:
                if not left or not failed.is_worth_another:
                    raise
            await asyncio.sleep(_PAUSE_SECONDS)
        raise AssertionError(config.retries)

    async def _headers(self, call: EndpointCall, config: ExternalEndpointConfig) -> dict[str, str]:
        headers = {"X-Tenant-Id": call.tenant_id, "Content-Type": "application/json", "Accept-Encoding": "identity"}
        if config.auth is not None:
            headers["Authorization"] = f"Bearer {await self._secrets.resolve(config.auth.token)}"
        return headers


def _all(call: EndpointCall, reason: FallbackReason) -> OfferScores:
    return OfferScores(scores={}, reasons=dict.fromkeys(call.offers, reason))
