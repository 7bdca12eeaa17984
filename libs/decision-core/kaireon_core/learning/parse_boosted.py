"""The state of gradient-boosted trees as somebody writes it: LightGBM's text or dump, and what its features are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, cast

import msgspec
from msgspec import Meta

from kaireon_core.learning.calibration import CalibrationMap
from kaireon_core.learning.definitions import Name
from kaireon_core.learning.feature import Feature, FeatureKind
from kaireon_core.learning.forest import Forest, ForestLeaf, read_dump, refused, write_text
from kaireon_core.learning.forest_text import read_text
from kaireon_core.learning.gradient_boosted import GradientBoostedState
from kaireon_core.problems import convert


class WrittenTrees(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Trees as they are written by hand.

    `trees`: a LightGBM model text, or what `Booster.dump_model()` gives (its text, too), or only its `tree_info`.
    `features`: in their order, a name for a numeric one; categorical ones need their categories. Without them all are
    numeric, by the names in the trees. `base_score` is added to the log-odds.
    """

    trees: str | dict[str, Any] | list[Any]
    features: Annotated[list[Name | Feature], Meta(max_length=10_000)] | None = None
    calibration: CalibrationMap | None = None
    base_score: Annotated[float, Meta(ge=-1e6, le=1e6)] = 0.0


def parse_boosted_state(state: Mapping[str, Any], path: str) -> GradientBoostedState:
    """Return the state that scoring reads: its text is written anew from trees that were checked.

    Raises `InvalidValue`.
    """
    written: WrittenTrees = convert(dict(state), WrittenTrees, path)
    forest = _forest(written.trees, f"{path}.trees")
    if not forest.trees:
        raise refused(f"{path}.trees", "there are none")
    features = _features(written.features, forest, path)
    trees = forest.trees
    if written.base_score:
        trees = (*trees, ForestLeaf(value=written.base_score))
    names = tuple(feature.name for feature in features)
    text = write_text(Forest(names=names, trees=trees))
    return GradientBoostedState(features=features, trees=text, calibration=written.calibration)


def _forest(trees: str | dict[str, Any] | list[Any], path: str) -> Forest:
    if not isinstance(trees, str):
        return read_dump(trees, path)
    if not trees.lstrip().startswith(("{", "[")):
        return read_text(trees, path)
    try:
        return read_dump(cast("dict[str, Any] | list[Any]", json.loads(trees)), path)
    except (ValueError, RecursionError):
        raise refused(path, "is neither a LightGBM model text nor a JSON dump") from None


def _features(given: list[Name | Feature] | None, forest: Forest, path: str) -> tuple[Feature, ...]:
    if given is None:
        features = tuple(Feature(name=name, kind=FeatureKind.NUMERIC) for name in forest.names)
    else:
        features = tuple(Feature(name=one, kind=FeatureKind.NUMERIC) if isinstance(one, str) else one for one in given)
        if len(features) != len(forest.names):
            message = f"there must be {len(forest.names)}, one for each feature of the trees, in their order"
            raise refused(f"{path}.features", message)
    for place in forest.categorical:
        if not features[place].is_categorical:
            message = f"{features[place].name!r} is split by categories; give its kind and its categories"
            raise refused(f"{path}.features", message)
    return features
