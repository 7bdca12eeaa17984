"""The real ML worker as a process, and a tenant with rows to learn from."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
import numpy as np
import pytest

from kaireon_application.catalog.entities import Entity
from kaireon_application.catalog.kind import Caller
from kaireon_application.catalog.write_entity import create_entity
from kaireon_application.customers.schema import SCHEMA
from kaireon_application.customers.schema_data import checked_rows
from kaireon_application.customers.schema_table import table_of
from kaireon_application.customers.write_schema import create_schema
from kaireon_application.learning.algorithm_model import ALGORITHM_MODEL
from kaireon_application.learning.request_training import request_training
from kaireon_application.learning.score_rows import ModelScoring
from kaireon_application.platform.job import Job, JobHandler, JobRun
from kaireon_application.platform.job_runner import JobRunner
from kaireon_application.platform.jobs import JobRecord, Jobs
from kaireon_runtime.metrics import Metrics
from kaireon_storage.boosting import TreesLoader
from kaireon_storage.broker.address import parse_broker_url
from kaireon_storage.broker.announcer import BrokerAnnouncer
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.entities import PostgresEntities
from kaireon_storage.postgres.jobs import PostgresJobBook, PostgresJobStore
from kaireon_storage.postgres.model_versions import PostgresModelVersions
from kaireon_storage.postgres.schema_tables import PostgresSchemaRows, PostgresSchemas
from kaireon_testkit.native.clones import cloned_database
from kaireon_testkit.native.ports import free_port
from kaireon_testkit.patience import PATIENCE_SECONDS
from kaireon_testkit.platform.tenant import Tenant, create_tenant
from kaireon_worker.queues.retrain import retrain_handlers
from kaireon_worker.settings import Settings

ROWS = 1000
START = datetime(2026, 1, 1, tzinfo=UTC)
SCHEMA_BODY = {
    "key": "bank",
    "name": "bank",
    "fields": [
        {"name": "id", "dataType": "integer", "isPrimaryKey": True},
        {"name": "Age", "dataType": "integer"},
        {"name": "default", "dataType": "varchar"},
        {"name": "owner", "dataType": "boolean"},
        {"name": "income", "dataType": "numeric"},
        {"name": "offer.price", "dataType": "double"},
        {"name": "flat", "dataType": "integer"},
        {"name": "note", "dataType": "json"},
        {"name": "contacted", "dataType": "timestamp"},
        {"name": "Y", "dataType": "varchar"},
        {"name": "never", "dataType": "boolean"},
        {"name": "rarely", "dataType": "integer"},
    ],
}
PREDICTORS = ("Age", "default", "owner", "income", "offer.price")


def bank_rows(count: int = ROWS) -> list[dict[str, Any]]:
    """Rows whose label depends on age, default and the price, with nulls among them."""
    rng = np.random.default_rng(7)
    rows: list[dict[str, Any]] = []
    for number in range(count):
        age, price = int(rng.integers(18, 80)), float(rng.integers(0, 10))
        default = str(rng.choice(["yes", "no", "unknown"]))
        drive = age / 30 - (2 if default == "yes" else 0) - price / 8 + rng.normal()
        rows.append(
            {
                "id": number,
                "Age": None if rng.random() < 0.1 else age,
                "default": None if rng.random() < 0.1 else default,
                "owner": bool(rng.random() < 0.5),
                "income": round(float(rng.normal(50_000, 10_000)), 2),
                "offer.price": price,
                "flat": 1,
                "note": {"a": [1]},
                # Newest first: the time field's order is the opposite of the key's.
                "contacted": (START + timedelta(hours=count - number)).isoformat(),
                "Y": "yes" if drive > 1 else "no",
                "never": False,
                "rarely": 1 if number < 19 else 0,
            }
        )
    return rows


class Process:
    """A running ML worker."""

    def __init__(self, url: str, process: subprocess.Popen[bytes], token: str | None) -> None:
        self.url = url
        self.process = process
        self.token = token

    def client(self) -> httpx.AsyncClient:
        headers = {"x-ml-worker-token": self.token} if self.token else {}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=60)


StartMlWorker = Callable[..., Process]


@pytest.fixture(scope="module")
def database_url(template_url: str) -> Iterator[str]:
    """One database for the module: every test has a tenant of its own, and an ML worker takes seconds to start."""
    with cloned_database(template_url) as url:
        yield url


@pytest.fixture
async def tenant(database: Database) -> Tenant:
    """A tenant of the test's own."""
    return await create_tenant(database, f"t{uuid4().hex}")


