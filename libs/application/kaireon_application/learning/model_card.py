"""The model card: what a model is, what it was made from, how good it is, and what it is not for.

After Mitchell et al. 2019, Model Cards for Model Reporting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import msgspec

from kaireon_application.catalog.entities import Entities, Entity
from kaireon_application.catalog.read_entity import get_entity
from kaireon_application.learning.algorithm_model import KIND, Promotion
from kaireon_application.learning.training import TRAINED_HERE
from kaireon_application.learning.versions import ModelVersions, VersionSummary
from kaireon_core.learning.definitions import ModelType

_FEW_POSITIVES = 100
_POOR_CALIBRATION = 0.05
_WEAK_AUC = 0.6


class CardModel(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the model is."""

    id: UUID
    key: str
    name: str
    model_type: str
    description: str | None
    family: str
    status: str
    registry_status: str
    version: int


class CardUse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the score is meant to say, and of whom."""

    predicts: str
    score_meaning: str
    learns: str


class CardData(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The rows that the newest version was trained and measured on; null where nothing was."""

    source: str | None
    schema_key: str | None
    target_field: str | None
    rows: int | None
    positives: int | None
    validation_rows: int | None
    split: Any
    trained_at: datetime | None


class CardFeature(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A field that the model reads: its share of the importance, and the direction that it is held to."""

    field: str
    selected: bool
    importance: float | None
    constraint: str | None


class ModelCard(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Everything that somebody should know before they rely on a model."""

    model: CardModel
    intended_use: CardUse
    data: CardData
    features: list[CardFeature]
    metrics: dict[str, Any]
    training: dict[str, Any]
    lifecycle: list[Promotion]
    versions: list[VersionSummary]
    limits: list[str]


async def model_card(entities: Entities, versions: ModelVersions, tenant_id: UUID, reference: str) -> ModelCard:
    """Return the card of a model by id or key. Raises `NotFound`."""
    entity = await get_entity(entities, tenant_id, KIND, reference)
    return card_of(entity, await versions.list(tenant_id, entity.id))


def card_of(entity: Entity, versions: Sequence[VersionSummary]) -> ModelCard:
    """Return the card of a model with these versions, newest first."""
    body = entity.body
    is_trained = body.get("lastTrainedAt") is not None and bool(versions)
    training = dict(versions[0].training) if is_trained else {}
    metrics: dict[str, Any] = dict(body.get("metrics") or {})
    return ModelCard(
        model=CardModel(
            id=entity.id,
            key=entity.key,
            name=entity.name,
            model_type=str(body["modelType"]),
            description=body.get("description"),
            family=str(body["family"]),
            status=entity.status,
            registry_status=str(body["registryStatus"]),
            version=int(body.get("version") or 0),
        ),
        intended_use=_use(body),
        data=CardData(
            source=training.get("source", "schema") if is_trained else None,
            schema_key=training.get("schemaKey", body.get("targetSchemaKey")),
            target_field=training.get("targetField", body.get("targetField")),
            rows=_count(metrics, "rows"),
            positives=_count(metrics, "positives"),
            validation_rows=_count(metrics, "validationRows"),
            split=training.get("split"),
            trained_at=versions[0].created_at if is_trained else None,
        ),
        features=_features(body),
        metrics=metrics,
        # Histograms are for programs, and stand with the version.
        training={name: value for name, value in training.items() if name != "reference"},
        lifecycle=msgspec.convert(body.get("promotions") or [], list[Promotion]),
        versions=[msgspec.structs.replace(one, training=_told(one.training)) for one in versions],
        limits=_limits(body, metrics, is_trained=is_trained),
    )


def _told(training: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in training.items() if name in {"engine", "split", "calibration", "source"}}


_MEANINGS: dict[str, str] = {
    ModelType.SCORECARD: "points of the matched rules, normalised to 0 to 1; no probability",
    ModelType.LINEAR_REGRESSION: "the predicted number, not clamped",
    ModelType.THOMPSON_BANDIT: "a draw from what is believed of the offer's rate of success",
    ModelType.EPSILON_GREEDY: "the offer's mean reward, or a random number when it explores",
    ModelType.EXTERNAL_ENDPOINT: "whatever the service answers",
    ModelType.ONNX_IMPORTED: "whatever the imported graph answers",
}


def _use(body: Mapping[str, Any]) -> CardUse:
    model_type, target = str(body["modelType"]), body.get("targetField")
    automatic = body.get("autoLearn") and body.get("learnMode") == "scheduled"
    return CardUse(
        predicts=f"{target} of {body.get('targetSchemaKey')}" if target else "the answer of a customer to an offer",
        score_meaning=_MEANINGS.get(model_type, "the predicted probability of a positive outcome"),
        learns=f"on schedule: {body.get('learnSchedule') or 'daily'}" if automatic else f"mode {body.get('learnMode')}",
    )


def _features(body: Mapping[str, Any]) -> list[CardFeature]:
    constraints: dict[str, int] = {}
    if body["modelType"] == ModelType.GRADIENT_BOOSTED.value:
        config = cast("dict[str, Any]", body.get("config") or {})
        constraints = cast("dict[str, int]", config.get("monotoneConstraints") or {})
    words = {1: "may only raise the score", -1: "may only lower the score"}
    features = [
        CardFeature(
            field=str(one["field"]),
            selected=bool(one.get("selected", True)),
            importance=one.get("importance"),
            constraint=words.get(constraints.get(str(one["field"]), 0)),
        )
        for one in cast("Sequence[Mapping[str, Any]]", body.get("predictors") or ())
    ]
    if body["modelType"] == ModelType.ONNX_IMPORTED.value:
        names = cast("Mapping[str, Any]", body.get("modelState") or {}).get("featureNames") or ()
        features += [CardFeature(field=one, selected=True, importance=None, constraint=None) for one in names]
    return sorted(features, key=lambda one: (-(one.importance or 0.0), one.field))


def _number(metrics: Mapping[str, Any], name: str) -> float | None:
    """Return a metric, None where there is none: metrics may be written by hand, and hold anything."""
    value = metrics.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _count(metrics: Mapping[str, Any], name: str) -> int | None:
    value = metrics.get(name)
    return value if type(value) is int else None


def _limits(body: Mapping[str, Any], metrics: Mapping[str, Any], *, is_trained: bool) -> list[str]:
    """Return what the numbers say against relying on the model."""
    limits: list[str] = []
    if not is_trained and body["modelType"] in TRAINED_HERE:
        limits.append("It has not been trained; nothing is known of its quality.")
    if body["modelType"] == ModelType.ONNX_IMPORTED.value:
        limits.append("It was trained elsewhere: on what, and how well it does there, is not known here.")
    positives, auc, error = (_number(metrics, name) for name in ("validationPositives", "auc", "calibrationError"))
    if positives is not None and positives < _FEW_POSITIVES:
        limits.append(f"Only {positives:g} positive rows validate: its metrics are uncertain.")
    if auc is not None and auc < _WEAK_AUC:
        limits.append(f"An AUC of {auc:.3f} is little better than chance.")
    if error is not None and error > _POOR_CALIBRATION:
        limits.append(
            f"Its scores miss the observed rates by {error:.3f} on average: rank by them, do not add them up."
        )
    limits.append("It is as good as its rows: customers and offers unlike those are extrapolated.")
    limits.append("Fairness towards groups of customers is not measured here.")
    return limits
