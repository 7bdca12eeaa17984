"""What a training needs to know, and who does it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, cast
from uuid import UUID

import msgspec

from kaireon_application.catalog.entities import Entity
from kaireon_core.column import Column, Kind
from kaireon_core.learning.configs import GradientBoostedConfig, NeuralCfConfig, ScorecardConfig, parse_config
from kaireon_core.learning.definitions import ModelType, TrainingConfig
from kaireon_core.learning.feature import FEATURE_KINDS, FeatureKind
from kaireon_core.learning.training_set import DEFAULT_POSITIVES, Refusal, TrainingRefused
from kaireon_core.table import split_name

TRAINED_HERE = frozenset(
    {
        ModelType.SCORECARD,
        ModelType.BAYESIAN,
        ModelType.LOGISTIC_REGRESSION,
        ModelType.LINEAR_REGRESSION,
        ModelType.GRADIENT_BOOSTED,
        ModelType.NEURAL_CF,
    }
)


# Names no schema: the rows are stored decisions, the target what became of an offer.
INTERACTIONS = "@interactions"
OUTCOME = "@outcome"
# Of a creative, its channel and placement nothing is known that would hold for another decision.
_NOT_LEARNT_FROM = frozenset({"channel", "creative", "placement"})


class PlannedFeature(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A field that is learnt from, and how its values are read."""

    name: str
    kind: FeatureKind


