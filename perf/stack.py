"""The running stack, as a client sees it: where it is, whom it can decide for, and among how many candidates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import msgspec

RUN_FILE = Path(__file__).parents[1] / "var/run/kaireon.json"
FLOW_KEY = "completejourney-nba"
# Every offer on every creative enters a flow; those that fit the request are left after this stage.
MATCHED_STAGE = "match_creatives"
WANTED_CANDIDATES = 100
WANTED_CUSTOMERS = 500
MOST_PAGES = 100
LIMIT = 5
EMPTY_MARK = b'"count":0,'
OK = 200


class Running(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What `make run` wrote down, as far as it is needed here."""

    version: int
    api_url: str
    api_keys: dict[str, str]
    redis_url: str


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of both servers."""

    name: str
    candidates: int
    bodies: list[bytes]


class NotRunning(Exception):
    """There is no stack to measure, or it has no sample data."""


def running(run_file: Path) -> Running:
    """Return the running stack. Raises `NotRunning`."""
    try:
        return msgspec.json.decode(run_file.read_bytes(), type=Running)
    except FileNotFoundError as error:
        message = f"{run_file} is missing: start the stack with `make run` and wait until it is ready"
        raise NotRunning(message) from error


def scenario(api: httpx.Client) -> Scenario:
    """Return requests for many customers through the channel whose candidates come closest to the wanted number."""
    customers = _customers(api)
    probes = [_probe(api, customers[0], channel) for channel in _channels(api)]
    candidates, channel = min(probes, key=lambda probe: abs(probe[0] - WANTED_CANDIDATES))
    return Scenario(
        name=FLOW_KEY,
        candidates=candidates,
        bodies=[msgspec.json.encode(_body(customer, channel)) for customer in customers],
    )


def assert_traced(api: httpx.Client, sample: bytes) -> None:
    """Fail unless the decision of a measured answer is stored with its trace: else something else was measured."""
    recommendation_id = msgspec.json.decode(sample, type=dict[str, Any])["recommendationId"]
    answer = api.get(f"/api/v1/decision-traces/{recommendation_id}")
    assert answer.status_code == OK, f"the trace of {recommendation_id} is missing: {answer.text[:200]}"


def _body(customer: str, channel: str) -> dict[str, Any]:
    return {"customerId": customer, "decisionFlowKey": FLOW_KEY, "channelId": channel, "limit": LIMIT}


def _customers(api: httpx.Client) -> list[str]:
    """Read customers off the interaction history, until there are enough or it ends."""
    found: dict[str, None] = {}
    cursor: str | None = None
    for _ in range(MOST_PAGES):
        page = _get(api, "/api/v1/interaction-history", limit="100", **({"cursor": cursor} if cursor else {}))
        found.update((row["customerId"], None) for row in page["data"])
        cursor = page["pagination"].get("nextCursor")
        if cursor is None or len(found) >= WANTED_CUSTOMERS:
            break
    if not found:
        message = "the stack has no interactions: seed the sample data first"
        raise NotRunning(message)
    return list(found)[:WANTED_CUSTOMERS]


def _channels(api: httpx.Client) -> list[str]:
    """Return the channels on which deciding is no contact yet: elsewhere the caps would soon empty every answer."""
    channels = _get(api, "/api/v1/channels", limit="50")["data"]
    explicit = [channel["id"] for channel in channels if channel["impressionMode"] == "explicit"]
    if not explicit:
        message = "every channel records its impressions itself: there is none to measure on"
        raise NotRunning(message)
    return explicit


def _probe(api: httpx.Client, customer: str, channel: str) -> tuple[int, str]:
    """Decide once and return the number of candidates that fit the request, and the channel."""
    answer = api.post("/api/v1/recommend", json=_body(customer, channel) | {"debug": True})
    answer.raise_for_status()
    document = answer.json()
    passed = {stage["stage"]: stage["out"] for stage in document["meta"]["funnel"]}
    return passed[MATCHED_STAGE], channel


def _get(api: httpx.Client, path: str, **parameters: str) -> dict[str, Any]:
    answer = api.get(path, params=parameters)
    answer.raise_for_status()
    return answer.json()
