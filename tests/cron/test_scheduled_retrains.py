"""The nightly job that queues the trainings that are due."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from kaireon_application.catalog.kind import Caller
from kaireon_application.catalog.write_entity import create_entity
from kaireon_application.customers.schema import SCHEMA
from kaireon_application.customers.write_schema import create_schema
from kaireon_application.governance.actor import SYSTEM
from kaireon_application.learning.algorithm_model import ALGORITHM_MODEL
from kaireon_application.learning.retrain_schedule import is_due, schedule_problem
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.entities import PostgresEntities
from kaireon_storage.postgres.schema_tables import PostgresSchemas
from kaireon_testkit.platform.tenant import create_tenant
from tests.cron.test_cleanup import run_job

NOW = datetime(2026, 3, 18, 2, 0, tzinfo=UTC)
DUE: list[tuple[str | None, datetime | None, bool]] = [
    (None, None, True),
    # Yesterday's training ended after two o'clock: today's run is due all the same.
    (None, NOW - timedelta(hours=23, minutes=50), True),
    (None, NOW - timedelta(hours=1), False),
    ("0 4 * * 1", NOW - timedelta(days=1), False),
    ("0 4 * * 1", NOW - timedelta(days=3), True),
    ("0 0 1 * *", NOW - timedelta(days=17), False),
    ("0 0 1 * *", NOW - timedelta(days=20), True),
]


@pytest.mark.parametrize(("schedule", "trained_at", "due"), DUE, ids=str)
def test_a_model_is_due_once_its_time_has_come(schedule: str | None, trained_at: datetime | None, *, due: bool) -> None:
    assert is_due(schedule, trained_at, NOW) is due


@pytest.mark.parametrize(("expression", "is_sound"), [("0 2 * * *", True), ("daily", False), ("0 0 31 2 *", False)])
def test_what_is_no_schedule_is_told(expression: str, *, is_sound: bool) -> None:
    assert (schedule_problem(expression, NOW) is None) is is_sound


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An open pool."""
    opened = Database(database_url, max_connections=2, application_name="test")
    await opened.open()
    yield opened
    await opened.close()


async def test_due_trainings_are_queued_once(database: Database, database_url: str) -> None:
    tenant = await create_tenant(database, f"t{uuid4().hex}")
    caller = Caller(tenant_id=tenant.tenant_id, is_admin=True, at=datetime.now(UTC), actor=SYSTEM)
    schema: dict[str, Any] = {
        "key": "bank",
        "name": "bank",
        "fields": [{"name": "id", "dataType": "integer", "isPrimaryKey": True}, {"name": "y", "dataType": "varchar"}],
    }
    await create_schema(PostgresSchemas(database), caller, msgspec.convert(schema, SCHEMA.create))
    trainable = {"targetSchemaKey": "bank", "targetField": "y", "predictors": [{"field": "id"}]}
    scheduled = {"autoLearn": True, "learnMode": "scheduled", "modelType": "bayesian"}
    models: dict[str, dict[str, Any]] = {
        "due": {**scheduled, **trainable},
        "off": {**scheduled, **trainable, "autoLearn": False},
        "manual": {**scheduled, **trainable, "learnMode": "manual"},
        "gone": {**scheduled, **trainable, "status": "archived"},
        "unsound": scheduled,
        "boosted": {**scheduled, **trainable, "modelType": "gradient_boosted"},
        "imported": {**scheduled, **trainable, "modelType": "onnx_imported"},
    }
    for key, body in models.items():
        form = msgspec.convert({"key": key, "name": key, **body}, ALGORITHM_MODEL.create)
        await create_entity(PostgresEntities(database), ALGORITHM_MODEL, caller, form)
    code, line = await run_job(database_url, "scheduled-retrains")
    expected = {"queued": 1, "notDue": 0, "alreadyQueued": 0, "refused": 3}
    assert (code, {name: line[name] for name in expected}) == (0, expected)
    code, line = await run_job(database_url, "scheduled-retrains")
    assert (line["queued"], line["alreadyQueued"]) == (0, 1)
    async with database.system_transaction() as connection:
        cursor = await connection.execute("SELECT queue, type, status, announced_at FROM jobs")
        rows = await cursor.fetchall()
    assert [(row["queue"], row["type"], row["status"], row["announced_at"]) for row in rows] == [
        ("retrain-jobs", "train_model", "queued", None)
    ]
