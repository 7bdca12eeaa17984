"""Sends the messages that say "look at this job", in the form that Celery's workers read."""

from __future__ import annotations

from typing import Any

from kombu.messaging import Producer

from kaireon_application.platform.jobs import JobSummons
from kaireon_storage.broker.address import BrokerAddress
from kaireon_storage.broker.thread import BrokerThread

# The one Celery task: a message names a job and nothing else.
TASK_NAME = "kaireon.look"


class BrokerAnnouncer:
    """Implements `JobAnnouncer` by messages to Celery's workers."""

    def __init__(self, address: BrokerAddress) -> None:
        """Describe the broker; nothing is opened before the first message."""
        self._thread = BrokerThread(address)

    async def announce(self, summons: JobSummons) -> bool:
        """Send one message; False when the broker cannot be reached."""
        return await self._thread.call(lambda connection: _send(connection, summons)) is not None

    async def backlog_count(self, queue: str) -> int | None:
        """Return how many messages wait in a queue, or None when the broker cannot be reached."""
        return await self._thread.call(lambda connection: int(connection.default_channel.client.llen(queue)))

    async def close(self) -> None:
        """Close the connection; a call in flight is not waited for."""
        await self._thread.close()


def _send(connection: Any, summons: JobSummons) -> bool:
    message_id = str(summons.job_id)
    arguments = {"tenantId": str(summons.tenant_id), "jobId": message_id}
    Producer(connection.default_channel).publish(
        ([], arguments, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}),
        exchange="",
        routing_key=summons.queue,
        serializer="json",
        correlation_id=message_id,
        reply_to="",
        headers=_headers(message_id, arguments),
    )
    return True


def _headers(message_id: str, arguments: dict[str, str]) -> dict[str, Any]:
    """Return the headers of Celery's message protocol, version 2 (docs.celeryq.dev, internals/protocol)."""
    return {
        "lang": "py",
        "task": TASK_NAME,
        "id": message_id,
        "root_id": message_id,
        "parent_id": None,
        "group": None,
        "shadow": None,
        "eta": None,
        "expires": None,
        "retries": 0,
        "timelimit": [None, None],
        "argsrepr": "()",
        "kwargsrepr": repr(arguments),
        "origin": "kaireon",
        "ignore_result": True,
    }
