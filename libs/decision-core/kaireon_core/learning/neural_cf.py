"""Neural collaborative filtering: a customer and an offer as two points that were learnt, and what lies between them.

hidden = relu([user; item] W_hidden + b_hidden), raw = hidden W_output + b_output, score = sigmoid(raw). (He et al.
2017, Neural Collaborative Filtering.) Whoever is not known stands where all known ones stand in the mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray
from scipy.special import expit

from kaireon_core.column import Column, Floats
from kaireon_core.learning.configs import NeuralCfConfig
from kaireon_core.learning.model import BoundModel, Contribution, CustomerFields, Explanation, Fields, Scores
from kaireon_core.learning.terms import text_of
from kaireon_core.problems import Problem
from kaireon_core.table import Axis

_CUSTOMER = "request.customerId"
_OFFER = ("offer.key", "offer.id")
# Customers are scored in chunks of at most this many hidden values (64 MB).
_CHUNK_CELLS = 8_000_000

Value = Annotated[float, Meta(ge=-1e6, le=1e6)]
Vector: TypeAlias = tuple[Value, ...]
Codes: TypeAlias = NDArray[np.int64]


class NeuralCfState(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename={
        "embedding_dim": "embeddingDim",
        "hidden_dim": "hiddenDim",
        "user_embeddings": "userEmbeddings",
        "item_embeddings": "itemEmbeddings",
        "w_hidden": "W_hidden",
        "w_output": "W_output",
    },
):
    """Embeddings of D numbers by id, W_hidden (2 D rows of H numbers), b_hidden (H), W_output (H), b_output."""

    embedding_dim: Annotated[int, Meta(ge=1, le=64)]
    hidden_dim: Annotated[int, Meta(ge=1, le=256)]
    user_embeddings: Annotated[dict[str, Vector], Meta(max_length=200_000)]
    item_embeddings: Annotated[dict[str, Vector], Meta(max_length=200_000)]
    w_hidden: tuple[Vector, ...]
    b_hidden: Vector
    w_output: Vector
    b_output: Value = 0.0


def neural_cf_state_problems(state: NeuralCfState, path: str) -> tuple[Problem, ...]:
    """Return where the sizes of a state disagree."""
    dimension, hidden = state.embedding_dim, state.hidden_dim
    sizes = [
        *((f"userEmbeddings.{key}", len(vector), dimension) for key, vector in state.user_embeddings.items()),
        *((f"itemEmbeddings.{key}", len(vector), dimension) for key, vector in state.item_embeddings.items()),
        ("W_hidden", len(state.w_hidden), 2 * dimension),
        *((f"W_hidden[{place}]", len(row), hidden) for place, row in enumerate(state.w_hidden)),
        ("b_hidden", len(state.b_hidden), hidden),
        ("W_output", len(state.w_output), hidden),
    ]
    wrong = [(place, size, wanted) for place, size, wanted in sizes if size != wanted]
    return tuple(
        Problem(path=f"{path}.{place}", message=f"has {size} entries in place of {wanted}")
        for place, size, wanted in wrong[:100]
    )


@dataclass(frozen=True, slots=True)
class _Side:
    """What one side, users or items, adds to the hidden layer: (n + 1, H), the last row for whoever is not known."""

    codes: Mapping[str, int]
    hidden: Floats

    @staticmethod
    def of(embeddings: Mapping[str, Vector], weights: Floats) -> _Side:
        points = np.array(list(embeddings.values())).reshape(len(embeddings), len(weights))
        mean = points.mean(axis=0) if len(points) else np.zeros(len(weights))
        everybody = np.vstack([points, mean])
        # Row by row: a matrix product may sum otherwise for other numbers of rows.
        hidden = np.sum(everybody[:, :, None] * weights[None], axis=1)
        return _Side({key: code for code, key in enumerate(embeddings)}, hidden)

    @property
    def unknown(self) -> int:
        return len(self.codes)

    def encode(self, columns: Sequence[Sequence[object]]) -> Codes:
        """Return the code of each row: that of the first of its values that is known."""
        codes = [
            next((code for value in values if (code := self.codes.get(text_of(value) or "")) is not None), self.unknown)
            for values in zip(*columns, strict=True)
        ]
        return np.array(codes, np.int64)


@dataclass(frozen=True, slots=True)
class NeuralCf:
    """A compiled model of one customer's taste for one offer. Raw is the log-odds."""

    fields: tuple[str, ...]
    _user_fields: tuple[str, ...]
    _item_field: str
    _users: _Side
    _items: _Side
    _output: Floats
    _bias: float

    @staticmethod
    def compile(config: NeuralCfConfig, state: NeuralCfState) -> NeuralCf:
        """Return the model of a state whose sizes agree."""
        weights = np.array(state.w_hidden)
        users = _Side.of(state.user_embeddings, weights[: state.embedding_dim])
        user_fields = (_CUSTOMER, config.user_field)
        return NeuralCf(
            (*user_fields, *_OFFER, config.item_field),
            user_fields,
            config.item_field,
            _Side(users.codes, users.hidden + np.array(state.b_hidden)),
            _Side.of(state.item_embeddings, weights[state.embedding_dim :]),
            np.array(state.w_output),
            state.b_output,
        )

    def score(self, table: Fields) -> Scores:
        """Return the scores, shape (B, C), or (B, 1) for rows that carry their own offer."""
        users = self._users.encode([_values(table.column(name)[0]) for name in self._user_fields])
        items, axis = self._item_codes(table)
        if axis is Axis.CANDIDATE:
            raw = self.raw(users, self._items.hidden[items][None])
        else:
            raw = self._output_of(self._users.hidden[users] + self._items.hidden[items])[:, None]
        return Scores(expit(raw), raw)

    def raw(self, users: Codes, items: Floats) -> Floats:
        """Return the log-odds (B, C) of users and of what C items add to the hidden layer, (1, C, H)."""
        raw = np.empty((len(users), items.shape[1]))
        step = max(1, _CHUNK_CELLS // max(1, items.size))
        for start in range(0, len(users), step):
            own = self._users.hidden[users[start : start + step]]
            raw[start : start + step] = self._output_of(own[:, None, :] + items)
        return raw

    def encode_customers(self, table: CustomerFields) -> Codes:
        """Return the code of each customer."""
        return self._users.encode([table.values(name) for name in self._user_fields])

    def explain(self, table: Fields, customer: int, candidate: int) -> Explanation:
        """Return what customer and offer add beside unknown ones: their Shapley values, exact for two."""
        columns = [table.column(name) for name in self.fields]
        values = {
            name: column.objects[customer if axis is Axis.CUSTOMER else candidate]
            for name, (column, axis) in zip(self.fields, columns, strict=True)
        }
        user = int(self._users.encode([[values[name]] for name in self._user_fields])[0])
        item = int(self._items.encode([[values[name]] for name in self._item_fields(table)])[0])
        nobody, nothing = self._users.unknown, self._items.unknown
        base, alone = self._one(nobody, nothing), self._one(user, nothing)
        offered, both = self._one(nobody, item), self._one(user, item)
        parts = (
            Contribution(
                field=self._user_fields[1],
                actual=next((values[name] for name in self._user_fields if values[name] is not None), None),
                contribution=((alone - base) + (both - offered)) / 2,
            ),
            Contribution(
                field=self._item_field,
                actual=next((values[name] for name in self._item_fields(table) if values[name] is not None), None),
                contribution=((offered - base) + (both - alone)) / 2,
            ),
        )
        return Explanation(base, tuple(sorted(parts, key=lambda part: (-abs(part.contribution), part.field))))

    def bound(self, candidates: Fields) -> BoundModel:
        """Return the model with what the offers add to the hidden layer looked up."""
        return BoundNeuralCf(self, self._items.hidden[self._item_codes(candidates)[0]])

    def _item_fields(self, table: Fields) -> tuple[str, ...]:
        """Return where the offer's id stands: with the candidate, or in a row that is scored on its own."""
        of_candidate = table.column(_OFFER[0])[1] is Axis.CANDIDATE
        return _OFFER if of_candidate else (*_OFFER, self._item_field)

    def _item_codes(self, table: Fields) -> tuple[Codes, Axis]:
        found = [table.column(name) for name in self._item_fields(table)]
        return self._items.encode([_values(column) for column, _ in found]), found[0][1]

    def _output_of(self, hidden: Floats) -> Floats:
        """Return the log-odds of hidden layers before their relu, (..., H) -> (...)."""
        return np.sum(np.maximum(hidden, 0.0) * self._output, axis=-1) + self._bias

    def _one(self, user: int, item: int) -> float:
        return float(self._output_of(self._users.hidden[user] + self._items.hidden[item]))


@dataclass(frozen=True, slots=True)
class BoundNeuralCf:
    """The model over fixed candidates: `_items` (C, H) is what they add to the hidden layer."""

    _model: NeuralCf
    _items: Floats

    def score_rows(self, table: CustomerFields, rows: NDArray[np.int64]) -> Floats:
        """Return the scores, shape (B, rows); equal to those of `NeuralCf.score` to the last bit."""
        return expit(self._model.raw(self._model.encode_customers(table), self._items[rows][None]))


def _values(column: Column) -> list[object]:
    values: list[object] = column.objects.tolist()
    return values
