"""The tables of the overlay, as they are documented: what `values-large.yaml` must come to."""

from __future__ import annotations

from typing import NamedTuple


class Tier(NamedTuple):
    """A row of the tier layout. Resources are (memory, cpu); most is None where nothing scales."""

    key: str
    deployment: str
    least: int
    most: int | None
    requests: tuple[str, str]
    limits: tuple[str, str] | None
    scaler: str | None


TIERS = (
    Tier("api", "api", 6, 50, ("4Gi", "2"), ("8Gi", "4"), "HorizontalPodAutoscaler"),
    Tier("worker", "worker", 4, 30, ("4Gi", "2"), ("8Gi", "4"), "ScaledObject"),
    Tier("mlWorker", "ml-worker", 2, 10, ("8Gi", "2"), ("16Gi", "8"), "ScaledObject"),
    Tier("outboxPublisher", "outbox-publisher", 3, None, ("512Mi", "200m"), None, None),
    Tier("stream", "stream", 2, None, ("2Gi", "1"), None, None),
    Tier("mcp", "mcp", 2, None, ("1Gi", "500m"), None, None),
)
NODE_GROUP = {"kaireon.ai/tier": "api"}
CRON_REQUESTS = ("64Mi", "100m")
CRON_JOBS = (
    "cleanup",
    "engagement-health-recompute",
    "gitops-drift-check",
    "approvals-expire",
    "flow-scheduler-tick",
    "scheduled-retrains",
)
OUTBOX_MIN_AVAILABLE = 2
OUTBOX_POLL_MS = "1000"

# Datastore expectations: path of the value, and what it is.
EXPECTATIONS = (
    ("postgres.mode", "external"),
    ("redis.mode", "external"),
    ("redis.cluster", True),
    ("opensearch.enabled", True),
    ("eventbus.backend", "kafka"),
    ("interactionStore.backend", "dynamodb"),
)


class Alias(NamedTuple):
    """A row of the tables of keys that only the overlay has; `line` is where it stands in values-large.yaml."""

    path: str
    kind: type
    default: object
    line: int
    takes: tuple[str, ...] = ()


ALIASES = (
    Alias("postgresExternalReplicas", int, 2, 163),
    Alias("eventbus.enabled", bool, True, 174),
    Alias("eventbus.backend", str, "kafka", 175, ("kafka", "kinesis", "pulsar")),
    Alias("interactionStore.backend", str, "dynamodb", 178, ("pg", "dynamodb", "scylla", "cassandra")),
)
# What stands at the lines that the pages name.
LINES = {163: "postgresExternalReplicas: 2", 173: "eventbus:", 177: "interactionStore:"}
EVENT_PUBLISHERS = ("redis", "kafka", "msk", "eventbridge", "kinesis")
# What a release of it consists of.
KINDS = {
    "ConfigMap",
    "CronJob",
    "Deployment",
    "HorizontalPodAutoscaler",
    "Job",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "PrometheusRule",
    "ScaledObject",
    "Service",
    "ServiceAccount",
    "ServiceMonitor",
    "TriggerAuthentication",
}