@pytest.fixture(scope="module")
def start_ml_worker(database_url: str) -> Iterator[StartMlWorker]:
    """Start ML workers as processes; they are killed at the end."""
    started: list[subprocess.Popen[bytes]] = []

    def start(token: str | None = None) -> Process:
        port = free_port()
        environment = {**os.environ, "DATABASE_URL": database_url, "ML_WORKER_PORT": str(port)}
        if token:
            environment["ML_WORKER_TOKEN"] = token
        command = [sys.executable, "-m", "kaireon_ml_worker"]
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)
        started.append(process)
        running = Process(f"http://127.0.0.1:{port}", process, token)
        _wait_until_healthy(running)
        return running

    yield start
    for process in started:
        process.kill()
        process.wait()


def _wait_until_healthy(running: Process) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            if httpx.get(f"{running.url}/health").is_success:
                return
        except httpx.TransportError:
            assert running.process.poll() is None, "the ML worker ended"
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def ml_worker(start_ml_worker: StartMlWorker) -> Process:
    """One ML worker."""
    return start_ml_worker()


class _Nobody:
    """Nobody watches the jobs of these tests; their rows tell everything."""

    def started(self, job: Job) -> None: ...

    def ended(self, job: Job, outcome: str, error: BaseException | None) -> None: ...


async def _at_once(handler: JobHandler, run: JobRun) -> dict[str, Any]:
    return await handler(run)


class Workshop:
    """A tenant with the schema `bank`, and everything that models go through."""

    def __init__(self, database: Database, database_url: str, tenant: Tenant, jobs: Jobs) -> None:
        self.database = database
        self.database_url = database_url
        self.tenant_id = tenant.tenant_id
        self.tenant_key = tenant.key
        self.jobs = jobs
        self.entities = PostgresEntities(database)
        self.versions = PostgresModelVersions(database)
        self.scoring = ModelScoring(self.entities, self.versions, TreesLoader())
        self.caller = Caller(tenant_id=tenant.tenant_id, is_admin=True, at=START)

    async def fill(self) -> None:
        form = msgspec.convert(SCHEMA_BODY, SCHEMA.create)
        schema = await create_schema(PostgresSchemas(self.database), self.caller, form)
        table = table_of(schema.body)
        await PostgresSchemaRows(self.database).insert(self.tenant_id, table, checked_rows(table, bank_rows()))

    async def model(self, key: str, **fields: Any) -> Entity:
        """Create a model; a gradient-boosted one on the predictors that matter, unless told otherwise."""
        document = {
            "key": key,
            "name": key,
            "modelType": "gradient_boosted",
            "targetSchemaKey": "bank",
            "targetField": "Y",
            "predictors": [{"field": name, "selected": True} for name in PREDICTORS],
            "config": {"numIterations": 40},
            **fields,
        }
        form = msgspec.convert(document, ALGORITHM_MODEL.create)
        return await create_entity(self.entities, ALGORITHM_MODEL, self.caller, form)

    async def train(self, key: str, ml_worker_url: str | None) -> JobRecord:
        """Ask for a training, run the job once, and return what became of it."""
        job_id = await request_training(self.entities, self.jobs, self.tenant_id, key, has_ml_worker=True)
        return await self.run(job_id, ml_worker_url)

    async def run(self, job_id: UUID, ml_worker_url: str | None) -> JobRecord:
        """Run a job once and return what became of it."""
        settings = Settings.model_validate({"database_url": self.database_url, "ml_worker_url": ml_worker_url})
        runner = JobRunner(PostgresJobStore(self.database), retrain_handlers(settings, Metrics()), _Nobody(), _at_once)
        await runner.run(self.tenant_id, job_id)
        return await self.jobs.get(self.tenant_id, job_id)

    async def find(self, key: str) -> Entity:
        async with self.entities.reading(self.tenant_id) as reader:
            return (await reader.find("algorithm_model", [key]))[key]


@pytest.fixture
async def workshop(database: Database, database_url: str, tenant: Tenant, redis_url: str) -> AsyncIterator[Workshop]:
    """A tenant with rows to learn from."""
    announcer = BrokerAnnouncer(parse_broker_url(redis_url))
    made = Workshop(database, database_url, tenant, Jobs(PostgresJobBook(database), announcer))
    await made.fill()
    yield made
    await announcer.close()


@pytest.fixture
async def other(workshop: Workshop) -> Workshop:
    """Another tenant, without rows."""
    tenant = await create_tenant(workshop.database, f"t{uuid4().hex}")
    return Workshop(workshop.database, workshop.database_url, tenant, workshop.jobs)
