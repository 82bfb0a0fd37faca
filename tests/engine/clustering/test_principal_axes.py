"""Principal axes of lazy features, against NumPy's."""

from __future__ import annotations

import numpy as np
import pytest

from engine.clustering.principal import bin_means, bin_sums, gram, principal_axes, project


def fitted(features: np.ndarray, components: int, parts: int = 1):
    pieces = np.array_split(features, parts)
    mean = bin_means(np.sum([bin_sums(piece) for piece in pieces], axis=0))
    return principal_axes(np.sum([gram(piece, mean) for piece in pieces], axis=0), mean, components)


def test_full_coverage_agrees_with_singular_value_decomposition() -> None:
    generator = np.random.default_rng(0)
    features = generator.normal(size=(200, 30)) * np.linspace(3, 0.2, 30)
    result = fitted(features.astype(np.float32), 8)
    exact = features.astype(np.float32).astype(np.float64)
    centred = exact - exact.mean(axis=0)
    vectors = np.linalg.svd(centred, full_matrices=False)[2]
    np.testing.assert_allclose(np.abs(np.sum(result.axes * vectors[:8], axis=1)), 1.0, rtol=1e-9)
    coordinates = project(features.astype(np.float32), result)
    np.testing.assert_allclose(np.abs(coordinates), np.abs(centred @ vectors[:8].T), atol=1e-4)


@pytest.mark.parametrize("parts", [2, 7, 50])
def test_chunks_do_not_matter(parts: int) -> None:
    generator = np.random.default_rng(1)
    features = generator.random((100, 20))
    features[generator.random(features.shape) < 0.3] = np.nan
    whole, chunked = fitted(features, 5), fitted(features, 5, parts)
    np.testing.assert_allclose(chunked.axes, whole.axes, atol=1e-9)
    np.testing.assert_array_equal(project(features, whole), project(features, chunked))


def test_an_unobserved_bin_carries_no_weight() -> None:
    generator = np.random.default_rng(2)
    features = generator.random((80, 12))
    result = fitted(features, 12)
    row = features[:1].copy()
    row[0, 4] = np.nan
    expected = features[:1].copy()
    expected[0, 4] = result.mean[4]
    np.testing.assert_allclose(project(row, result), project(expected, result), atol=1e-6)


def test_means_are_over_the_rows_that_observe_a_bin() -> None:
    features = np.array([[1.0, np.nan, np.nan], [3.0, 5.0, np.nan]])
    np.testing.assert_array_equal(bin_means(bin_sums(features)), [2.0, 5.0, 0.0])


def test_signs_are_fixed_and_axes_orthonormal() -> None:
    generator = np.random.default_rng(4)
    axes = fitted(generator.random((60, 15)), 6).axes
    np.testing.assert_allclose(axes @ axes.T, np.eye(6), atol=1e-12)
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], 1)
    assert (largest > 0).all()


def test_more_components_than_bins_or_no_variance_are_no_error() -> None:
    result = fitted(np.ones((4, 3)), 10)
    assert result.axes.shape == (3, 3)
    assert np.isfinite(result.axes).all()
