"""The ML worker as an analyst, over HTTP."""

from __future__ import annotations

import asyncio

import httpx
import msgspec

from kaireon_application.errors import Conflict, KaireonError, NotFound, Unavailable
from kaireon_application.learning.analysis import Analysis, AnalysisPlan, ContentPlan, PoliciesPlan, SegmentsPlan
from kaireon_application.learning.analysis_refusals import ANALYSIS_REFUSALS, refused_as
from kaireon_application.learning.content_analysis import ContentAnalysis
from kaireon_application.learning.policy_analysis import PolicyAnalysis
from kaireon_application.learning.segment_analysis import SegmentAnalysis

_CONNECT_SECONDS = 3.0
# The largest analysis takes about a minute on one core.
_ANALYSIS_SECONDS = 240.0
_MOST_BYTES = 8 * 1024 * 1024
_OK = 200

_ANSWERS: dict[type[AnalysisPlan], tuple[str, type[Analysis]]] = {
    SegmentsPlan: ("segments", SegmentAnalysis),
    PoliciesPlan: ("policies", PolicyAnalysis),
    ContentPlan: ("content", ContentAnalysis),
}


class _Failure(msgspec.Struct, frozen=True, kw_only=True):
    code: str
    message: str


class _FailureBody(msgspec.Struct, frozen=True, kw_only=True):
    error: _Failure


class MlAnalyst:
    """Has the ML worker analyse; a connection lives as long as one analysis."""

    def __init__(self, url: str, token: str | None = None) -> None:
        """Take ML_WORKER_URL and, when the ML worker wants one, ML_WORKER_TOKEN."""
        self._url = url
        self._headers = {"content-type": "application/json"} | ({"x-ml-worker-token": token} if token else {})

    async def analyze(self, plan: AnalysisPlan) -> Analysis:
        """Return the answer; leaving early closes the connection, at which the ML worker stops.

        Raises an `Unprocessable` with the code of the refusal, `NotFound`, `Conflict`; `Unavailable` for whatever says
        nothing about the rows: no connection, no answer in time, a refused token, an answer that cannot be read.
        """
        kind, answer = _ANSWERS[type(plan)]
        timeout = httpx.Timeout(_ANALYSIS_SECONDS, connect=_CONNECT_SECONDS)
        try:
            async with asyncio.timeout(_ANALYSIS_SECONDS):
                async with httpx.AsyncClient(base_url=self._url, headers=self._headers, timeout=timeout) as client:
                    status, body = await _post(client, f"/analyze/{kind}", msgspec.json.encode(plan))
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise Unavailable(f"the ML worker cannot be reached: {error or type(error).__name__}") from error
        if status != _OK:
            raise _failure(status, body)
        try:
            return msgspec.json.decode(body, type=answer)
        except msgspec.DecodeError as error:
            raise Unavailable(f"the ML worker's answer cannot be read: {error}") from error


async def _post(client: httpx.AsyncClient, path: str, content: bytes) -> tuple[int, bytes]:
    body = bytearray()
    async with client.stream("POST", path, content=content) as response:
        async for part in response.aiter_bytes():
            body += part
            if len(body) > _MOST_BYTES:
                message = "the ML worker's answer is too large"
                raise Unavailable(message)
        return response.status_code, bytes(body)


def _failure(status: int, body: bytes) -> KaireonError:
    try:
        failure = msgspec.json.decode(body, type=_FailureBody).error
    except msgspec.DecodeError:
        return Unavailable(f"the ML worker answered {status}")
    if failure.code in {refusal.value for refusal in ANALYSIS_REFUSALS}:
        return refused_as(failure.code, failure.message)
    verdict = {"NOT_FOUND": NotFound, "CONFLICT": Conflict}.get(failure.code, Unavailable)
    return verdict(failure.message)
