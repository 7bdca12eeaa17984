"""The Celery application: queues, delivery, and the one task that every message names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from celery import Celery
from kombu.entity import Queue as CeleryQueue

from kaireon_application.platform.job import Queue
from kaireon_storage.broker.address import BrokerAddress
from kaireon_storage.broker.announcer import TASK_NAME

# A message that was not acknowledged comes back after this time. Nothing depends on it: the job's row is the truth,
# and a lapsed lease is announced by a new message.
_VISIBILITY_TIMEOUT_SECONDS = 12 * 3600
_SOCKET_TIMEOUT_SECONDS = 5.0

# Looks at a job of a tenant, and runs it when it is due and free.
Look = Callable[[UUID, UUID], None]


def build_celery(address: BrokerAddress, look: Look, transport: Any = None) -> Celery:
    """Return the application whose one task looks at a job; late acknowledgement, JSON only, no results kept."""
    app = Celery("kaireon", set_as_current=False)
    app.conf.update(
        broker_url=address.url,
        broker_transport=transport,
        broker_use_ssl=address.ssl or False,
        broker_transport_options={
            **address.options,
            "visibility_timeout": _VISIBILITY_TIMEOUT_SECONDS,
            "socket_connect_timeout": _SOCKET_TIMEOUT_SECONDS,
            "socket_keepalive": True,
        },
        broker_connection_retry=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        task_queues=tuple(CeleryQueue(queue.value, routing_key=queue.value) for queue in Queue),
        task_default_queue=Queue.BATCH.value,
        task_create_missing_queues=False,
        task_acks_late=True,
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        enable_utc=True,
    )

    def run(tenantId: str, jobId: str) -> None:  # noqa: N803 - names on the wire
        look(UUID(tenantId), UUID(jobId))

    app.task(run, name=TASK_NAME)
    return app
