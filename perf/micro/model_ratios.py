"""Scoring by models, beside the least that their arithmetic costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import lightgbm
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from kaireon_core.column import Column, Floats
from kaireon_core.learning.feature import Feature, FeatureKind
from kaireon_core.learning.gradient_boosted import GradientBoosted, GradientBoostedState
from kaireon_core.learning.linear import LinearState, compile_logistic
from kaireon_core.learning.model import BoundModel
from kaireon_core.table import CustomerFacts, Table
from kaireon_storage.boosting import load_trees
from perf.micro.timing import Work

# As many fields of the customer as of the offer.
CUSTOMER_FIELDS = ("age", "balance", "tenure_months", "visits", "spend")
OFFER_FIELDS = ("offer.price", "offer.margin", "offer.stock", "offer.value", "offer.rating")
_FIELDS = (*CUSTOMER_FIELDS, *OFFER_FIELDS)
_TREES, _LEAVES, _ROWS = 200, 31, 20_000


@dataclass(frozen=True, slots=True)
class Scored:
    """One customer and C candidates, as a decision has them, and as the (C, features) matrix of the bare expression."""

    table: Table
    matrix: Floats
    rows: NDArray[np.int64]

    @staticmethod
    def of(candidates: int) -> Scored:
        """Return the same numbers every time."""
        rng = np.random.default_rng(5)
        values: list[float] = rng.normal(size=len(CUSTOMER_FIELDS)).tolist()
        customer: dict[str, object] = dict(zip(CUSTOMER_FIELDS, values, strict=True))
        offers = rng.normal(size=(candidates, len(OFFER_FIELDS)))
        columns = {name: Column.from_values(offers[:, place].tolist()) for place, name in enumerate(OFFER_FIELDS)}
        own = np.tile(values, (candidates, 1))
        return Scored(
            table=Table.of([CustomerFacts(customer, {}, {}, {})], columns, candidates),
            matrix=np.ascontiguousarray(np.hstack([own, offers])),
            rows=np.arange(candidates),
        )

    def works(self, model: BoundModel | None, bare: Work) -> dict[str, Work]:
        """Return both sides, once they agree."""
        assert model is not None
        expected = np.asarray(bare())
        assert np.allclose(expit(expected) if expected.max() > 1 else expected, model.score_rows(self.table, self.rows))
        return {"model": lambda: model.score_rows(self.table, self.rows), "bare": bare}


def logistic_works(candidates: int) -> dict[str, Work]:
    """Return a logistic model of ten fields, and the expression on a matrix that is ready."""
    scored = Scored.of(candidates)
    weights = np.linspace(-1, 1, len(_FIELDS))
    state = LinearState(weights=dict(zip(_FIELDS, weights.tolist(), strict=True)), bias=0.1)
    model = compile_logistic(state).bound(scored.table)
    return scored.works(model, lambda: expit(scored.matrix @ weights + 0.1))


def tree_works(candidates: int) -> dict[str, Work]:
    """Return 200 trees of 31 leaves, and the bare prediction of their log-odds on a matrix that is ready."""
    scored = Scored.of(candidates)
    rng = np.random.default_rng(6)
    matrix = rng.normal(size=(_ROWS, len(_FIELDS)))
    labels = (matrix.sum(axis=1) + rng.normal(size=_ROWS) * 3 > 0).astype(float)
    parameters = {"objective": "binary", "verbosity": -1, "num_threads": 1, "num_leaves": _LEAVES, "seed": 0}
    booster = lightgbm.train(parameters, lightgbm.Dataset(matrix, labels), _TREES)
    text = booster.model_to_string()
    features = tuple(Feature(name=name, kind=FeatureKind.NUMERIC) for name in _FIELDS)
    model = GradientBoosted.compile(GradientBoostedState(features=features, trees=text), load_trees(text))
    bare = lightgbm.Booster(model_str=text)
    return scored.works(model.bound(scored.table), lambda: bare.predict(scored.matrix, raw_score=True, num_threads=1))


def model_works(candidates: int) -> Iterator[tuple[str, str, float, dict[str, Work]]]:
    """Yield (name, what is divided by what, budget, works) of each type of model that has a budget."""
    yield (
        "logistic",
        f"a logistic model of ten fields over {candidates} candidates / expit(X @ w + b) on a matrix that is ready",
        2.0,
        logistic_works(candidates),
    )
    yield (
        "trees",
        f"{_TREES} trees of {_LEAVES} leaves over {candidates} candidates / a bare Booster.predict of their log-odds",
        1.15,
        tree_works(candidates),
    )
