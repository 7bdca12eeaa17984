"""From what is stored about a model to the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

import msgspec

from kaireon_core.learning.bayesian import BayesianState, compile_bayesian
from kaireon_core.learning.bayesian_learner import BayesianLearner
from kaireon_core.learning.configs import BayesianConfig, NeuralCfConfig, ScorecardConfig, parse_config
from kaireon_core.learning.definitions import ModelType
from kaireon_core.learning.epsilon_greedy import EpsilonGreedy
from kaireon_core.learning.external_config import ExternalEndpointConfig
from kaireon_core.learning.external_endpoint import ExternalEndpoint
from kaireon_core.learning.gradient_boosted import GradientBoosted, GradientBoostedState, Trees
from kaireon_core.learning.learner_configs import EpsilonConfig, ThompsonConfig
from kaireon_core.learning.linear import LinearState, compile_linear, compile_logistic
from kaireon_core.learning.model import Model
from kaireon_core.learning.neural_cf import NeuralCf
from kaireon_core.learning.online_learner import OnlineLearner
from kaireon_core.learning.onnx_imported import OnnxImported, OnnxState, Predict
from kaireon_core.learning.scorecard import Scorecard
from kaireon_core.learning.states import parse_state
from kaireon_core.learning.thompson import ThompsonBandit
from kaireon_core.learning.untrained import Untrained
from kaireon_core.problems import InvalidValue

# Makes an ensemble of its stored text; given by whoever has a library for trees.
LoadTrees: TypeAlias = Callable[[str], Trees]
# Imported graphs, by the hash of their bytes; read by whoever has a library for them, before models are compiled.
Graphs: TypeAlias = Mapping[str, Predict]
State: TypeAlias = Mapping[str, Any]


class ModelNotReady(Exception):
    """The model cannot score as it is: untrained, damaged, or of a type that has no scorer here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Libraries:
    """What scores by libraries that are not known here."""

    load_trees: LoadTrees
    graphs: Graphs


def compile_model(
    model_type: str,
    config: Mapping[str, Any],
    state: State | None,
    load_trees: LoadTrees,
    graphs: Graphs = MappingProxyType({}),
) -> Model:
    """Return the model of a stored config and the state of its newest version (None: never trained).

    `graphs` has the imported graph that `imported_graph` names, if it names one. Raises `ModelNotReady` when there is
    nothing sound to score with, `InvalidValue` when the config is damaged.
    """
    compiler = next((compiler for type_, compiler in _COMPILERS.items() if type_ == model_type), None)
    if compiler is None:
        message = f"models of type {model_type} cannot score yet"
        raise ModelNotReady(message)
    return compiler(config, state, Libraries(load_trees=load_trees, graphs=graphs))


def _scorecard(config: Mapping[str, Any], _state: State | None, _libraries: Libraries) -> Model:
    parsed = parse_config(ModelType.SCORECARD, config)
    if not isinstance(parsed, ScorecardConfig):
        raise TypeError(parsed)
    return Scorecard.compile(parsed)


def _gradient_boosted(_config: Mapping[str, Any], state: State | None, libraries: Libraries) -> Model:
    try:
        version = msgspec.convert(_trained(state), GradientBoostedState)
    except msgspec.ValidationError as error:
        message = f"its stored version is damaged: {error}"
        raise ModelNotReady(message) from error
    return GradientBoosted.compile(version, libraries.load_trees(version.trees))


def _bayesian(config: Mapping[str, Any], state: State | None, _libraries: Libraries) -> Model:
    parsed = parse_config(ModelType.BAYESIAN, config)
    if not isinstance(parsed, BayesianConfig):
        raise TypeError(parsed)
    if not state:
        return Untrained()
    counts: BayesianState = _parsed_state(ModelType.BAYESIAN, state)
    return compile_bayesian(parsed, counts) if counts.has_both_classes else Untrained()


def _logistic(_config: Mapping[str, Any], state: State | None, _libraries: Libraries) -> Model:
    return compile_logistic(_parsed_state(ModelType.LOGISTIC_REGRESSION, state)) if state else Untrained()


def _linear(_config: Mapping[str, Any], state: State | None, _libraries: Libraries) -> Model:
    return compile_linear(_parsed_state(ModelType.LINEAR_REGRESSION, _trained(state)))


