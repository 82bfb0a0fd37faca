"""Clustering of explanations that are known to be of several kinds."""

from __future__ import annotations

from dataclasses import fields, replace

import dask
import dask.array as da
import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from engine.clustering.cluster import cluster_explanations
from engine.clustering.clustering import UNCLUSTERED, Clustering
from engine.clustering.lazy_explanations import LazyExplanations
from engine.clustering.peaks import attribution_peaks
from engine.clustering.rest_frame import rebin
from engine.clustering.settings import ClusteringSettings
from models.errors import ConfigurationError
from models.lines import line_named
from tests.engine.clustering.synthetic import SMALL_GRID, Synthetic, synthetic

FAST = ClusteringSettings(resamples=5, maximum=8)


def lazy(found: Synthetic, chunk: int = 32) -> LazyExplanations:
    def chunked(values: np.ndarray) -> da.Array:
        return da.from_array(values, chunks=(chunk, -1))

    return LazyExplanations(
        SMALL_GRID,
        found.redshift,
        chunked(found.flux),
        chunked(found.ivar),
        chunked(found.baseline),
        chunked(found.combined),
        np.zeros((len(found.redshift), 0), np.float32),
    )


def rows(found: Synthetic, index: np.ndarray | slice) -> Synthetic:
    return Synthetic(**{field.name: getattr(found, field.name)[index] for field in fields(found)})


@pytest.fixture(scope="module")
def easy() -> tuple[Synthetic, Clustering]:
    found = synthetic(120)
    return found, cluster_explanations(lazy(found), FAST)


def test_injected_groups_are_recovered_with_their_lines(easy: tuple[Synthetic, Clustering]) -> None:
    found, result = easy
    assert adjusted_rand_score(found.group, result.labels) == 1.0
    assert result.adjusted_rand == pytest.approx(1.0)
    assert {cluster.peaks[0].line for cluster in result.clusters} == {"Hδ", "[O III] 5008", "Hα", "Na D"}
    told = {cluster.peaks[0].line: cluster.peaks[0].flux for cluster in result.clusters}
    assert told == {"Hδ": "excess", "[O III] 5008": "excess", "Hα": "excess", "Na D": "deficit"}
    for cluster in result.clusters:
        line = line_named(cluster.peaks[0].line)
        assert line is not None
        assert abs(cluster.peaks[0].wavelength - line.wavelength) < 4.0
        assert cluster.size == int((result.labels == cluster.label).sum())
        assert set(cluster.examples) <= set(np.flatnonzero(result.labels == cluster.label).tolist())
        distances = result.distance[list(cluster.examples)]
        assert np.all(np.diff(distances) >= 0)
    assert result.messages == ()


@pytest.mark.parametrize("chunk", [7, 50, 1000])
def test_chunks_do_not_matter(easy: tuple[Synthetic, Clustering], chunk: int) -> None:
    found, result = easy
    other = cluster_explanations(lazy(found, chunk), FAST)
    np.testing.assert_array_equal(other.labels, result.labels)
    np.testing.assert_allclose(other.distance, result.distance, atol=1e-5)
    np.testing.assert_allclose(other.means.flux, result.means.flux, rtol=1e-9)
    assert [cluster.examples for cluster in other.clusters] == [
        cluster.examples for cluster in result.clusters
    ]


def test_dask_scheduler_does_not_matter(easy: tuple[Synthetic, Clustering]) -> None:
    found, result = easy
    with dask.config.set(scheduler="synchronous"):
        other = cluster_explanations(lazy(found), FAST)
    np.testing.assert_array_equal(other.labels, result.labels)
    np.testing.assert_array_equal(other.coordinates, result.coordinates)


def test_means_are_those_of_the_members(easy: tuple[Synthetic, Clustering]) -> None:
    found, result = easy
    members = result.labels == 1
    scaled = found.combined / np.abs(found.combined).max(axis=1, keepdims=True)
    for name, values in (("flux", found.flux), ("baseline", found.baseline), ("attribution", scaled)):
        mean, coverage = rebin(
            values[members], found.ivar[members] > 0, found.redshift[members], SMALL_GRID, result.means.rest
        )
        mean[coverage < 0.5] = np.nan
        seen = np.isfinite(mean).any(axis=0)
        np.testing.assert_array_equal(np.isfinite(getattr(result.means, name)[1]), seen)
        np.testing.assert_allclose(
            getattr(result.means, name)[1, seen], np.nanmean(mean[:, seen], axis=0), atol=1e-9
        )
    np.testing.assert_array_equal(result.means.count[1], np.isfinite(mean).sum(axis=0))


