"""The models that every response teaches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from kaireon_core.catalog.document import Document
from kaireon_core.learning.bayesian_learner import BayesianLearner
from kaireon_core.learning.compile import ModelNotReady, compile_feature_learner
from kaireon_core.learning.definitions import ModelType
from kaireon_core.learning.learner import known_as
from kaireon_core.learning.model import Model
from kaireon_core.learning.online_learner import OnlineLearner
from kaireon_core.problems import InvalidValue

_BANDITS = frozenset({ModelType.THOMPSON_BANDIT, ModelType.EPSILON_GREEDY})
LEARNING_TYPES = _BANDITS | {ModelType.ONLINE_LEARNER, ModelType.BAYESIAN}
_CLASS_WEIGHTS = {"positive": 1.0, "negative": -1.0}
_CONTINUOUS = "continuous"
_DEFAULT_RATE = 0.05


class LearnerDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """A model that responses teach now; `generation` numbers what it learns since its state was last written.

    `features` is the compiled model of one that learns from the features of decisions, None of a bandit.
    """

    id: str
    model_type: ModelType
    generation: int
    outcome_weights: Mapping[str, float]
    config: Mapping[str, Any]
    features: Any = None

    @property
    def fields(self) -> tuple[str, ...]:
        """The names that it learns from."""
        learner: OnlineLearner | BayesianLearner | None = self.features
        return () if learner is None else learner.fields

    @property
    def rate(self) -> float:
        """How far one response moves the weights of an online learner."""
        return float(self.config.get("learningRate", _DEFAULT_RATE))

    def weight(self, outcome_key: str, classification: str | None) -> float:
        """Return what an outcome is worth, from -1 to 1; 0 teaches nothing."""
        return self.outcome_weights.get(outcome_key, _CLASS_WEIGHTS.get(classification or "", 0.0))


def generation_of(body: Mapping[str, Any]) -> int:
    """Return the number of what a model learns since its state was last written or its learning reset."""
    return int(body.get("learningGeneration") or 0)


def predictors_of(body: Mapping[str, Any], state: Mapping[str, Any] | None) -> list[str] | None:
    """Return the predictors of a model that learns from the features of decisions, None for any other.

    An online learner always does; a bayesian model from its first counts on, or if its `learnMode` says so.
    """
    is_bayesian = body["modelType"] == ModelType.BAYESIAN
    counts_on = is_bayesian and (bool(state) or body.get("learnMode") == _CONTINUOUS)
    if body["modelType"] != ModelType.ONLINE_LEARNER and not counts_on:
        return None
    given: Sequence[Mapping[str, Any]] = body.get("predictors") or ()
    return [str(one["field"]) for one in given if one.get("selected", True)]


def as_learner(
    model: Model,
    body: Mapping[str, Any],
    state: Mapping[str, Any] | None,
    *,
    model_id: str,
    generation: int,
    predictors: Sequence[str] | None,
) -> Model:
    """Return a compiled model that knows what it learns from and where that is stored; others are returned as they are.

    `body` has its `modelType` and `config`.
    """
    if predictors is not None:
        model = compile_feature_learner(str(body["modelType"]), body.get("config") or {}, state, predictors)
    return known_as(model, model_id, generation)


def learners(models: Iterable[Document], states: Mapping[str, Mapping[str, Any] | None]) -> Iterator[LearnerDefinition]:
    """Yield the models of a tenant that learn from responses: active ones that are not archived, shadows too.

    `states` are the current ones by model id, where there are any.
    """
    for model in models:
        body = model.body
        if model.status != "active" or body.get("registryStatus") == "archived":
            continue
        predictors = predictors_of(body, states.get(model.id))
        if predictors is None and body["modelType"] not in _BANDITS:
            continue
        config: dict[str, Any] = body.get("config") or {}
        features = None
        if predictors is not None:
            try:
                features = compile_feature_learner(body["modelType"], config, states.get(model.id), predictors)
            except (ModelNotReady, InvalidValue):
                continue
        yield LearnerDefinition(
            id=model.id,
            model_type=ModelType(body["modelType"]),
            generation=generation_of(body),
            outcome_weights=body.get("outcomeWeights") or {},
            config=config,
            features=features,
        )
