"""`python -m kaireon_worker`: consume the queues.

With `beside` it does so without Celery, for the API that started it; with `drain` it runs what is due and ends.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import warnings

import msgspec
from celery.exceptions import CPendingDeprecationWarning

from kaireon_application.errors import KaireonError
from kaireon_runtime.lifecycle import end_with_parent
from kaireon_runtime.logs import configure_logs
from kaireon_runtime.metrics import Metrics
from kaireon_runtime.serving import collect_rarely, resolve_structs
from kaireon_runtime.settings import load
from kaireon_storage.broker.address import broker_or_refuse
from kaireon_worker.beside import drain_queues, work_beside
from kaireon_worker.handlers import build_handlers
from kaireon_worker.polling import DrainLimits
from kaireon_worker.settings import Settings
from kaireon_worker.worker import build_worker


def main() -> int:
    """Run the worker until it is told to stop; return the exit code."""
    given = _arguments()
    settings = load(Settings)
    if given.mode == "consume":
        broker_or_refuse(settings.broker_url)
    end_with_parent(settings.kaireon_parent_pid)
    configure_logs("worker", settings.log_level, settings.log_format)
    metrics = Metrics()
    handlers = build_handlers(settings, metrics)
    resolve_structs()
    collect_rarely()
    if given.mode == "drain":
        limits = DrainLimits(seconds=given.seconds, job_count=given.jobs)
        try:
            report = asyncio.run(drain_queues(settings, handlers, metrics, limits))
        except KaireonError as error:
            sys.stderr.write(f"kaireon-worker: {error.message}\n")
            return 1
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
        return 0
    if settings.worker_metrics_port is not None:
        metrics.serve("0.0.0.0", settings.worker_metrics_port)  # noqa: S104 - scraped from outside the container
    if given.mode == "beside":
        asyncio.run(work_beside(settings, handlers, metrics))
        return 0
    # Celery warns about root; a container without users has no other.
    warnings.filterwarnings("ignore", message="You're running the worker with superuser privileges")
    # It says in 80 words that nothing changes for us, at every reconnection.
    warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)
    return build_worker(settings, handlers, metrics).run()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m kaireon_worker", description=__doc__)
    parser.add_argument("mode", nargs="?", choices=("consume", "beside", "drain"), default="consume")
    parser.add_argument("--seconds", type=float, default=45.0, help="drain: take nothing new after this time")
    parser.add_argument("--jobs", type=int, default=100, help="drain: run at most so many")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
