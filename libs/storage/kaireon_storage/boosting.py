"""Tree ensembles by LightGBM, as the functions that the core scores with."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import sha256
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from msgspec.structs import replace

from kaireon_core.learning.compile import ModelNotReady
from kaireon_core.learning.gradient_boosted import Trees
from kaireon_core.learning.leaves import Leaf, LeafTable, Split
from kaireon_runtime.lean_import import without

if TYPE_CHECKING:
    from kaireon_core.column import Floats

_CACHED_ENSEMBLES = 64
# Looked for before LightGBM reads a text: a text that is cut off would end the process, not raise.
_END_OF_TREES = "\nend of trees\n"


class TreesLoader:
    """Makes ensembles of their text and keeps the latest used: a version never changes, so its text is its key."""

    def __init__(self) -> None:
        """Start with nothing loaded."""
        self._loaded: OrderedDict[bytes, Trees] = OrderedDict()

    def __call__(self, text: str) -> Trees:
        """Return the ensemble of a text. Raises `ModelNotReady` when it is damaged."""
        digest = sha256(text.encode()).digest()
        trees = self._loaded.pop(digest, None) or load_trees(text)
        self._loaded[digest] = trees
        if len(self._loaded) > _CACHED_ENSEMBLES:
            self._loaded.popitem(last=False)
        return trees


def load_trees(text: str) -> Trees:
    """Return the ensemble of a LightGBM model text. Raises `ModelNotReady` when it is damaged.

    `Booster.predict` costs 7 microseconds more per call than the bare C function, against 1.5 microseconds per row
    of 100 trees; the public way is worth that.
    """
    if _END_OF_TREES not in text:
        message = "its trees cannot be read: the text is cut off"
        raise ModelNotReady(message)
    # Imported here: no process waits for it to start, and one without such models never pays it. Its bindings to other
    # packages would be 60 MB of every process that scores.
    with without("sklearn", "pandas", "pyarrow"):
        import lightgbm  # noqa: PLC0415

    try:
        booster = lightgbm.Booster(model_str=text)
    except lightgbm.basic.LightGBMError as error:
        message = f"its trees cannot be read: {error}"
        raise ModelNotReady(message) from error
    # One thread: a decision is too small to share, and its rows must not depend on how many are scored together.
    raw = {"raw_score": True, "num_threads": 1}
    contributions = {"pred_contrib": True, "num_threads": 1}

    def predict_raw(matrix: Floats) -> Floats:
        return cast("Floats", booster.predict(np.ascontiguousarray(matrix), **raw))  # pyright: ignore[reportArgumentType]

    def predict_contributions(matrix: Floats) -> Floats:
        return cast("Floats", booster.predict(np.ascontiguousarray(matrix), **contributions))  # pyright: ignore[reportArgumentType]

    return Trees(predict_raw, predict_contributions, _leaves(booster.dump_model()))


def _leaves(dumped: dict[str, Any]) -> LeafTable | None:
    """Return the ensemble by its leaves, None where LightGBM does more than add them up, or asks otherwise."""
    if dumped["num_tree_per_iteration"] != 1 or dumped["average_output"]:
        return None
    try:
        return LeafTable.of([_node(tree["tree_structure"]) for tree in dumped["tree_info"]])
    except _UnknownQuestion:
        return None


class _UnknownQuestion(Exception):
    """A split or a leaf of a kind that is left to LightGBM."""


def _node(dumped: dict[str, Any]) -> Split | Leaf:
    if "leaf_coeff" in dumped:
        raise _UnknownQuestion
    if "leaf_value" in dumped:
        return Leaf(dumped["leaf_value"])
    split = Split(feature=dumped["split_feature"], left=_node(dumped["left_child"]), right=_node(dumped["right_child"]))
    match dumped["decision_type"], dumped["missing_type"]:
        case "==", _:
            return replace(split, categories=frozenset(map(int, dumped["threshold"].split("||"))))
        case "<=", "NaN":
            return replace(split, threshold=float(dumped["threshold"]), missing_goes_left=dumped["default_left"])
        case "<=", "None":
            # Training has seen nothing missing: LightGBM takes NaN for 0.
            threshold = float(dumped["threshold"])
            return replace(split, threshold=threshold, missing_goes_left=threshold >= 0)
        case _:
            raise _UnknownQuestion
