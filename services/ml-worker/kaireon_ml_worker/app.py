"""The ML worker over HTTP: an internal service for the other tiers."""

from __future__ import annotations

import hmac
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypeVar
from uuid import UUID

import msgspec
from fastapi import FastAPI, Request, Response
from msgspec import Meta

from kaireon_application.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    KaireonError,
    NotFound,
    Unavailable,
    Unprocessable,
)
from kaireon_application.learning.analysis import ML_WORKER_ROWS, ContentPlan, Engine, PoliciesPlan, SegmentsPlan
from kaireon_application.learning.interaction_rows import SourcedRows
from kaireon_application.learning.score_rows import ModelScoring
from kaireon_application.learning.training import TrainingPlan
from kaireon_application.learning.training_rows import SchemaTrainingRows
from kaireon_core.problems import InvalidValue
from kaireon_ml_worker import analyses
from kaireon_ml_worker.settings import Settings
from kaireon_ml_worker.training import TrainingAbandoned, Trainings
from kaireon_storage.boosting import TreesLoader
from kaireon_storage.learning.analyst import build_analyst
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.entities import PostgresEntities
from kaireon_storage.postgres.model_versions import ModelOwners, PostgresModelVersions
from kaireon_storage.postgres.schema_tables import PostgresSchemaRows
from kaireon_storage.postgres.training_decisions import PostgresTrainingDecisions

CAPABILITIES = (*analyses.CAPABILITIES, "gradient_boosted_training", "scoring")

_STATUS: tuple[tuple[type[KaireonError], int], ...] = (
    (InvalidInput, 400),
    (Forbidden, 403),
    (NotFound, 404),
    (Conflict, 409),
    (Unprocessable, 422),
    (Unavailable, 503),
)
_CLIENT_CLOSED_REQUEST = 499

Body = TypeVar("Body")


class ScoreRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Rows to score with one version of a model (None: the newest).

    The tenant, by id or key, may stand in `X-Tenant-Id` instead, or nowhere while only one has such a model.
    """

    model_key: str
    rows: Annotated[list[dict[str, Any]], Meta(max_length=10_000)]
    version: int | None = None
    tenant_id: str | None = None


def build_app(settings: Settings) -> FastAPI:
    """Return the service; it opens its pool when it starts and closes it when it stops."""
    database = Database(
        settings.database_url, max_connections=4, application_name="kaireon-ml-worker", pooler=settings.database_pooler
    )
    entities = PostgresEntities(database)
    scoring = ModelScoring(entities, PostgresModelVersions(database), TreesLoader())
    schema_rows = SchemaTrainingRows(entities, PostgresSchemaRows(database))
    rows = SourcedRows(schema_rows, PostgresTrainingDecisions(database), entities)
    trainings = Trainings(rows, threads=settings.ml_worker_threads, at_once=settings.ml_worker_trainings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        await database.open()
        try:
            yield
        finally:
            await database.close()

    app = FastAPI(title="Kaireon ML worker", lifespan=lifespan, openapi_url=None)
    _add_errors(app)
    if settings.ml_worker_token is not None:
        _require_token(app, settings.ml_worker_token.get_secret_value())
    _add_routes(app, trainings, scoring, ModelOwners(database))
    analyst = build_analyst(database, Engine.ML_WORKER, ML_WORKER_ROWS)
    _add_analyses(app, analyses.Analyses(analyst, at_once=settings.ml_worker_analyses))
    return app


def _add_routes(app: FastAPI, trainings: Trainings, scoring: ModelScoring, owners: ModelOwners) -> None:
    @app.get("/health")
    async def health() -> dict[str, Any]:
        return {"status": "ok", "capabilities": list(CAPABILITIES)}

    @app.post("/train")
    async def train(request: Request) -> Response:
        plan = _decoded(await request.body(), TrainingPlan)
        return _json(await trainings.train(plan, request.is_disconnected))

    @app.get("/trainings/{training_id}")
    async def progress(training_id: UUID) -> Response:
        found = trainings.progress(training_id)
        if found is None:
            raise NotFound(f"training {training_id} is not running here")
        return _json(found)

    @app.post("/score")
    async def score(request: Request) -> Response:
        wanted = _decoded(await request.body(), ScoreRequest)
        tenant = wanted.tenant_id or request.headers.get("x-tenant-id")
        tenant_id = await owners.owner(wanted.model_key, tenant)
        return _json(await scoring.score_rows(tenant_id, wanted.model_key, wanted.rows, wanted.version))


def _add_analyses(app: FastAPI, running: analyses.Analyses) -> None:
    @app.post("/analyze/segments")
    async def segments(request: Request) -> Response:
        plan = _decoded(await request.body(), SegmentsPlan)
        return _json(await running.analyze(plan, request.is_disconnected))

    @app.post("/analyze/policies")
    async def policies(request: Request) -> Response:
        plan = _decoded(await request.body(), PoliciesPlan)
        return _json(await running.analyze(plan, request.is_disconnected))

    @app.post("/analyze/content")
    async def content(request: Request) -> Response:
        plan = _decoded(await request.body(), ContentPlan)
        return _json(await running.analyze(plan, request.is_disconnected))


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(KaireonError)
    async def on_error(_request: Request, error: KaireonError) -> Response:
        status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
        return _json({"error": {"code": error.code, "message": error.message, "status": status}}, status)

    @app.exception_handler(InvalidValue)
    async def on_invalid(_request: Request, error: InvalidValue) -> Response:
        return _json({"error": {"code": "BAD_REQUEST", "message": str(error), "status": 400}}, 400)

    @app.exception_handler(TrainingAbandoned)
    async def on_abandoned(_request: Request, _error: TrainingAbandoned) -> Response:
        return Response(status_code=_CLIENT_CLOSED_REQUEST)


def _require_token(app: FastAPI, token: str) -> None:
    @app.middleware("http")
    async def check_token(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        sent = request.headers.get("x-ml-worker-token", "")
        if request.url.path != "/health" and not hmac.compare_digest(sent.encode(), token.encode()):
            message = "send ML_WORKER_TOKEN in the header X-ML-Worker-Token"
            return _json({"error": {"code": "FORBIDDEN", "message": message, "status": 403}}, 403)
        return await call_next(request)


def _decoded(raw: bytes, type_: type[Body]) -> Body:
    try:
        return msgspec.json.decode(raw, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(str(error)) from error


def _json(content: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")
