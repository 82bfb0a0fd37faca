"""Scale of scores in the report."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray

from engine.report.charts import score_against, score_histogram
from engine.report.score_scale import ScoreScale, plain_number


def long_tailed(spectra: int = 2000, top: float = 1507.5) -> NDArray[np.float32]:
    generator = np.random.default_rng(5)
    score = np.concatenate([generator.normal(8.0, 6.0, spectra - 40), generator.uniform(34.0, 120.0, 40)])
    score[-1] = top
    return score.astype(np.float32)


def labels(figure: Figure, axis: str) -> list[str]:
    figure.canvas.draw()
    axes = figure.axes[0]
    chosen = axes.xaxis if axis == "x" else axes.yaxis
    low, high = sorted(chosen.get_view_interval())
    shown = [tick for tick in chosen.get_major_ticks() if low <= tick.get_loc() <= high]
    boxes = [tick.label1.get_window_extent() for tick in shown]
    for one, other in pairwise(boxes):
        assert not one.overlaps(other)
    assert not [text for text in chosen.get_minorticklabels() if text.get_text()]
    return [tick.label1.get_text() for tick in shown]


def test_bulk_and_tail_both_have_room() -> None:
    score = long_tailed()
    scale = ScoreScale.of(score)
    first, bulk, last = scale.forward(np.array([scale.low, np.percentile(score, 97), scale.high]))
    assert 0.25 < (bulk - first) / (last - first) < 0.75
    np.testing.assert_allclose(scale.inverse(scale.forward(score)), score, rtol=1e-4, atol=1e-4)


def test_every_score_is_in_a_bin() -> None:
    score = long_tailed()
    edges = ScoreScale.of(score).edges(70)
    assert np.all(np.diff(edges) > 0)
    histogram = score_histogram(score, score > 33.0, 0.01)
    scored, outliers = histogram.axes[0].containers
    assert sum(bar.get_height() for bar in scored) == len(score)
    assert sum(bar.get_height() for bar in outliers) == (score > 33.0).sum()


@pytest.mark.parametrize("shift", [0.0, -1500.0, 40_000.0])
@pytest.mark.parametrize("top", [60.0, 1507.5, 3e6])
def test_ticks_are_on_the_axis_apart_and_enough(shift: float, top: float) -> None:
    scale = ScoreScale.of(long_tailed(top=top).astype(np.float64) + shift)
    ticks = np.array(scale.ticks(0.08))
    assert 3 <= len(ticks) <= 13
    assert ticks[0] >= scale.low
    assert ticks[-1] <= scale.high
    places = scale.forward(ticks)
    ends = scale.forward(np.array([scale.low, scale.high]))
    assert np.diff(places).min() >= 0.0799 * (ends[1] - ends[0])


@pytest.mark.parametrize("score", [[3.0], [0.0, 0.0], [1.0, 1.0, 1.0, 50.0]])
def test_scores_without_spread_still_have_an_axis(score: list[float]) -> None:
    scale = ScoreScale.of(np.array(score))
    assert scale.width > 0
    assert scale.low < scale.high
    assert np.all(np.diff(scale.edges(10)) > 0)
    score_histogram(np.array(score), np.zeros(len(score), np.bool_), 0.01).canvas.draw()


@pytest.mark.parametrize("spectra", [2000, 6000])
def test_tick_labels_are_plain_numbers_that_do_not_overlap(spectra: int) -> None:
    score = long_tailed(spectra)
    outlier = score > 33.0
    noise = np.random.default_rng(1).uniform(0.9, 55.0, spectra)
    noise[-1], noise[-2] = 0.9, 55.0
    figure = score_against(noise, score, outlier, "S/N", logarithmic=True)
    assert labels(figure, "x") == ["1", "2", "5", "10", "20", "50"]
    assert labels(figure, "y")[-3:] == ["200", "500", "1,000"]
    histogram = score_histogram(score, outlier, 0.01)
    assert labels(histogram, "x")[-1] == "1,000"
    assert labels(histogram, "y")[:3] == ["1", "10", "100"]


def test_numbers_in_full() -> None:
    assert [plain_number(value) for value in (1000.0, 0.5, -20.0)] == ["1,000", "0.5", "−20"]
