"""`python -m kaireon_worker`: consume the queues."""

from __future__ import annotations

import sys
import warnings

from celery.exceptions import CPendingDeprecationWarning

from kaireon_runtime.lifecycle import end_with_parent
from kaireon_runtime.logs import configure_logs
from kaireon_runtime.metrics import Metrics
from kaireon_runtime.settings import load, refuse
from kaireon_storage.broker.address import is_cluster, parse_broker_url
from kaireon_worker.handlers import build_handlers
from kaireon_worker.settings import Settings
from kaireon_worker.worker import build_worker


def main() -> int:
    """Run the worker until it is told to stop; return the exit code."""
    settings = load(Settings)
    try:
        address = parse_broker_url(settings.broker_url)
    except ValueError as error:
        refuse([str(error)])
    if is_cluster(address):
        refuse(
            ["CELERY_BROKER_URL names a Redis Cluster, which Celery cannot use: name a standalone or Sentinel server"]
        )
    end_with_parent(settings.kaireon_parent_pid)
    configure_logs("worker", settings.log_level, settings.log_format)
    # Celery warns about root; a container without users has no other.
    warnings.filterwarnings("ignore", message="You're running the worker with superuser privileges")
    # It says in 80 words that nothing changes for us, at every reconnection.
    warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)
    metrics = Metrics()
    if settings.worker_metrics_port is not None:
        metrics.serve("0.0.0.0", settings.worker_metrics_port)  # noqa: S104 - scraped from outside the container
    return build_worker(settings, build_handlers(settings, metrics), metrics).run()


if __name__ == "__main__":
    sys.exit(main())
