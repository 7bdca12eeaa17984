"""The learners on planted structure: it is recovered, and the same rows and seed give the same answer."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
from sklearn import metrics

from kaireon_core.column import Column
from kaireon_core.learning.cluster_filters import best_filters
from kaireon_core.learning.cluster_matrix import ClusterField, cluster_matrix
from kaireon_core.learning.creative_text import ShownCreative, term_evidence
from kaireon_core.learning.feature import FeatureKind
from kaireon_storage.learning.content_forest import learn_content
from kaireon_storage.learning.k_means import cluster_leaves, cluster_rows
from tests.core.learning.planted import cluster_fields, planted_creatives, planted_rows


def nobody_stops() -> None:
    return None


def adjusted_rand(left: Any, right: Any) -> float:
    return float(cast("Any", metrics).adjusted_rand_score(left, right))


@pytest.mark.parametrize("count", [60, 900, 3_000])
def test_planted_clusters_are_recovered(count: int) -> None:
    rows, kinds = planted_rows(count)
    matrix = cluster_matrix(cluster_fields(rows), count)
    found = cluster_rows(matrix.values, 8, 0, nobody_stops)
    assert [one.clusters for one in found.silhouettes] == list(range(2, 9))
    assert found.labels.max() + 1 == 3
    assert found.silhouette == max(one.silhouette for one in found.silhouettes)
    assert adjusted_rand(kinds, found.labels) > 0.95


def test_the_silhouette_is_that_of_the_clusters_chosen() -> None:
    rows, _ = planted_rows(300)
    matrix = cluster_matrix(cluster_fields(rows), 300)
    found = cluster_rows(matrix.values, 4, 0, nobody_stops)
    gaps = np.linalg.norm(matrix.values[:, None] - matrix.values[None], axis=2)
    scores = list[float]()
    for row, label in enumerate(found.labels.tolist()):
        own = found.labels == label
        within = gaps[row, own].sum() / (own.sum() - 1)
        nearest = min(gaps[row, found.labels == other].mean() for other in range(3) if other != label)
        scores.append(float((nearest - within) / max(nearest, within)))
    assert found.silhouette == pytest.approx(np.mean(scores))


def test_the_same_rows_and_seed_give_the_same_clusters() -> None:
    rows, _ = planted_rows(2_500)
    matrix = cluster_matrix(cluster_fields(rows), len(rows))
    first, again = (cluster_rows(matrix.values, 6, 7, nobody_stops) for _ in range(2))
    assert first.labels.tolist() == again.labels.tolist()
    assert first.silhouettes == again.silhouettes


def test_conditions_pick_planted_clusters_out() -> None:
    rows, kinds = planted_rows(900)
    matrix = cluster_matrix(cluster_fields(rows), len(rows))
    for kind in range(3):
        members = np.array(kinds) == kind
        found = best_filters(matrix, members, cluster_leaves(matrix.values, members))
        assert found is not None
        assert found.precision > 0.95
        assert found.recall > 0.9


def test_as_many_clusters_as_distinct_rows_at_most() -> None:
    column = Column.from_values([1, 2] * 15)
    matrix = cluster_matrix([ClusterField(name="x", kind=FeatureKind.NUMERIC, column=column)], 30)
    found = cluster_rows(matrix.values, 8, 0, nobody_stops)
    assert [one.clusters for one in found.silhouettes] == [2]
    assert found.silhouette == pytest.approx(1)


def test_clustering_stops_when_nobody_waits() -> None:
    rows, _ = planted_rows(300)
    matrix = cluster_matrix(cluster_fields(rows), len(rows))
    asked = list[int]()

    def stop() -> None:
        asked.append(1)
        if len(asked) == 3:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        cluster_rows(matrix.values, 8, 0, stop)
    assert len(asked) == 3


def learnt(creatives: list[ShownCreative], seed: int = 0) -> Any:
    return learn_content(
        [one.text for one in creatives],
        np.array([one.positives / one.impressions for one in creatives]),
        np.array([float(one.impressions) for one in creatives]),
        seed,
    )


@pytest.mark.parametrize("seed", range(3))
def test_planted_words_are_recovered_with_their_direction(seed: int) -> None:
    creatives = planted_creatives(120, seed)
    forest = learnt(creatives)
    order = np.argsort(-forest.importances)[:2].tolist()
    found = [
        term_evidence(creatives, forest.terms[place], forest.importances[place], forest.has_term[:, place])
        for place in order
    ]
    assert [(one.term, one.direction, one.is_clear) for one in found] == [
        ("free", "higher", True),
        ("hurry", "lower", True),
    ]
    assert forest.importances.sum() == pytest.approx(1)
    assert forest.out_of_bag_r2 > 0.5
    for one in found:
        assert one.support == sum(one.term in each.text.split() for each in creatives)


def test_a_text_is_predicted_by_its_words() -> None:
    forest = learnt(planted_creatives(120))
    free, hurry, unknown = forest.predict(["a free card", "hurry, loan", "xyzzy"])
    assert free[0] == pytest.approx(0.10, abs=0.025)
    assert hurry[0] == pytest.approx(0.015, abs=0.015)
    assert free[1] <= free[0] <= free[2]
    assert (free[3], unknown[3]) == (3, 0)


def test_words_that_do_nothing_explain_nothing() -> None:
    forests = [learnt(planted_creatives(120, seed, free=0, hurry=0)) for seed in range(5)]
    assert all(forest.out_of_bag_r2 < 0.1 for forest in forests)


def test_the_same_texts_and_seed_give_the_same_forest() -> None:
    first, again, other = (learnt(planted_creatives(60), seed) for seed in (3, 3, 4))
    assert first.importances.tolist() == again.importances.tolist()
    assert first.predict(["free card"]) == again.predict(["free card"])
    assert first.importances.tolist() != other.importances.tolist()


@pytest.mark.parametrize("texts", [["same words"] * 20, [f"w{number}" for number in range(20)], ["..."] * 20])
def test_texts_without_a_usable_term_give_no_forest(texts: list[str]) -> None:
    rates = np.linspace(0.1, 0.2, 20)
    assert learn_content(texts, rates, np.full(20, 100.0), 0) is None
