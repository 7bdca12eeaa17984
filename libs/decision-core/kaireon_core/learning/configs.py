"""The config of each type of model: a closed table from type to struct, and what a struct alone cannot say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

from kaireon_core.column import compile_test
from kaireon_core.learning.definitions import (
    Count,
    ModelType,
    Name,
    Normalization,
    Penalty,
    PositiveFraction,
    RuleOperator,
    Seed,
    TrainingConfig,
)
from kaireon_core.learning.external_config import ExternalEndpointConfig
from kaireon_core.learning.learner_configs import EpsilonConfig, LearnerConfig, OnlineConfig, ThompsonConfig
from kaireon_core.problems import InvalidValue, Problem, convert

BinEdges: TypeAlias = dict[Name, Annotated[tuple[float, ...], Meta(max_length=1000)]]


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


class BayesianConfig(TrainingConfig, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How naive Bayes smooths its counts, and where it cuts numbers into bins.

    `bin_edges`: rising edges per numeric field; without them training puts `bins` equally full bins.
    """

    name: str | None = None
    seed: Seed = 0
    laplace_smoothing_alpha: Annotated[float, Meta(gt=0, le=1e6)] = 1.0
    bins: Annotated[int, Meta(ge=2, le=100)] = 10
    bin_edges: BinEdges = msgspec.field(default_factory=dict[str, tuple[float, ...]])


class LinearRegressionConfig(TrainingConfig, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How strongly weights are held back: `l2` / 2 times their squared sum is added to the mean loss."""

    name: str | None = None
    seed: Seed = 0
    l2: Penalty = 1e-4


class LogisticRegressionConfig(LinearRegressionConfig, frozen=True, kw_only=True, rename="camel"):
    """How weights are found: by Newton's method to the end, or by `epochs` passes of gradient descent.

    `solver` "auto" is Newton's method unless `learning_rate` or `epochs` is given.
    """

    solver: Literal["auto", "newton", "sgd"] = "auto"
    learning_rate: PositiveFraction | None = None
    epochs: Annotated[int, Meta(ge=1, le=10_000)] | None = None


class ClassWeight(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many times as much a positive row weighs as a negative one."""

    positive: Annotated[float, Meta(gt=0, le=1e6)]


class GradientBoostedConfig(TrainingConfig, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How trees are grown; names and meanings are LightGBM's, in camel case.

    `class_weight` "balanced" makes both classes weigh the same. `monotone_constraints`: 1 where a numeric field may
    only raise the score, -1 where it may only lower it. `calibration`: what turns log-odds into the score, the best on
    held-out rows by default.
    """

    name: str | None = None
    seed: Seed = 0
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
    class_weight: Literal["balanced"] | ClassWeight | None = None
    monotone_constraints: dict[Name, Literal[-1, 0, 1]] = msgspec.field(default_factory=dict[str, Literal[-1, 0, 1]])
    calibration: Literal["none", "auto", "isotonic", "platt"] = "auto"


class NeuralCfConfig(TrainingConfig, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How customers and offers become points, and which fields of the rows hold their ids.

    `user_field` and `item_field` stand in training rows and in rows that are scored; a flow knows both by itself.
    """

    name: str | None = None
    seed: Seed = 0
    embedding_dim: Annotated[int, Meta(ge=1, le=64)] = 8
    hidden_dim: Annotated[int, Meta(ge=1, le=256)] = 16
    learning_rate: PositiveFraction = 0.05
    l2: Penalty = 1e-3
    epochs: Annotated[int, Meta(ge=1, le=1000)] = 20
    batch_size: Annotated[int, Meta(ge=1, le=100_000)] = 256
    user_field: Name = "customerId"
    item_field: Name = "offerId"


Config: TypeAlias = (
    ScorecardConfig
    | BayesianConfig
    | LinearRegressionConfig
    | GradientBoostedConfig
    | LearnerConfig
    | ExternalEndpointConfig
    | NeuralCfConfig
    | dict[str, Any]
)

# Types that are not here yet take any object.
_CONFIG_TYPES: dict[ModelType, Any] = {
    ModelType.SCORECARD: ScorecardConfig,
    ModelType.BAYESIAN: BayesianConfig,
    ModelType.LOGISTIC_REGRESSION: LogisticRegressionConfig,
    ModelType.LINEAR_REGRESSION: LinearRegressionConfig,
    ModelType.GRADIENT_BOOSTED: GradientBoostedConfig,
    ModelType.THOMPSON_BANDIT: ThompsonConfig,
    ModelType.EPSILON_GREEDY: EpsilonConfig,
    ModelType.ONLINE_LEARNER: OnlineConfig,
    ModelType.EXTERNAL_ENDPOINT: ExternalEndpointConfig,
    ModelType.NEURAL_CF: NeuralCfConfig,
}


def parse_config(model_type: ModelType, config: Mapping[str, Any], path: str = "$.config") -> Config:
    """Return the config of a model as its type wants it. Raises `InvalidValue` with every problem."""
    parsed: Config = convert(dict(config), _CONFIG_TYPES.get(model_type, dict[str, Any]), path)
    problems = _CHECKS.get(model_type, _no_problems)(parsed, path)
    if problems:
        raise InvalidValue(problems)
    return _with_rule_ids(parsed) if isinstance(parsed, ScorecardConfig) else parsed


def rising_edges_problems(edges: Mapping[str, tuple[float, ...]], path: str) -> tuple[Problem, ...]:
    """Return a problem for every field whose edges do not rise."""
    return tuple(
        Problem(path=f"{path}.{field}", message="edges must rise")
        for field, cuts in edges.items()
        if any(left >= right for left, right in pairwise(cuts))
    )


def _no_problems(_config: Any, _path: str) -> tuple[Problem, ...]:
    return ()


def _bayesian_problems(config: BayesianConfig, path: str) -> tuple[Problem, ...]:
    return rising_edges_problems(config.bin_edges, f"{path}.binEdges")


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


_CHECKS: dict[ModelType, Callable[[Any, str], tuple[Problem, ...]]] = {
    ModelType.SCORECARD: _scorecard_problems,
    ModelType.BAYESIAN: _bayesian_problems,
}
