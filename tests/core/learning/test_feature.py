from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kaireon_core.column import Column
from kaireon_core.learning.feature import NULL_CODE, Encoder, Feature, FeatureKind, fit_feature

ANYTHING = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(-5, 5)
    | st.sampled_from(["", "a", "b", "True", "1"])
    | st.lists(st.integers(0, 2), max_size=2)
    | st.dictionaries(st.sampled_from(["a"]), st.integers(0, 1), max_size=1)
)
KINDS = st.sampled_from(list(FeatureKind))
WANTED: dict[FeatureKind, tuple[type, ...]] = {
    FeatureKind.NUMERIC: (int, float),
    FeatureKind.TEXT: (str,),
    FeatureKind.BOOLEAN: (bool,),
}


@given(kind=KINDS, seen=st.lists(ANYTHING, max_size=12), asked=st.lists(ANYTHING, max_size=12))
def test_encoding_laws(kind: FeatureKind, seen: list[Any], asked: list[Any]) -> None:
    feature = fit_feature("x", kind, Column.from_values(seen))
    codes = Encoder(feature).encode(Column.from_values(asked))
    null = Encoder(feature).encode(Column.from_values([None]))[0]
    for value, code in zip(asked, codes.tolist(), strict=True):
        is_of_kind = type(value) in WANTED[kind]
        if kind is FeatureKind.NUMERIC:
            assert code == value if is_of_kind else math.isnan(code)
        elif is_of_kind and value in feature.categories:
            # A seen category has a code of its own, and null has another.
            assert feature.categories[int(code) - 1] == value
            assert code != null
        else:
            assert code == null == NULL_CODE


@given(kind=KINDS, values=st.lists(ANYTHING, min_size=1, max_size=12))
def test_a_value_is_encoded_alike_alone_and_among_others(kind: FeatureKind, values: list[Any]) -> None:
    encoder = Encoder(fit_feature("x", kind, Column.from_values(values)))
    together = encoder.encode(Column.from_values(values))
    alone = np.concatenate([encoder.encode(Column.from_values([value])) for value in values])
    assert np.array_equal(together, alone, equal_nan=True)


@given(values=st.lists(st.sampled_from(["a", "b", "c"]), max_size=8))
def test_categories_do_not_depend_on_row_order(values: list[str]) -> None:
    forwards = fit_feature("x", FeatureKind.TEXT, Column.from_values(values))
    assert forwards == fit_feature("x", FeatureKind.TEXT, Column.from_values(values[::-1]))


def test_true_is_not_the_category_one() -> None:
    encoder = Encoder(Feature(name="x", kind=FeatureKind.BOOLEAN, categories=(False, True)))
    assert encoder.encode(Column.from_values([True, 1, 1.0, "true", False])).tolist() == [2, 0, 0, 0, 1]
