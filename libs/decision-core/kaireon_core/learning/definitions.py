"""What may be written down about a model of any type; `configs` has the config of each."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from kaireon_core.column import Operator


class ModelType(StrEnum):
    """Every type of model that can be registered."""

    SCORECARD = "scorecard"
    BAYESIAN = "bayesian"
    LOGISTIC_REGRESSION = "logistic_regression"
    LINEAR_REGRESSION = "linear_regression"
    GRADIENT_BOOSTED = "gradient_boosted"
    THOMPSON_BANDIT = "thompson_bandit"
    EPSILON_GREEDY = "epsilon_greedy"
    ONLINE_LEARNER = "online_learner"
    NEURAL_CF = "neural_cf"
    EXTERNAL_ENDPOINT = "external_endpoint"
    ONNX_IMPORTED = "onnx_imported"


class Normalization(StrEnum):
    """How a scorecard's points become a score in [0, 1]."""

    SIGMOID = "sigmoid"
    LINEAR = "linear"


class RuleOperator(StrEnum):
    """The ten operators of a scorecard's rules."""

    EQ = "eq"
    NEQ = "neq"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    IN = "in"
    NOT_IN = "not_in"
    CONTAINS = "contains"
    STARTS_WITH = "starts_with"

    @property
    def comparison(self) -> Operator:
        """The comparison of columns that this is."""
        return Operator(self.value)


Name = Annotated[str, Meta(min_length=1, max_length=255)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
PositiveFraction = Annotated[float, Meta(gt=0, le=1)]
Count = Annotated[int, Meta(ge=1, le=100_000)]
Penalty = Annotated[float, Meta(ge=0)]
Seed = Annotated[int, Meta(ge=0, le=2**31 - 1)]


class RollbackThresholds(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Where the rollback guard trips: `max_auc_drop` and `max_error_rate` are absolute differences."""

    max_auc_drop: Penalty = 0.05
    max_error_rate: Penalty = 0.02
    max_psi: Penalty = 0.25


class TrainingConfig(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How rows become labels and how they are ordered: the part of a config that every trained type has.

    `positive_value`: the label that counts as positive (default: 1, true or "yes"). `time_field`: the field that
    orders the rows before the last 20% are set aside (default: primary-key order).
    """

    positive_value: str | bool | float | None = None
    time_field: Name | None = None
    rollback_thresholds: RollbackThresholds | None = None
