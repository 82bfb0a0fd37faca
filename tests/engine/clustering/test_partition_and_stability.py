"""Partition of features, and how far it survives another draw."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from engine.clustering.kmeans import choose_partition, largest_number_of_clusters, nearest_centroid
from engine.clustering.stability import best_jaccard, stability


def blobs(sizes: tuple[int, ...], spread: float = 0.1, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    centres = np.eye(len(sizes), 6) * 5
    group = np.repeat(np.arange(len(sizes)), sizes)
    return centres[group] + spread * generator.normal(size=(len(group), 6)), group


def test_the_number_of_separated_groups_is_found_and_ordered_by_size() -> None:
    points, group = blobs((10, 40, 25))
    partition = choose_partition(points, None, 8, seed=0)
    labels, _ = nearest_centroid(points, partition.centroids)
    assert partition.clusters == 3
    assert adjusted_rand_score(group, labels) == 1.0
    assert np.bincount(labels).tolist() == [40, 25, 10]
    assert dict(partition.silhouettes)[3] > 0.9


def test_stragglers_do_not_make_clusters_of_their_own() -> None:
    points, _ = blobs((50, 50, 50, 50))
    generator = np.random.default_rng(5)
    points[:8] += generator.normal(size=(8, 6)) * 0.8
    assert choose_partition(points, None, 12, seed=0).clusters == 4


def test_a_given_number_is_kept() -> None:
    points, _ = blobs((30, 30))
    partition = choose_partition(points, 4, 12, seed=0)
    assert partition.clusters == 4
    assert [number for number, _ in partition.silhouettes] == [4]


@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_too_few_points_are_one_cluster(count: int) -> None:
    points, _ = blobs((count,))
    partition = choose_partition(points, None, 12, seed=0)
    assert partition.clusters == 1
    assert partition.silhouettes == ()
    np.testing.assert_allclose(partition.centroids[0], points.mean(axis=0))


def test_equal_points_are_one_cluster() -> None:
    points = np.ones((40, 3))
    assert choose_partition(points, None, 12, seed=0).clusters == 1
    assert choose_partition(points, 5, 12, seed=0).clusters == 1
    assert largest_number_of_clusters(np.repeat(np.eye(3), 20, axis=0), 12) == 2


def test_the_same_seed_gives_the_same_bytes() -> None:
    points, _ = blobs((30, 30, 30), spread=1.0)
    first, second = (choose_partition(points, None, 8, seed=7).centroids for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_separated_blobs_are_stable_and_noise_is_not() -> None:
    points, _ = blobs((30, 30, 30))
    firm = stability(points, choose_partition(points, 3, 8, seed=0).centroids, 10, seed=0)
    assert firm.adjusted_rand == pytest.approx(1.0)
    assert firm.jaccard == pytest.approx((1.0, 1.0, 1.0))
    noise = np.random.default_rng(0).normal(size=(90, 6))
    loose = stability(noise, choose_partition(noise, 6, 8, seed=0).centroids, 10, seed=0)
    assert loose.adjusted_rand < 0.5
    assert np.mean(loose.jaccard) < 0.6


def test_one_cluster_has_no_stability() -> None:
    result = stability(np.ones((5, 2)), np.ones((1, 2)), 5, seed=0)
    assert np.isnan(result.adjusted_rand)
    assert len(result.jaccard) == 1


def test_best_jaccard_against_sets() -> None:
    labels = np.array([0, 0, 0, 1, 1, 3])
    again = np.array([5, 5, 2, 2, 2, 2])
    assert best_jaccard(labels, again, 4).tolist() == [2 / 3, 2 / 4, 0.0, 1 / 4]


def test_nearest_centroid_against_all_distances() -> None:
    generator = np.random.default_rng(8)
    points, centroids = generator.normal(size=(50, 4)).astype(np.float32), generator.normal(size=(7, 4))
    labels, distance = nearest_centroid(points, centroids)
    every = np.linalg.norm(points[:, None].astype(np.float64) - centroids[None], axis=2)
    np.testing.assert_array_equal(labels, every.argmin(axis=1))
    np.testing.assert_allclose(distance, every.min(axis=1), rtol=1e-6)
