"""TF-IDF and a random forest by scikit-learn: rates learnt from texts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import numpy as np

from kaireon_application.learning.content_analysis import ContentForest
from kaireon_core.column import Floats

_MOST_TERMS = 500
_LEAST_TEXTS = 2
# A term of nearly every text tells none apart.
_LARGEST_SHARE = 0.95
_TREES = 300
_LEAF = 2
# More texts make more trees better, not each of them slower.
_MOST_TEXTS_OF_A_TREE = 2_000
_FEATURE_SHARE = 1 / 3
_LOW, _HIGH = 10, 90
# Words of letters or digits in any script, with what joins their parts: don't, all-in, 5%.
_WORD = r"(?u)\b\w[\w'\u2019-]*%?"


def learn_content(texts: Sequence[str], rates: Floats, weights: Floats, seed: int) -> ContentForest | None:
    """Return a forest over the single words and pairs of words of the texts; None where there is no usable term.

    One job: the sums over trees must not depend on how many processors a machine has.
    """
    # Imported here because that takes a second: only a process that analyses pays it.
    from sklearn.ensemble import RandomForestRegressor  # noqa: PLC0415
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415

    vectorizer: Any = TfidfVectorizer(
        ngram_range=(1, 2),
        min_df=_LEAST_TEXTS,
        max_df=_LARGEST_SHARE,
        max_features=_MOST_TERMS,
        sublinear_tf=True,
        token_pattern=_WORD,
    )
    try:
        matrix = vectorizer.fit_transform(texts)
    except ValueError:
        # Its way to say that no term is left.
        return None
    forest: Any = RandomForestRegressor(
        n_estimators=_TREES,
        min_samples_leaf=_LEAF,
        max_features=_FEATURE_SHARE,
        oob_score=True,
        max_samples=min(_MOST_TEXTS_OF_A_TREE, len(texts)),
        random_state=seed,
        n_jobs=1,
    )
    forest.fit(matrix, rates, sample_weight=weights)
    score = float(forest.oob_score_)

    return ContentForest(
        terms=tuple(vectorizer.get_feature_names_out().tolist()),
        importances=cast("Floats", forest.feature_importances_),
        has_term=matrix.astype(bool).toarray(),
        out_of_bag_r2=score if np.isfinite(score) else None,
        predict=partial(_predicted, vectorizer, forest),
    )


def _predicted(vectorizer: Any, forest: Any, texts: Sequence[str]) -> list[tuple[float, float, float, int]]:
    rows = vectorizer.transform(texts)
    by_tree = np.array([cast("Floats", tree.predict(rows)) for tree in forest.estimators_])
    low, high = np.percentile(by_tree, (_LOW, _HIGH), axis=0)
    known = np.diff(rows.indptr)
    return [
        (float(mean), float(low[row]), float(high[row]), int(known[row]))
        for row, mean in enumerate(by_tree.mean(axis=0))
    ]
