"""What may be written down about a model: its types, and the config of each."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from kaireon_core.column import Operator, compile_test
from kaireon_core.problems import InvalidValue, Problem, convert


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


class ScorecardRule(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Points for a customer or candidate whose `field` compares to `value` as `operator` says."""

    field: Name
    operator: RuleOperator
    value: Any
    points: float
    id: Name = ""
    description: str | None = None


class ScorecardConfig(TrainingConfig, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A scorecard: where it starts, how it is normalised, and its rules."""

    name: str | None = None
    base_score: float = 50.0
    min_score: float = 0.0
    max_score: float = 100.0
    normalization: Normalization = Normalization.SIGMOID
    rules: tuple[ScorecardRule, ...] = ()


class GradientBoostedConfig(TrainingConfig, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How trees are grown; names and meanings are LightGBM's, in camel case."""

    name: str | None = None
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0
    num_iterations: Annotated[int, Meta(ge=1, le=10_000)] = 300
    learning_rate: PositiveFraction = 0.05
    num_leaves: Annotated[int, Meta(ge=2, le=4096)] = 31
    max_depth: Annotated[int, Meta(ge=-1, le=64)] = -1
    min_data_in_leaf: Count = 20
    feature_fraction: PositiveFraction = 1.0
    bagging_fraction: PositiveFraction = 1.0
    lambda_l1: Penalty = 0.0
    lambda_l2: Penalty = 0.0
    early_stopping_rounds: Annotated[int, Meta(ge=0, le=10_000)] = 30


Config = ScorecardConfig | GradientBoostedConfig | dict[str, Any]

_CONFIG_TYPES: dict[ModelType, Any] = {
    ModelType.SCORECARD: ScorecardConfig,
    ModelType.GRADIENT_BOOSTED: GradientBoostedConfig,
}


def parse_config(model_type: ModelType, config: Mapping[str, Any], path: str = "$.config") -> Config:
    """Return the config of a model as its type wants it. Raises `InvalidValue` with every problem."""
    parsed: Config = convert(dict(config), _CONFIG_TYPES.get(model_type, dict[str, Any]), path)
    if not isinstance(parsed, ScorecardConfig):
        return parsed
    problems = _scorecard_problems(parsed, path)
    if problems:
        raise InvalidValue(problems)
    return _with_rule_ids(parsed)


def _scorecard_problems(config: ScorecardConfig, path: str) -> tuple[Problem, ...]:
    problems: list[Problem] = []
    if config.max_score <= config.min_score:
        problems.append(Problem(path=f"{path}.maxScore", message="must be greater than minScore"))
    seen: set[str] = set()
    for index, rule in enumerate(config.rules):
        if rule.id and rule.id in seen:
            problems.append(Problem(path=f"{path}.rules[{index}].id", message=f"'{rule.id}' is used twice"))
        seen.add(rule.id)
        try:
            compile_test(rule.operator.comparison, rule.value)
        except ValueError as error:
            problems.append(Problem(path=f"{path}.rules[{index}].value", message=str(error)))
    return tuple(problems)


def _with_rule_ids(config: ScorecardConfig) -> ScorecardConfig:
    """Return the config with ids for the rules that came without one."""
    rules = (
        rule if rule.id else msgspec.structs.replace(rule, id=f"rule_{number}")
        for number, rule in enumerate(config.rules, 1)
    )
    return msgspec.structs.replace(config, rules=tuple(rules))