class TrainingPlan(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Everything that a training depends on besides the rows: same plan and rows, same model.

    `training_id` names this training while it runs; it has no part in the result.
    """

    training_id: UUID
    tenant_id: UUID
    model_type: ModelType
    schema_key: str
    target_field: str
    features: tuple[PlannedFeature, ...]
    config: dict[str, Any]
    time_field: str | None = None
    positives: tuple[Any, ...] = DEFAULT_POSITIVES

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields to read: the features, then the target."""
        return (*(feature.name for feature in self.features), self.target_field)


class TrainedModel(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What a training leaves: what scoring needs, how good it is, and how it came about.

    `importances`: per feature, its share of the total gain (0 to 1).
    """

    state: dict[str, Any]
    metrics: dict[str, Any]
    training: dict[str, Any]
    importances: dict[str, float] = msgspec.field(default_factory=dict[str, float])


# Told how far a training is: (processed, total).
ReportProgress: TypeAlias = Callable[[int, int | None], Awaitable[None]]


class Trainer(Protocol):
    """Trains models of one type."""

    async def train(self, plan: TrainingPlan, report: ReportProgress) -> TrainedModel:
        """Return the trained model.

        Raises an `Unprocessable` with the code of the refusal, `Unavailable` when another attempt may succeed, and
        whatever `report` raises.
        """
        ...


class TrainingRows(Protocol):
    """The rows of a schema, for training."""

    async def read(
        self, tenant_id: UUID, schema_key: str, fields: Sequence[str], time_field: str | None
    ) -> Mapping[str, Column]:
        """Return the columns of these fields, ordered by the time field (nulls first), then the primary key.

        Raises `NotFound` when the tenant has no such schema, `Unavailable` while the storage is down.
        """
        ...


def plan_training(training_id: UUID, tenant_id: UUID, model: Entity, schema: Entity | None) -> TrainingPlan:
    """Return the plan for training a model on its schema. Raises `TrainingRefused` when it names what is not there."""
    body = model.body
    schema_key = str(body.get("targetSchemaKey") or "")
    if schema is None:
        reason = f"there is no schema {schema_key!r}" if schema_key else "targetSchemaKey is not set"
        raise TrainingRefused(Refusal.UNKNOWN_SCHEMA, reason)
    types = field_types(schema)
    target = str(body.get("targetField") or "")
    if target not in types:
        reason = f"schema {schema_key} has no field {target!r}" if target else "targetField is not set"
        raise TrainingRefused(Refusal.UNKNOWN_TARGET, reason)
    model_type = ModelType(body["modelType"])
    config = parse_config(model_type, body.get("config") or {})
    common = config if isinstance(config, TrainingConfig) else TrainingConfig()
    if common.time_field is not None and common.time_field not in types:
        raise TrainingRefused(Refusal.UNKNOWN_TIME_FIELD, f"schema {schema_key} has no field {common.time_field!r}")
    features = _features(config, body, types)
    if isinstance(config, GradientBoostedConfig):
        _check_constraints(config, features)
    return TrainingPlan(
        training_id=training_id,
        tenant_id=tenant_id,
        model_type=model_type,
        schema_key=schema.key,
        target_field=target,
        features=features,
        config=dict(body.get("config") or {}),
        time_field=common.time_field,
        positives=DEFAULT_POSITIVES if common.positive_value is None else (common.positive_value,),
    )


def plan_interactions(training_id: UUID, tenant_id: UUID, model: Entity) -> TrainingPlan:
    """Return the plan for training a model on stored decisions and their outcomes. Raises `TrainingRefused`.

    What kind of values its features have shows when they are read: see `with_kinds`.
    """
    model_type, body = ModelType(model.body["modelType"]), model.body
    config = parse_config(model_type, body.get("config") or {})
    if isinstance(config, ScorecardConfig):
        names = [rule.field.removeprefix("customer.") for rule in config.rules]
    elif isinstance(config, NeuralCfConfig):
        names = [config.user_field, config.item_field]
    else:
        predictors = cast("Sequence[Mapping[str, Any]]", body.get("predictors") or ())
        names = [str(predictor["field"]) for predictor in predictors if predictor.get("selected")]
        if not names:
            raise TrainingRefused(Refusal.NO_PREDICTORS, "no predictor has selected: true")
        unknown = next((name for name in names if split_name(name)[0] in _NOT_LEARNT_FROM), None)
        if unknown is not None:
            message = f"predictor {unknown!r} is not learnt from interactions; use customer, context.* or offer.*"
            raise TrainingRefused(Refusal.UNKNOWN_PREDICTOR, message)
    return TrainingPlan(
        training_id=training_id,
        tenant_id=tenant_id,
        model_type=model_type,
        schema_key=INTERACTIONS,
        target_field=OUTCOME,
        features=tuple(PlannedFeature(name=name, kind=FeatureKind.TEXT) for name in dict.fromkeys(names)),
        config=dict(body.get("config") or {}),
        positives=(1,),
    )


def with_kinds(plan: TrainingPlan, columns: Mapping[str, Column]) -> TrainingPlan:
    """Return the plan of a training on interactions with the kinds of features that were found; any other unchanged.

    Text anywhere makes a feature text; else a boolean makes it boolean, and a number a number.
    """
    if plan.schema_key != INTERACTIONS:
        return plan
    features = tuple(PlannedFeature(name=one.name, kind=_kind_of(columns[one.name])) for one in plan.features)
    return msgspec.structs.replace(plan, features=features)


def _kind_of(column: Column) -> FeatureKind:
    kinds = set(column.kinds.tolist())
    if Kind.TEXT in kinds:
        return FeatureKind.TEXT
    return FeatureKind.BOOLEAN if Kind.BOOLEAN in kinds and Kind.NUMBER not in kinds else FeatureKind.NUMERIC


def _features(config: object, body: Mapping[str, Any], types: Mapping[str, str]) -> tuple[PlannedFeature, ...]:
    if isinstance(config, ScorecardConfig):
        return _scorecard_features(config, types)
    if isinstance(config, NeuralCfConfig):
        return tuple(_planned_id(name, body, types) for name in (config.user_field, config.item_field))
    return _selected(body, types)


def _planned_id(name: str, body: Mapping[str, Any], types: Mapping[str, str]) -> PlannedFeature:
    """Return the feature that is an id: each of its values is a category, numbers too."""
    if name not in types or name == body.get("targetField"):
        message = f"the schema has no field {name!r} for ids; name one in config.userField and config.itemField"
        raise TrainingRefused(Refusal.UNKNOWN_PREDICTOR, message)
    return PlannedFeature(name=name, kind=FeatureKind.TEXT)


def field_types(schema: Entity) -> dict[str, str]:
    """Return the type of each field of a schema."""
    fields = cast("Sequence[Mapping[str, Any]]", schema.body.get("fields") or ())
    return {str(field["name"]): str(field["dataType"]) for field in fields}


def _selected(body: Mapping[str, Any], types: Mapping[str, str]) -> tuple[PlannedFeature, ...]:
    predictors = cast("Sequence[Mapping[str, Any]]", body.get("predictors") or ())
    names = list(dict.fromkeys(str(predictor["field"]) for predictor in predictors if predictor.get("selected")))
    if not names:
        raise TrainingRefused(Refusal.NO_PREDICTORS, "no predictor has selected: true")
    return tuple(_planned(name, body, types) for name in names)


def _planned(name: str, body: Mapping[str, Any], types: Mapping[str, str]) -> PlannedFeature:
    kind = FEATURE_KINDS.get(types.get(name, ""))
    if name not in types:
        raise TrainingRefused(Refusal.UNKNOWN_PREDICTOR, f"the schema has no field {name!r}")
    if kind is None:
        message = f"predictor {name!r} is of type {types[name]}, which cannot be learnt from; add a numeric field"
        raise TrainingRefused(Refusal.UNKNOWN_PREDICTOR, message)
    if name == body.get("targetField"):
        raise TrainingRefused(Refusal.UNKNOWN_PREDICTOR, f"{name!r} is the target, so it cannot be a predictor")
    return PlannedFeature(name=name, kind=kind)


def _check_constraints(config: GradientBoostedConfig, features: Sequence[PlannedFeature]) -> None:
    kinds = {feature.name: feature.kind for feature in features}
    for name, direction in config.monotone_constraints.items():
        if name not in kinds:
            message = f"config.monotoneConstraints names {name!r}, which is no selected predictor"
            raise TrainingRefused(Refusal.UNKNOWN_PREDICTOR, message)
        if direction and kinds[name] is not FeatureKind.NUMERIC:
            message = f"config.monotoneConstraints names {name!r}, which is categorical: it has no order"
            raise TrainingRefused(Refusal.UNKNOWN_PREDICTOR, message)


def _scorecard_features(config: ScorecardConfig, types: Mapping[str, str]) -> tuple[PlannedFeature, ...]:
    """Return the schema's fields that the rules read; the others are null in every row."""
    names = dict.fromkeys(rule.field.removeprefix("customer.") for rule in config.rules)
    kinds = {name: FEATURE_KINDS.get(types[name], FeatureKind.TEXT) for name in names if name in types}
    return tuple(PlannedFeature(name=name, kind=kind) for name, kind in kinds.items())
