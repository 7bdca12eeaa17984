"""A worker ends with whoever started it."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import psutil

from kaireon_application.platform.job import JobStatus
from kaireon_testkit.patience import PATIENCE_SECONDS
from tests.worker.conftest import PROCESS, JobOwner

_SUPERVISOR = """
import os, subprocess, sys
environment = {**os.environ, "KAIREON_PARENT_PID": str(os.getpid())}
child = subprocess.Popen([sys.executable, sys.argv[1], "quick"], env=environment)
print(child.pid, flush=True)
child.wait()
"""


async def test_worker_ends_soon_after_its_supervisor_was_killed(
    owner: JobOwner, database_url: str, redis_url: str
) -> None:
    environment = {**os.environ, "DATABASE_URL": database_url, "REDIS_URL": redis_url}
    command = [sys.executable, "-c", _SUPERVISOR, str(PROCESS)]
    supervisor = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)  # noqa: ASYNC220 - returns at once
    assert supervisor.stdout is not None
    worker = psutil.Process(int(supervisor.stdout.readline()))
    try:
        job_id = await owner.enqueue("block", seconds=600)
        await owner.until(job_id, lambda record: record.status == JobStatus.RUNNING)
    finally:
        supervisor.kill()
        supervisor.wait()
        supervisor.stdout.close()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.05)  # noqa: ASYNC251 - nobody else is waiting here
