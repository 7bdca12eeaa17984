"""The sample pack: seeded and trained through the API, exactly as an operator would."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from kaireon_cli.api_client import Answer, ApiClient
from kaireon_cli.run.screen import Screen

PACK = "completejourney"
_MODEL = "completejourney-redemption"
_FLOW = "completejourney-nba"
# An email counts as contact when it is opened, not when it is decided: asking again and again uses up no cap.
_CHANNEL = "email"
_CUSTOMERS = ("HH-0001", "HH-0007", "HH-0016", "HH-0067", "HH-0100", "HH-0250", "HH-1000")

_OK, _CREATED, _ACCEPTED, _CONFLICT = 200, 201, 202, 409
_POLL_SECONDS = 0.3
_JOB_OVER = frozenset({"completed", "failed", "cancelled", "dead"})


class SampleFailed(Exception):
    """The sample data could not be made ready; the message says at which step and why."""


class _Task(msgspec.Struct, frozen=True, kw_only=True):
    """A job asked for over HTTP: what it does, where it is asked for, and in which queue it waits."""

    doing: str
    path: str
    queue: str


class SampleDecision(msgspec.Struct, frozen=True, kw_only=True):
    """A request that has been answered, and how many offers it was answered with."""

    body: dict[str, Any]
    offer_count: int


async def seed_sample(client: ApiClient, screen: Screen) -> bool:
    """Seed the pack unless it is there; return whether it was seeded now. Raises `SampleFailed`."""
    task = _Task(
        doing=f"seeding the sample data {PACK}",
        path=f"/api/v1/seed-dataset/{PACK}",
        queue="seed-jobs",
    )
    return await _unless(_is_loaded, client, screen, task)


async def train_sample(client: ApiClient, screen: Screen) -> bool:
    """Train the pack's gradient-boosted model unless it is; return whether it was now. Raises `SampleFailed`."""
    task = _Task(
        doing=f"training the model {_MODEL} in the ML worker",
        path=f"/api/v1/algorithm-models/{_MODEL}/train",
        queue="retrain-jobs",
    )
    return await _unless(_is_trained, client, screen, task)


async def decide_sample(client: ApiClient) -> SampleDecision:
    """Ask for decisions until one has offers; return that request. Raises `SampleFailed`."""
    last: SampleDecision | None = None
    for customer in _CUSTOMERS:
        body = {"customerId": customer, "decisionFlowKey": _FLOW, "channel": _CHANNEL, "limit": 3}
        answer = await client.call("POST", "/api/v1/recommend", body)
        if answer.status != _OK:
            raise SampleFailed(f"the first decision was refused: {answer.refusal()}")
        last = SampleDecision(body=body, offer_count=answer.body["count"])
        if last.offer_count > 0:
            return last
    raise SampleFailed("no sample customer is offered anything")


def curl_line(api_url: str, api_key: str, decision: SampleDecision) -> str:
    """Return the command line that asks for this decision."""
    parts = (
        "curl", "-sS", "-X", "POST", f"{api_url}/api/v1/recommend",
        "-H", f"Authorization: Bearer {api_key}", "-H", "Content-Type: application/json",
        "-d", msgspec.json.encode(decision.body).decode(),
    )  # fmt: skip
    return shlex.join(parts)


async def _is_loaded(client: ApiClient) -> bool:
    packs = _content(await client.call("GET", "/api/v1/seed-dataset"), "listing the sample data")["datasets"]
    return any(pack["key"] == PACK and pack["loaded"] for pack in packs)


async def _is_trained(client: ApiClient) -> bool:
    path = f"/api/v1/algorithm-models/{_MODEL}"
    return _content(await client.call("GET", path), f"reading the model {_MODEL}")["lastTrainedAt"] is not None


async def _unless(
    is_done: Callable[[ApiClient], Awaitable[bool]], client: ApiClient, screen: Screen, task: _Task
) -> bool:
    if await is_done(client):
        return False
    screen.step(task.doing)
    started = await client.call("POST", task.path)
    # A run that was killed has left its job behind: the worker goes on with it.
    job_id = await _unfinished_job(client, task) if started.status == _CONFLICT else None
    if job_id is None:
        job_id = _content(started, task.doing)["jobId"]
    await _follow(client, screen, task.doing, job_id)
    return True


async def _unfinished_job(client: ApiClient, task: _Task) -> str | None:
    jobs = _content(await client.call("GET", f"/api/v1/jobs?queue={task.queue}"), "listing the jobs")["data"]
    return next((job["id"] for job in jobs if job["status"] not in _JOB_OVER), None)


async def _follow(client: ApiClient, screen: Screen, doing: str, job_id: str) -> None:
    while True:
        job = _content(await client.call("GET", f"/api/v1/jobs/{job_id}"), doing)
        if job["status"] in _JOB_OVER:
            break
        screen.step(f"{doing}{_progress(job['progress'])}")
        await asyncio.sleep(_POLL_SECONDS)
    if job["status"] != "completed":
        raise SampleFailed(f"{doing}: its job is {job['status']}: {job['error']}")


def _content(answer: Answer, doing: str) -> Any:
    if answer.status not in (_OK, _CREATED, _ACCEPTED):
        raise SampleFailed(f"{doing}: {answer.refusal()}")
    return answer.body


def _progress(progress: dict[str, Any]) -> str:
    processed, total = progress["processed"], progress["total"]
    # In steps of a tenth: without a terminal each new text is a line.
    return f": {min(processed * 10 // total, 10) * 10} %" if total else ""