def test_rows_that_are_not_to_be_clustered_change_nothing(easy: tuple[Synthetic, Clustering]) -> None:
    found, result = easy
    extra = synthetic(9, seed=5)
    both = Synthetic(
        **{
            field.name: np.concatenate([getattr(extra, field.name), getattr(found, field.name)])
            for field in fields(found)
        }
    )
    both = replace(both, redshift=np.concatenate([np.full(9, np.nan), found.redshift]))
    other = cluster_explanations(lazy(both), FAST)
    assert (other.labels[:9] == UNCLUSTERED).all()
    assert np.isnan(other.distance[:9]).all()
    np.testing.assert_array_equal(other.labels[9:], result.labels)


def test_no_positive_attribution_is_left_unclustered(easy: tuple[Synthetic, Clustering]) -> None:
    found, result = easy
    combined = found.combined.copy()
    combined[5] = -1.0
    combined[6] = 0.0
    combined[7, 100] = np.nan
    other = cluster_explanations(lazy(replace(found, combined=combined)), FAST)
    assert np.flatnonzero(other.labels == UNCLUSTERED).tolist() == [5, 6, 7]
    rest = np.delete(np.arange(120), [5, 6, 7])
    assert adjusted_rand_score(result.labels[rest], other.labels[rest]) == 1.0


def test_centroids_from_a_sample_label_every_row() -> None:
    found = synthetic(300)
    result = cluster_explanations(lazy(found), replace(FAST, sample=80))
    assert adjusted_rand_score(found.group, result.labels) == 1.0
    assert sum(cluster.size for cluster in result.clusters) == 300


@pytest.mark.parametrize("count", [1, 2, 4, 9])
def test_few_explanations_are_one_cluster_and_a_message(count: int) -> None:
    result = cluster_explanations(lazy(rows(synthetic(12), slice(count))), FAST)
    assert result.labels.tolist() == [0] * count
    assert len(result.clusters) == 1
    assert result.clusters[0].size == count
    assert f"All {count} explanations are in one cluster" in result.messages[0]
    assert np.isnan(result.adjusted_rand)


def test_no_explanation_is_no_cluster_and_a_message() -> None:
    for found in (rows(synthetic(4), slice(0)), replace(synthetic(4), redshift=np.full(4, np.nan))):
        result = cluster_explanations(lazy(found), FAST)
        assert result.clusters == ()
        assert (result.labels == UNCLUSTERED).all()
        assert result.messages == ("There are no explanations to cluster.",)
    nothing_odd = replace(synthetic(4), combined=np.zeros_like(synthetic(4).combined))
    assert cluster_explanations(lazy(nothing_odd), FAST).clusters == ()


def test_more_clusters_than_the_explanations_allow_is_told() -> None:
    result = cluster_explanations(lazy(synthetic(12)), replace(FAST, clusters=6))
    assert len(result.clusters) == 2
    assert "6 clusters were asked for, but 12 explanations allow 2 only" in result.messages[0]


def test_noise_is_called_unstable() -> None:
    generator = np.random.default_rng(0)
    found = synthetic(60)
    noise = np.abs(generator.normal(size=found.combined.shape)).astype(np.float32)
    result = cluster_explanations(lazy(replace(found, combined=noise)), replace(FAST, clusters=5))
    assert result.adjusted_rand < 0.6
    assert any("Not stable under resampling" in message for message in result.messages)


def test_steps_are_reported() -> None:
    told: list[tuple[str, int, int]] = []
    cluster_explanations(lazy(synthetic(12)), FAST, lambda *step: told.append(step))
    assert [number for _, number, _ in told] == list(range(6))
    assert told[-1] == ("done", 5, 5)


def test_peaks_are_found_highest_first_also_at_the_edges() -> None:
    wavelength = np.linspace(4000, 6000, 401)
    curve = np.exp(-0.5 * ((wavelength - 5008) / 10) ** 2) + 0.5 * np.exp(
        -0.5 * ((wavelength - 4000) / 10) ** 2
    )
    curve[300:310] = np.nan
    residual = np.where(wavelength < 4500, -1.0, 1.0)
    peaks = attribution_peaks(wavelength, curve, residual)
    assert [round(peak.wavelength) for peak in peaks] == [5010, 4000]
    assert [peak.flux for peak in peaks] == ["excess", "deficit"]
    assert [peak.line for peak in peaks] == ["[O III] 5008", ""]
    assert peaks[1].height == pytest.approx(0.5, abs=0.02)
    assert attribution_peaks(wavelength, np.full(401, -1.0), residual) == ()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"name": "../up"}, "must do as a folder name"),
        ({"maximum": 1}, "maximum is out of range"),
        ({"clusters": 0}, "clusters is out of range"),
        ({"rest_step": 0.0}, "rest_step is out of range"),
        ({"resamples": 1}, "resamples is out of range"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change: dict[str, object], text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        ClusteringSettings(**change)  # type: ignore[arg-type]
