"""Without scikit-learn, as in the worker's image: the ML worker does it, or what is missing is said."""

from __future__ import annotations

import sys

import pytest

from kaireon_application.errors import Unavailable
from kaireon_application.learning.analysis import (
    LOCAL_ROWS,
    ContentRequest,
)
from kaireon_application.learning.ask_analysis import AskAnalysis
from kaireon_application.platform.job import JobStatus
from kaireon_application.platform.jobs import Jobs, JobSummons
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.entities import PostgresEntities
from kaireon_storage.postgres.jobs import PostgresJobBook
from kaireon_testkit.native.ports import free_port
from kaireon_testkit.platform.tenant import Tenant
from tests.core.learning.planted import planted_creatives, planted_rows
from tests.ml_worker.analysis_desk import NOW, Desk, Silent
from tests.ml_worker.conftest import Process
from tests.ml_worker.planted_tenant import plant_creatives, plant_schema

MANY = LOCAL_ROWS + 400


@pytest.fixture
def desk(database: Database, database_url: str, tenant: Tenant) -> Desk:
    """A tenant whose analyses are done here."""
    return Desk(database, database_url, tenant.tenant_id)


@pytest.fixture
def without_learners(monkeypatch: pytest.MonkeyPatch) -> None:
    """No scikit-learn here, as in the worker's image; the ML worker is another process."""
    monkeypatch.setitem(sys.modules, "sklearn", None)


@pytest.mark.usefixtures("without_learners")
async def test_without_learners_the_ml_worker_does_what_needs_them_however_small(
    desk: Desk, ml_worker: Process
) -> None:
    await plant_schema(desk.database, desk.tenant_id, planted_rows(300)[0])
    await plant_creatives(desk.database, desk.tenant_id, planted_creatives(60))
    for plan in (desk.segments(), desk.content()):
        answer = await desk.answer(plan, ml_worker_url=ml_worker.url)
        assert (answer["engine"], answer["sampled"], answer["fallbackReason"]) == ("ml-worker", False, None)
    policies = await desk.answer(desk.policies(), ml_worker_url=ml_worker.url)
    assert (policies["engine"], policies["fallbackReason"]) == ("local", None)


@pytest.mark.usefixtures("without_learners")
@pytest.mark.parametrize("rows", [300, MANY])
async def test_without_learners_and_without_the_ml_worker_is_said_what_is_missing(desk: Desk, rows: int) -> None:
    await plant_schema(desk.database, desk.tenant_id, planted_rows(rows)[0])
    for plan in (desk.segments(), desk.content()):
        record = await desk.run(plan)
        assert (record.status, record.error["code"]) == (JobStatus.FAILED, "UNAVAILABLE")
        assert record.error["message"].startswith("ML_WORKER_URL is not configured")
    gone = await desk.run(desk.segments(), ml_worker_url=f"http://127.0.0.1:{free_port()}")
    assert (gone.status, gone.error["code"]) == (JobStatus.QUEUED, "UNAVAILABLE")


@pytest.mark.usefixtures("without_learners")
async def test_whoever_waits_is_told_what_is_missing(desk: Desk) -> None:
    class AtOnce:
        """Runs what it is told of before its caller looks."""

        async def announce(self, summons: JobSummons) -> bool:
            await desk.look(summons.job_id)
            return True

        backlog_count = Silent.backlog_count

    jobs = Jobs(PostgresJobBook(desk.database), AtOnce())
    ask = AskAnalysis(entities=PostgresEntities(desk.database), jobs=jobs)
    with pytest.raises(Unavailable, match="ML_WORKER_URL is not configured"):
        await ask.content(desk.tenant_id, ContentRequest(), NOW)
