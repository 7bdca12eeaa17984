"""The tables of the page of deployment tiers, as they are documented: figures, names and settings."""

from __future__ import annotations

from typing import NamedTuple


class Tier(NamedTuple):
    """A row of the tiers: nodes of (processors, GiB) each, decisions a second, and p99 in ms."""

    key: str
    nodes: int
    node: tuple[float, float]
    decisions_per_second: tuple[int, int]
    p99_ms: int


# App Runner twice, ECS on t3.medium, EKS on c6g.xlarge.
TIERS = (
    Tier("hobby", 1, (0.25, 0.5), (5, 10), 800),
    Tier("startup", 1, (1, 2), (50, 100), 200),
    Tier("growth", 2, (2, 4), (500, 1_000), 100),
    Tier("enterprise", 4, (4, 8), (5_000, 50_000), 50),
)
FREE_POSTGRES_MB = 500
FREE_REDIS_COMMANDS_A_DAY = 10_000

# Background jobs: what runs asynchronously, and its queue.
JOBS = {
    "DSAR exports": "dsar-jobs",
    "model retraining": "retrain-jobs",
    "journey wait steps": "journey-jobs",
    "drift detection": "drift-jobs",
    "batch decisioning": "batch-jobs",
    "sample data": "seed-jobs",
}
# Who consumes them: WORKER_INPROCESS of the API of each tier.
MODES = {"hobby": "1", "startup": "0", "growth": "0", "enterprise": "0"}
WORKER_IMAGE = "kaireon-worker"

REDIS_SERVERS = (
    "Upstash",
    "Amazon ElastiCache",
    "AWS MemoryDB",
    "Dragonfly",
    "GCP Memorystore",
    "Azure Cache",
    "your own, 5.0 or later",
)
# Packages of one provider, of which there are none.
PROVIDERS = ("upstash", "elasticache", "memorydb", "dragonfly", "memorystore")

LOCAL_ROWS = 5_000

# Response times: our name of the stage, and the most of its typical milliseconds.
STAGES = {
    "validation": 2,
    "load": 15,
    "enrichment": 30,
    "qualification": 5,
    "contactPolicy": 5,
    "scoring": 20,
    "ranking": 3,
    "optimisation": 10,
    "serialisation": 2,
}
# Percentile and its milliseconds, from and to.
TOTALS = {"p50": (30, 90), "p95": (80, 200), "p99": (120, 400)}
CANDIDATES = (50, 100)

# Scaling levers.
REQUESTS_PER_INSTANCE = (100, 500)
CACHE_HIT_MS = 2
CACHE_SAVES = 0.8
MOST_REPLICAS = 15
CONNECTIONS_WITHOUT_POOLER = 50
CUSTOMERS_OF_A_LIST = 1_000
# A spot instance is told so many seconds before it goes.
SPOT_NOTICE_SECONDS = 120
