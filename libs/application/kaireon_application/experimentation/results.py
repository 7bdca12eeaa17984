"""What an experiment has shown so far: the counts of each variant, and how sure the differences are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

import msgspec

from kaireon_application.catalog.entities import Entities, Entity, EntityReader
from kaireon_application.catalog.read_entity import require
from kaireon_application.experimentation.experiment import EXPERIMENT
from kaireon_application.experimentation.variant import CONTROL
from kaireon_application.learning.algorithm_model import KIND
from kaireon_core.experimentation.always_valid import compare_always
from kaireon_core.experimentation.proportion import Proportion, wilson_interval
from kaireon_core.experimentation.two_proportions import compare_once

CONFIDENCE = 0.95
# About how large a difference is expected to be where an experiment asks for none.
_DEVIATION = 0.02


class Part(StrEnum):
    """Which part a variant has in an experiment; a former one has no part any more."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"
    HOLDOUT = "holdout"
    FORMER = "former"


class VariantCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in one variant: its decisions, and what was recorded with their recommendation ids."""

    variant: str
    customers: int
    decisions: int
    impressions: int
    positive_outcomes: int
    converted_customers: int

    @property
    def proportion(self) -> Proportion:
        """The customers with a positive outcome among all: customers, not decisions, are assigned independently."""
        return Proportion(self.converted_customers, self.customers)


class ExperimentOutcomes(Protocol):
    """Reads what experiments led to. Raises `Unavailable` while the storage is away."""

    async def by_variant(self, tenant_id: UUID, experiment_key: str, since: datetime) -> list[VariantCounts]:
        """Return the counts of each variant that has decided since an instant."""
        ...


class VariantResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One variant; `rate` is that of customers with a positive outcome, with its Wilson interval; null for nobody."""

    variant: str
    part: Part
    model_id: UUID | None
    customers: int
    decisions: int
    impressions: int
    positive_outcomes: int
    converted_customers: int
    rate: float | None
    ci_lower: float | None
    ci_upper: float | None


class Sequential(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What holds whenever and however often one looks: an always-valid p-value and a confidence sequence."""

    p_value: float
    ci_lower: float
    ci_upper: float
    significant: bool


class VariantComparison(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A variant against a baseline: rates, mine minus theirs; all null while one of them has no customers.

    z-score, p-value and interval hold for one look at an end that was fixed beforehand.
    """

    variant: str
    baseline: str
    uplift: float | None = None
    relative_uplift: float | None = None
    z_score: float | None = None
    p_value: float | None = None
    ci_lower: float | None = None
    ci_upper: float | None = None
    significant: bool = False
    sequential: Sequential | None = None


class ExperimentResults(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The variants, champion first, and each model against the champion and against who is held out."""

    experiment_id: UUID
    experiment_key: str
    status: str
    since: datetime
    confidence: float
    variants: list[VariantResult]
    comparisons: list[VariantComparison]


async def experiment_results(
    entities: Entities, outcomes: ExperimentOutcomes, tenant_id: UUID, reference: str
) -> ExperimentResults:
    """Return the results of an experiment since it was created. Raises `NotFound`."""
    async with entities.reading(tenant_id) as reader:
        experiment = await require(reader, EXPERIMENT.name, reference)
        models = await models_of(reader, experiment)
    counts = await outcomes.by_variant(tenant_id, experiment.key, experiment.created_at)
    return results_of(experiment, models, counts)


async def models_of(reader: EntityReader, experiment: Entity) -> dict[str, Entity]:
    """Return the models of an experiment by id."""
    ids = [str(one["modelId"]) for one in experiment.body["challengers"]]
    champion = experiment.body.get("championModelId")
    return await reader.find(KIND, [*ids, *([str(champion)] if champion else [])])


def results_of(experiment: Entity, models: Mapping[str, Entity], counts: Sequence[VariantCounts]) -> ExperimentResults:
    """Return what these counts say."""
    body = experiment.body
    by_variant = {one.variant: one for one in counts}
    parts = _parts(body, models, list(by_variant))
    deviation = body["promoteThreshold"] or _DEVIATION
    found = {variant: by_variant.get(variant) or _nobody(variant) for variant in parts}
    ids = {model.key: model.id for model in models.values()}
    return ExperimentResults(
        experiment_id=experiment.id,
        experiment_key=experiment.key,
        status=experiment.status,
        since=experiment.created_at,
        confidence=CONFIDENCE,
        variants=[_result(found[variant], part, ids.get(variant)) for variant, part in parts.items()],
        comparisons=[_compare(found[variant], found[baseline], deviation) for variant, baseline in _pairs(parts)],
    )


def _parts(body: Mapping[str, Any], models: Mapping[str, Entity], seen: Sequence[str]) -> dict[str, Part]:
    """Return the variants with their parts; of an unnamed champion it is known only what decided as one."""
    keys = [models[id_].key for one in body["challengers"] if (id_ := str(one["modelId"])) in models]
    others = [variant for variant in seen if variant not in keys and variant != CONTROL]
    champion = models.get(str(body.get("championModelId")))
    champions = [champion.key] if champion else others[:1]
    parts = dict.fromkeys(champions, Part.CHAMPION)
    parts |= {key: Part.CHALLENGER for key in keys if key not in parts}
    parts |= {variant: Part.FORMER for variant in sorted(others) if variant not in parts}
    if body.get("holdoutPercent") or CONTROL in seen:
        parts[CONTROL] = Part.HOLDOUT
    return parts


def _pairs(parts: Mapping[str, Part]) -> Iterator[tuple[str, str]]:
    models = [variant for variant, part in parts.items() if part in (Part.CHAMPION, Part.CHALLENGER)]
    champion = next((variant for variant, part in parts.items() if part is Part.CHAMPION), None)
    if champion is not None:
        yield from ((variant, champion) for variant in models if variant != champion)
    if CONTROL in parts:
        yield from ((variant, CONTROL) for variant in models)


def _nobody(variant: str) -> VariantCounts:
    return VariantCounts(
        variant=variant, customers=0, decisions=0, impressions=0, positive_outcomes=0, converted_customers=0
    )


def _result(counts: VariantCounts, part: Part, model_id: UUID | None) -> VariantResult:
    interval = wilson_interval(counts.proportion, CONFIDENCE) or (None, None)
    return VariantResult(
        **msgspec.structs.asdict(counts),
        part=part,
        model_id=model_id,
        rate=counts.proportion.rate,
        ci_lower=interval[0],
        ci_upper=interval[1],
    )


def _compare(mine: VariantCounts, theirs: VariantCounts, deviation: float) -> VariantComparison:
    once = compare_once(mine.proportion, theirs.proportion, CONFIDENCE)
    always = compare_always(mine.proportion, theirs.proportion, CONFIDENCE, deviation)
    rate, baseline = mine.proportion.rate, theirs.proportion.rate
    if once is None or always is None or rate is None or baseline is None:
        return VariantComparison(variant=mine.variant, baseline=theirs.variant)
    return VariantComparison(
        variant=mine.variant,
        baseline=theirs.variant,
        uplift=rate - baseline,
        relative_uplift=(rate - baseline) / baseline if baseline else None,
        z_score=once.z_score,
        p_value=once.p_value,
        ci_lower=once.ci_lower,
        ci_upper=once.ci_upper,
        significant=once.p_value < 1 - CONFIDENCE,
        sequential=Sequential(
            p_value=always.p_value,
            ci_lower=always.ci_lower,
            ci_upper=always.ci_upper,
            significant=always.p_value < 1 - CONFIDENCE,
        ),
    )
