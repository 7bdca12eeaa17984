"""From what is stored about a model to the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec

from kaireon_core.learning.configs import ScorecardConfig, parse_config
from kaireon_core.learning.definitions import ModelType
from kaireon_core.learning.gradient_boosted import GradientBoosted, GradientBoostedState, Trees
from kaireon_core.learning.model import Model
from kaireon_core.learning.scorecard import Scorecard
from kaireon_core.learning.untrained import Untrained

# Makes an ensemble of its stored text; given by whoever has a library for trees.
LoadTrees: TypeAlias = Callable[[str], Trees]
State: TypeAlias = Mapping[str, Any]


class ModelNotReady(Exception):
    """The model cannot score as it is: untrained, damaged, or of a type that has no scorer here."""


def compile_model(model_type: str, config: Mapping[str, Any], state: State | None, load_trees: LoadTrees) -> Model:
    """Return the model of a stored config and the state of its newest version (None: never trained).

    Raises `ModelNotReady` when there is nothing sound to score with, `InvalidValue` when the config is damaged.
    """
    compiler = next((compiler for type_, compiler in _COMPILERS.items() if type_ == model_type), None)
    if compiler is None:
        message = f"models of type {model_type} cannot score yet"
        raise ModelNotReady(message)
    return compiler(config, state, load_trees)


def _scorecard(config: Mapping[str, Any], _state: State | None, _load_trees: LoadTrees) -> Model:
    parsed = parse_config(ModelType.SCORECARD, config)
    if not isinstance(parsed, ScorecardConfig):
        raise TypeError(parsed)
    return Scorecard.compile(parsed)


def _gradient_boosted(_config: Mapping[str, Any], state: State | None, load_trees: LoadTrees) -> Model:
    if state is None:
        message = "the model has not been trained yet"
        raise ModelNotReady(message)
    try:
        version = msgspec.convert(state, GradientBoostedState)
    except msgspec.ValidationError as error:
        message = f"its stored version is damaged: {error}"
        raise ModelNotReady(message) from error
    return GradientBoosted.compile(version, load_trees(version.trees))


def _untrained_until_known(config: Mapping[str, Any], state: State | None, _load_trees: LoadTrees) -> Model:
    if state:
        message = "models of this type cannot score yet"
        raise ModelNotReady(message)
    del config
    return Untrained()


_COMPILERS: dict[ModelType, Callable[[Mapping[str, Any], State | None, LoadTrees], Model]] = {
    ModelType.SCORECARD: _scorecard,
    ModelType.BAYESIAN: _untrained_until_known,
    ModelType.LOGISTIC_REGRESSION: _untrained_until_known,
    ModelType.GRADIENT_BOOSTED: _gradient_boosted,
}
