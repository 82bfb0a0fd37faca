"""LIME: the published numbers, exact weights of linear scores, errors that hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from astropy.convolution import Gaussian1DKernel, convolve
from sklearn.linear_model import Ridge
from sklearn.metrics.pairwise import cosine_distances

from engine.attribution.segments.design import fit
from engine.attribution.segments.lime import LIME, PUBLISHED, LimeSettings, lime_design
from engine.attribution.subject import Subject
from tests.engine.attribution.segments.games import OFF, Nothing, drawn, game_subject

SAMPLES, WIDTH, PIXELS = 300, 8, 203


def score(spectra: torch.Tensor) -> torch.Tensor:
    """Not linear: a published reconstruction score whose reconstruction is a moving mean."""
    padded = torch.nn.functional.pad(spectra[:, None], (5, 5), mode="replicate")
    mean = torch.nn.functional.avg_pool1d(padded, 11, stride=1)[:, 0]
    return -(spectra - mean).square().sum(dim=1).sqrt()


def test_published_settings_give_the_numbers_of_the_published_steps() -> None:
    """Their code step by step: one neighbour at a time, scikit-learn's distances and Ridge."""
    flux = (1 + 0.3 * np.random.default_rng(0).normal(size=PIXELS)).astype(np.float32).astype(np.float64)
    count = 203 // 25  # number_segments = 25 gives segments of 8 pixels and a last one of 3
    assert count == WIDTH
    label = np.arange(PIXELS) // count
    smooth = convolve(flux, Gaussian1DKernel(3), boundary="extend")
    fudged = (smooth - np.median(smooth)) * 0.9 + np.median(smooth) + (flux - smooth)
    state = np.random.RandomState(0)
    data = state.randint(0, 2, SAMPLES * 26).reshape(SAMPLES, 26)
    data[0] = 1
    labels = []
    for row in data:
        neighbour = flux.copy()
        for off in np.flatnonzero(row == 0):
            neighbour[label == off] = fudged[label == off]
        labels.append(-float(score(torch.from_numpy(neighbour)[None])))
    distance = cosine_distances(data, data[:1]).ravel()
    weight = np.sqrt(np.exp(-(distance**2) / 0.25**2))
    model = Ridge(alpha=1).fit(data, labels, sample_weight=weight)

    subject = Subject(
        torch.from_numpy(flux.astype(np.float32)), torch.ones(PIXELS).double(), 0.1, score, Nothing()
    )
    found = LIME.attribute(subject, replace(PUBLISHED, width=WIDTH, samples=SAMPLES))
    np.testing.assert_allclose(found.weights, model.coef_, rtol=1e-8, atol=1e-12)
    assert found.intercept == pytest.approx(model.intercept_, rel=1e-9)
    assert found.r_squared == pytest.approx(model.score(data, labels, sample_weight=weight), abs=1e-9)
    np.testing.assert_array_equal(found.combined, found.weights[label])


def test_the_published_settings_are_those_of_the_paper() -> None:
    assert PUBLISHED.most_segments(3773) == 151
    assert LIME.passes(PUBLISHED, 3773) == 5000


@pytest.mark.parametrize("sampling", ["paired", "independent"])
def test_the_weights_of_a_linear_score_are_exact(sampling: str) -> None:
    game = drawn(12, (1,), seed=3, each=30)
    settings = LimeSettings.from_dict({**OFF, "sampling": sampling, "samples": 100})
    found = LIME.attribute(game_subject(game, 12), settings)
    np.testing.assert_allclose(found.weights, game.shapley(), atol=1e-10)
    np.testing.assert_allclose(found.errors, 0, atol=1e-10)
    assert found.r_squared == pytest.approx(1)
    assert found.intercept == pytest.approx(0, abs=1e-10)


def test_what_pairs_of_segments_do_moves_no_weight_of_paired_samples() -> None:
    game = drawn(12, (1, 2), seed=4)
    found = LIME.attribute(game_subject(game, 12), LimeSettings(**OFF, samples=60))
    np.testing.assert_allclose(found.weights, game.banzhaf(), atol=1e-10)
    assert found.r_squared < 0.99
    independent = LimeSettings(**OFF, samples=60, sampling="independent")
    assert np.abs(LIME.attribute(game_subject(game, 12), independent).weights - game.banzhaf()).max() > 0.05


@pytest.mark.parametrize(
    ("sampling", "sizes"), [("independent", (1, 2)), ("independent", (1, 3)), ("paired", (1, 2, 3))]
)
def test_standard_errors_cover_what_they_say(sampling: str, sizes: tuple[int, ...]) -> None:
    """Of 120 draws the true weight lies within 1.96 standard errors in about 95 of 100 cases."""
    game = drawn(10, sizes, seed=5)
    subject = game_subject(game, 10)
    settings = LimeSettings.from_dict({**OFF, "sampling": sampling, "samples": 200})
    draws = [LIME.attribute(subject, replace(settings, seed=seed)) for seed in range(120)]
    away = np.array([(each.weights - game.banzhaf()) / each.errors for each in draws])
    assert 0.92 < (np.abs(away) < 1.96).mean() < 0.97
    assert np.abs(away.mean(axis=0)).max() < 0.4


def test_many_spectra_share_a_design() -> None:
    """One product gives what one spectrum after the other gives."""
    design = lime_design(9, 80, "paired", None, 0.0, 0)
    games = [drawn(9, (1, 2, 3), seed=seed) for seed in range(4)]
    scores = torch.stack([-game(design.switches) for game in games])
    together = fit(design, scores, scores[:, 0], scores[:, 0])
    settings = LimeSettings(**OFF, samples=80)
    for row, game in enumerate(games):
        alone = LIME.attribute(game_subject(game, 9), settings)
        np.testing.assert_allclose(together.weights[row], alone.weights, atol=1e-12)
        np.testing.assert_allclose(together.errors[row], alone.errors, atol=1e-12)
    assert lime_design(9, 80, "paired", None, 0.0, 0) is design


def test_the_same_seed_gives_the_same_bits_and_another_does_not() -> None:
    subject = game_subject(drawn(9, (1, 3)), 9)
    settings = LimeSettings(**OFF, samples=60)
    first, second = (LIME.attribute(subject, settings) for _ in range(2))
    np.testing.assert_array_equal(first.weights, second.weights)
    assert (LIME.attribute(subject, replace(settings, seed=1)).weights != first.weights).any()


def test_a_score_that_never_changes_has_no_weights_and_no_r_squared() -> None:
    found = LIME.attribute(game_subject(lambda x: 0 * x.sum(dim=1), 5), LimeSettings(**OFF, samples=60))
    np.testing.assert_array_equal(found.weights, 0)
    assert np.isnan(found.r_squared)
