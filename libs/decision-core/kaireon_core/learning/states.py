"""What a model has learnt, checked: the state of each type, as it is written by hand or by a training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kaireon_core.learning.bayesian import BayesianState, bayesian_state_problems
from kaireon_core.learning.definitions import ModelType
from kaireon_core.learning.epsilon_greedy import EpsilonState
from kaireon_core.learning.linear import LinearState
from kaireon_core.learning.neural_cf import NeuralCfState, neural_cf_state_problems
from kaireon_core.learning.parse_boosted import parse_boosted_state
from kaireon_core.learning.thompson import ThompsonState
from kaireon_core.problems import InvalidValue, Problem, convert

# Types that are not here take any object; a scorecard has no state.
_STATE_TYPES: dict[ModelType, Any] = {
    ModelType.BAYESIAN: BayesianState,
    ModelType.LOGISTIC_REGRESSION: LinearState,
    ModelType.LINEAR_REGRESSION: LinearState,
    ModelType.THOMPSON_BANDIT: ThompsonState,
    ModelType.EPSILON_GREEDY: EpsilonState,
    ModelType.ONLINE_LEARNER: LinearState,
    ModelType.NEURAL_CF: NeuralCfState,
}


def parse_state(model_type: ModelType, state: Mapping[str, Any], path: str = "$.modelState") -> Any:
    """Return the state of a model as its type wants it. Raises `InvalidValue` with every problem."""
    if model_type is ModelType.GRADIENT_BOOSTED:
        return parse_boosted_state(state, path)
    parsed: Any = convert(dict(state), _STATE_TYPES.get(model_type, dict[str, Any]), path)
    problems = _CHECKS.get(model_type, _no_problems)(parsed, path)
    if problems:
        raise InvalidValue(problems)
    return parsed


def _no_problems(_state: Any, _path: str) -> tuple[Problem, ...]:
    return ()


_CHECKS: dict[ModelType, Callable[[Any, str], tuple[Problem, ...]]] = {
    ModelType.BAYESIAN: bayesian_state_problems,
    ModelType.NEURAL_CF: neural_cf_state_problems,
}