def _external_endpoint(config: Mapping[str, Any], _state: State | None, _libraries: Libraries) -> Model:
    parsed = parse_config(ModelType.EXTERNAL_ENDPOINT, config)
    if not isinstance(parsed, ExternalEndpointConfig):
        raise TypeError(parsed)
    return ExternalEndpoint(config=parsed)


def _trained(state: State | None) -> State:
    if not state:
        message = "the model has not been trained yet"
        raise ModelNotReady(message)
    return state


def _parsed_state(model_type: ModelType, state: State) -> Any:
    try:
        return parse_state(model_type, state)
    except InvalidValue as error:
        message = f"its stored state is damaged: {error}"
        raise ModelNotReady(message) from error


def _thompson(config: Mapping[str, Any], state: State | None, _libraries: Libraries) -> Model:
    parsed = parse_config(ModelType.THOMPSON_BANDIT, config)
    if not isinstance(parsed, ThompsonConfig):
        raise TypeError(parsed)
    return ThompsonBandit.of(parsed, _parsed_state(ModelType.THOMPSON_BANDIT, state or {}))


def _epsilon_greedy(config: Mapping[str, Any], state: State | None, _libraries: Libraries) -> Model:
    parsed = parse_config(ModelType.EPSILON_GREEDY, config)
    if not isinstance(parsed, EpsilonConfig):
        raise TypeError(parsed)
    return EpsilonGreedy.of(parsed, _parsed_state(ModelType.EPSILON_GREEDY, state or {}))


def _online_learner(_config: Mapping[str, Any], state: State | None, _libraries: Libraries) -> Model:
    return compile_feature_learner(ModelType.ONLINE_LEARNER, {}, state, ())


def compile_feature_learner(
    model_type: str, config: Mapping[str, Any], state: State | None, predictors: Sequence[str]
) -> OnlineLearner | BayesianLearner:
    """Return a model that learns from the features of decisions, `predictors` among them. Raises as `compile_model`."""
    if model_type == ModelType.ONLINE_LEARNER:
        weights: LinearState = _parsed_state(ModelType.ONLINE_LEARNER, state or {"weights": {}})
        return OnlineLearner.of(weights, predictors)
    parsed = parse_config(ModelType.BAYESIAN, config)
    if not isinstance(parsed, BayesianConfig):
        raise TypeError(parsed)
    counts: BayesianState | None = _parsed_state(ModelType.BAYESIAN, state) if state else None
    return BayesianLearner.of(parsed, counts, predictors)


def _neural_cf(config: Mapping[str, Any], state: State | None, _libraries: Libraries) -> Model:
    parsed = parse_config(ModelType.NEURAL_CF, config)
    if not isinstance(parsed, NeuralCfConfig):
        raise TypeError(parsed)
    return NeuralCf.compile(parsed, _parsed_state(ModelType.NEURAL_CF, _trained(state)))


def imported_graph(model_type: str, state: State | None) -> str | None:
    """Return the hash of the graph that a model of this state scores with, None where there is none."""
    found = (state or {}).get("bytesHashSha256")
    return found if model_type == ModelType.ONNX_IMPORTED and isinstance(found, str) else None


def _onnx_imported(_config: Mapping[str, Any], state: State | None, libraries: Libraries) -> Model:
    if not state:
        message = "no graph has been imported"
        raise ModelNotReady(message)
    try:
        imported = msgspec.convert(state, OnnxState)
    except msgspec.ValidationError as error:
        message = f"its stored state is damaged: {error}"
        raise ModelNotReady(message) from error
    predict = libraries.graphs.get(imported.bytes_hash_sha256)
    if predict is None:
        message = "its graph cannot be read here"
        raise ModelNotReady(message)
    return OnnxImported.compile(imported, predict)


_COMPILERS: dict[ModelType, Callable[[Mapping[str, Any], State | None, Libraries], Model]] = {
    ModelType.SCORECARD: _scorecard,
    ModelType.BAYESIAN: _bayesian,
    ModelType.LOGISTIC_REGRESSION: _logistic,
    ModelType.LINEAR_REGRESSION: _linear,
    ModelType.GRADIENT_BOOSTED: _gradient_boosted,
    ModelType.THOMPSON_BANDIT: _thompson,
    ModelType.EPSILON_GREEDY: _epsilon_greedy,
    ModelType.EXTERNAL_ENDPOINT: _external_endpoint,
    ModelType.ONLINE_LEARNER: _online_learner,
    ModelType.NEURAL_CF: _neural_cf,
    ModelType.ONNX_IMPORTED: _onnx_imported,
}
