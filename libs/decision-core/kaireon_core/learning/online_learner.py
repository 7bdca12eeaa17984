"""The online learner: logistic regression that takes one step of gradient descent with each response.

score = sigmoid(bias + sum of w_i x_i); with reward r and learning rate eta, w_i += eta ((r - score) x_i - l2 w_i) for
the features that the decision had, bias += eta (r - score). (Bottou, Large-scale machine learning with stochastic
gradient descent, 2010.) The steps are taken where the weights are stored, one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import msgspec

from kaireon_core.learning.additive import Additive
from kaireon_core.learning.learned import LearnedForm, LearnedRows, LearnerReference
from kaireon_core.learning.linear import LinearState, compile_logistic
from kaireon_core.learning.model import BoundModel, Explanation, Fields, Scores
from kaireon_core.learning.terms import text_of

# A number counts as this at most; less than the other as nothing. No product of theirs leaves the range of doubles.
_LARGEST, _SMALLEST = 1e6, 1e-100
# What a number is held to before it is scaled.
_BEYOND = 1e100
# Longer texts are no categories.
_LONGEST_VALUE = 100
_UNKNOWN = LearnerReference(model_id="", generation=0, form=LearnedForm.WEIGHTS)


@dataclass(frozen=True, kw_only=True)
class OnlineLearner:
    """A compiled learner: what its state says, and the `predictors` that it learns from."""

    state: LinearState
    predictors: tuple[str, ...]
    model: Additive
    reference: LearnerReference = _UNKNOWN

    @staticmethod
    def of(state: LinearState, predictors: Sequence[str] = ()) -> OnlineLearner:
        """Return the learner of a state; it learns from the fields that have weights too."""
        model = compile_logistic(state)
        fields = tuple(dict.fromkeys([*predictors, *model.fields]))
        return OnlineLearner(state=state, predictors=fields, model=model)

    @property
    def fields(self) -> tuple[str, ...]:
        """The names that it reads."""
        return self.predictors

    def known_as(self, model_id: str, generation: int) -> Self:
        """Return the learner with the place where what it learns is stored."""
        return replace(self, reference=msgspec.structs.replace(_UNKNOWN, model_id=model_id, generation=generation))

    def taught(self, learned: LearnedRows) -> OnlineLearner:
        """Return the learner with the weights that responses have brought about."""
        if learned.weights is None:
            return self
        state = msgspec.structs.replace(self.state, weights=dict(learned.weights), bias=learned.bias)
        return replace(self, state=state, model=compile_logistic(state))

    def shown(self, learned: LearnedRows) -> dict[str, Any]:
        """Return `{"weights", "bias"}`, and `means`, `scales` and `missing` where there are any."""
        state = self.taught(learned).state
        more = {name: values for name in ("missing", "means", "scales") if (values := getattr(state, name))}
        return {"weights": state.weights, "bias": state.bias, **more}

    def score(self, table: Fields) -> Scores:
        """Return the scores by the weights that it has."""
        return self.model.score(table)

    def explain(self, table: Fields, customer: int, candidate: int) -> Explanation:
        """Return what every field adds to the log-odds."""
        return self.model.explain(table, customer, candidate)

    def bound(self, candidates: Fields) -> BoundModel | None:
        """Return the model over the candidates of this table."""
        return self.model.bound(candidates)


def online_features(state: LinearState, values: Mapping[str, Any]) -> dict[str, float]:
    """Return the features of values by field, as the weights are named: numbers scaled, texts as `field=value`."""
    features = dict[str, float]()
    for field, value in values.items():
        if isinstance(value, bool | int | float):
            known = float(min(max(value, -_BEYOND), _BEYOND))
            number = (known - state.means.get(field, 0.0)) / state.scales.get(field, 1.0)
            features[field] = min(max(number, -_LARGEST), _LARGEST)
        else:
            text = text_of(value)
            if text is not None and len(text) <= _LONGEST_VALUE:
                features[f"{field}={text}"] = 1.0
    return {name: value for name, value in features.items() if abs(value) >= _SMALLEST}
