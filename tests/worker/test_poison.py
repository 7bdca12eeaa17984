"""Queue items that are no messages about jobs: kept, and in nobody's way."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any
from uuid import uuid4

import celery
import pytest
import redis

from kaireon_application.platform.job import JobStatus
from kaireon_worker.poison import find_poison
from tests.worker.conftest import JobOwner, StartWorker, eventually


def envelope(**changed: Any) -> dict[str, Any]:
    """Return a queue item like Celery's, with some parts changed."""
    return {
        "body": body([[], {"tenantId": str(uuid4()), "jobId": str(uuid4())}, {"callbacks": None}]),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "py", "task": "kaireon.look", "id": str(uuid4()), "retries": 0, "eta": None},
        "properties": {
            "correlation_id": "one",
            "delivery_info": {"exchange": "", "routing_key": "seed-jobs"},
            "body_encoding": "base64",
            "delivery_tag": "a-tag",
        },
        **changed,
    }


def body(value: Any) -> str:
    """Return a message body."""
    return b64encode(json.dumps(value).encode()).decode()


POISON: list[tuple[Any, str]] = [
    ([], "undecodable_payload"),
    (None, "undecodable_payload"),
    ({"body": "e30=", "properties": {}}, "undecodable_payload"),
    (envelope(body="bm90IGpzb24="), "undecodable_payload"),
    (envelope(body="%%%"), "undecodable_payload"),
    (envelope(body=7), "undecodable_payload"),
    (envelope(body=body(None)), "undecodable_payload"),
    (envelope(body=body([["a"], {}, {}])), "undecodable_payload"),
    (envelope(body=body([[], {"jobId": "\ud800"}, {}])), "undecodable_payload"),
    (envelope(body=body([[], {"tenantId": 1, "jobId": 2}, {}])), "undecodable_payload"),
    (envelope(headers=None), "undecodable_payload"),
    (envelope(headers={"task": "kaireon.look"}), "undecodable_payload"),
    (envelope(headers={"task": 1, "id": "x"}), "undecodable_payload"),
    (envelope(headers={"task": "no.such\u0000task", "id": "x"}), "unknown_type"),
    (envelope(headers={"task": "kaireon.look", "id": "y", "eta": "tomorrow"}), "undecodable_payload"),
    (envelope(**{"content-type": "application/x-python-serialize"}), "undecodable_payload"),
    (envelope(**{"content-encoding": "rot13"}), "undecodable_payload"),
    (envelope(properties={"delivery_tag": "t", "delivery_info": {}, "body_encoding": "gzip"}), "undecodable_payload"),
]


@pytest.mark.parametrize(("item", "code"), POISON)
def test_item_that_names_no_job_is_poison(item: Any, code: str) -> None:
    poison = find_poison("seed-jobs", item)
    assert poison is not None
    assert (poison.queue, poison.code) == ("seed-jobs", code)


def test_message_about_a_job_is_none() -> None:
    assert find_poison("seed-jobs", envelope()) is None


async def test_poison_is_dead_lettered_and_work_goes_on(
    owner: JobOwner, start_worker: StartWorker, redis_url: str
) -> None:
    start_worker()
    items = ["not json", b"\xff\xfe", *(json.dumps(item) for item, _ in POISON)]
    with redis.Redis.from_url(redis_url) as client:
        client.lpush("retrain-jobs", *items)
    with celery.Celery(broker=redis_url, set_as_current=False) as app:
        app.send_task("no.such.task", queue="retrain-jobs", ignore_result=True)

    async def are_all_kept() -> bool:
        dead = await owner.rows("SELECT 1 FROM jobs WHERE status = 'dead' AND queue = 'retrain-jobs'")
        return len(dead) == len(items) + 1

    await eventually(are_all_kept)
    assert (await owner.until_over(await owner.enqueue("count_up"))).status == JobStatus.COMPLETED
