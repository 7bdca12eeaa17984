"""Models as configured things: their wire form and their rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from kaireon_application.catalog.entities import EntityReader
from kaireon_application.catalog.fields import Key, Label, Name, OpenObject, Status, Text
from kaireon_application.catalog.kind import Change, Document, EntityKind, Filter
from kaireon_application.learning.endpoint_rules import endpoint_problems, shown_model, with_stored_token
from kaireon_application.learning.retrain_schedule import schedule_problem
from kaireon_core.learning.configs import parse_config
from kaireon_core.learning.definitions import ModelType, RollbackThresholds
from kaireon_core.learning.external_config import ExternalEndpointConfig
from kaireon_core.learning.lifecycle import RegistryStatus
from kaireon_core.learning.states import parse_state
from kaireon_core.problems import InvalidValue, Problem

KIND = "algorithm_model"

Weight = Annotated[float, Meta(ge=-1, le=1)]


class Predictor(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A field that a model may learn from; training sets `importance`, its share of the total gain."""

    field: Label
    selected: bool = True
    importance: float | None = None


class NewAlgorithmModel(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A model to be registered; `registryStatus`, `version` and what training sets are the server's."""

    name: Name
    model_type: ModelType
    key: Key | None = None
    description: Text | None = None
    status: Status = "draft"
    family: Label | None = None
    config: OpenObject = {}
    target_field: Label | None = None
    target_schema_key: Label | None = None
    predictors: Annotated[list[Predictor], Meta(max_length=1000)] = []
    metrics: OpenObject = {}
    metrics_history: Annotated[list[Any], Meta(max_length=1000)] = []
    model_state: OpenObject = {}
    learning_config: OpenObject = {}
    auto_learn: bool = False
    learn_mode: Literal["none", "manual", "scheduled", "continuous"] = "none"
    learn_schedule: Label | None = None
    outcome_weights: Annotated[dict[str, Weight], Meta(max_length=100)] | None = None
    rollback_thresholds: RollbackThresholds | None = None


class Promotion(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One step of a model through its lifecycle, as its own history keeps it."""

    at: datetime
    previous_status: RegistryStatus
    new_status: RegistryStatus
    by_key_id: str | None = None
    metrics_snapshot: dict[str, Any] | None = None
    bypassed_breaches: list[str] = []


def _prepare(change: Change) -> Document:
    """Return the document with what the server sets on a new model."""
    document = with_stored_token(_with_read_trees(change), change.previous.body if change.previous else None)
    if document.get("family") is None:
        document = {**document, "family": document["name"]}
    if change.previous is not None:
        if "modelState" not in change.given:
            return document
        return {**document, "learningGeneration": next_generation(change.previous.body)}
    return {
        **document,
        "registryStatus": RegistryStatus.DRAFT.value,
        "version": 0,
        "trainingSamples": 0,
        "lastTrainedAt": None,
        "metricsSnapshot": None,
        "promotions": [],
        "learningGeneration": 0,
    }


def _with_read_trees(change: Change) -> Document:
    """Return the document with trees that were written by hand as scoring reads them; unsound ones are left alone."""
    document = change.document
    is_written = "modelState" in change.given and bool(document.get("modelState"))
    if document["modelType"] != ModelType.GRADIENT_BOOSTED.value or not is_written:
        return document
    try:
        state = parse_state(ModelType.GRADIENT_BOOSTED, document["modelState"])
    except InvalidValue:
        return document
    return {**document, "modelState": msgspec.to_builtins(state)}


def next_generation(body: Mapping[str, Any]) -> int:
    """Return the number of what is learnt from now on: what was learnt on top of an earlier state is not part of it."""
    return int(body.get("learningGeneration") or 0) + 1


def _problems(change: Change) -> Iterable[Problem]:
    document, previous = change.document, change.previous
    if previous is not None and document["modelType"] != previous.body["modelType"]:
        yield change.problem("cannot be changed; create another model", "modelType")
        return
    model_type = ModelType(document["modelType"])
    if document.get("learnSchedule") is not None:
        wrong = schedule_problem(document["learnSchedule"], change.caller.at)
        if wrong:
            yield change.problem(wrong, "learnSchedule")
    if model_type is ModelType.ONNX_IMPORTED and "modelState" in change.given:
        stored: Any = previous.body.get("modelState") if previous is not None else {}
        if document["modelState"] != (stored or {}):
            yield change.problem("is set by POST /api/v1/models/import alone; import another model", "modelState")
    for parse, field in ((parse_config, "config"), (parse_state, "modelState")):
        # An empty state is none.
        if field == "modelState" and not (document[field] and field in change.given):
            continue
        try:
            parsed = parse(model_type, document[field], f"{change.path}.{field}")
            if isinstance(parsed, ExternalEndpointConfig):
                yield from endpoint_problems(change, parsed)
        except InvalidValue as error:
            yield from error.problems


async def _check(reader: EntityReader, change: Change) -> Iterable[Problem]:
    """Return a problem for each outcome weight whose sign contradicts the class of its outcome."""
    weights: dict[str, float] = change.document.get("outcomeWeights") or {}
    if not weights:
        return []
    found = await reader.find("outcome_type", list(weights))
    problems: list[Problem] = []
    for key, weight in weights.items():
        if key not in found:
            problems.append(change.problem("there is no such outcome type", "outcomeWeights", key))
        elif _contradicts(weight, str(found[key].body.get("classification"))):
            problems.append(change.problem("its sign contradicts the outcome's class", "outcomeWeights", key))
    return problems


def _contradicts(weight: float, classification: str) -> bool:
    return (classification == "positive" and weight < 0) or (classification == "negative" and weight > 0)


ALGORITHM_MODEL = EntityKind(
    name=KIND,
    noun="algorithm model",
    path="algorithm-models",
    create=NewAlgorithmModel,
    example={
        "key": "premium_card_v1",
        "name": "Premium card",
        "modelType": "scorecard",
        "status": "active",
        "config": {
            "baseScore": 50,
            "minScore": 0,
            "maxScore": 100,
            "normalization": "sigmoid",
            "rules": [{"id": "income", "field": "income", "operator": "gte", "value": 80000, "points": 20}],
        },
    },
    filters=(
        Filter(parameter="modelType", field="modelType", type=ModelType),
        Filter(parameter="registryStatus", field="registryStatus", type=RegistryStatus),
        Filter(parameter="family", field="family"),
    ),
    derived_fields={
        "registry_status": RegistryStatus,
        "version": int,
        "training_samples": int,
        "last_trained_at": datetime | None,
        "metrics_snapshot": dict[str, Any] | None,
        "promotions": list[Promotion],
        "learning_generation": int,
    },
    prepare=_prepare,
    problems=_problems,
    check=_check,
    shown=shown_model,
)
