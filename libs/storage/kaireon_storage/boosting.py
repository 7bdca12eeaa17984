"""Tree ensembles by LightGBM, as the functions that the core scores with."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import sha256
from typing import TYPE_CHECKING, cast

import numpy as np

from kaireon_core.learning.compile import ModelNotReady
from kaireon_core.learning.gradient_boosted import Trees

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
    # Imported here because that takes a second, and more beside pandas: no process waits for it to start, and one
    # without such models never pays it.
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

    return Trees(predict_raw, predict_contributions)
