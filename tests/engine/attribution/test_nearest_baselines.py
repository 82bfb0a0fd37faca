"""The baselines most like a spectrum, and the preset that takes them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.attribution.baselines import nearest_calibration
from engine.attribution.explainer import Explainer
from engine.attribution.occlusion.settings import of_preset
from engine.attribution.subject import Subject, subject_of
from engine.spectra.scored_spectra import SelectedSpectra
from models.scoring.scoring_model import ScoringModel
from tests.engine.attribution.simple_subjects import FixedSpectra

REDSHIFT = 0.3


def spectrum(model: ScoringModel, number: int) -> tuple[np.ndarray, np.ndarray]:
    """The reconstruction of a calibration spectrum, as if it had been observed without noise."""
    flux = model.baselines(REDSHIFT, np.array([number]))[0].numpy().astype(np.float32)
    return flux, np.full_like(flux, 400.0)


def chosen(model: ScoringModel, flux: np.ndarray, ivar: np.ndarray, count: int = 3) -> np.ndarray:
    return nearest_calibration(subject_of(model.double(), flux, ivar, REDSHIFT), count)


@pytest.mark.parametrize("oddity", [1e6, -1e6])
def test_a_spectrums_own_reconstruction_is_nearest_whatever_is_odd_in_few_pixels(
    tiny_model: ScoringModel, oddity: float
) -> None:
    flux, ivar = spectrum(tiny_model, 17)
    clean = chosen(tiny_model, flux, ivar)
    assert clean[0] == 17
    assert len(set(clean.tolist())) == 3
    flux[1000:1010] += oddity
    assert chosen(tiny_model, flux, ivar)[0] == 17


LINE = slice(100, 106)


def with_line(height: float, pixels: int = 1000) -> torch.Tensor:
    """A flat spectrum with a line of this height; errors are 1."""
    spectrum = torch.ones(pixels, dtype=torch.float64)
    spectrum[LINE] += height
    return spectrum


@pytest.mark.parametrize(
    ("of_spectrum", "of_baseline", "nearest"),
    [
        (0.0, 60.0, "another level"),  # a line that the spectrum lacks tells more than 1 sigma everywhere
        (60.0, 0.0, "another line"),  # what the spectrum has beyond a baseline is what may be odd
        (0.0, 8.0, "another line"),
    ],
)
def test_a_baseline_has_no_strong_line_that_the_spectrum_lacks(
    of_spectrum: float, of_baseline: float, nearest: str
) -> None:
    flux = with_line(of_spectrum)
    baselines = {"another level": flux + 1.0, "another line": with_line(of_baseline)}
    decoder = FixedSpectra(torch.stack(list(baselines.values())), flux)
    subject = Subject(flux.float(), torch.ones_like(flux), 0.1, lambda spectra: spectra.sum(dim=1), decoder)
    assert list(baselines)[nearest_calibration(subject, 1)[0]] == nearest


def test_masked_pixels_do_not_choose(tiny_model: ScoringModel) -> None:
    flux, ivar = spectrum(tiny_model, 17)
    other, _ = spectrum(tiny_model, 40)
    flux[:6000], ivar[:6000] = other[:6000], 0.0
    assert chosen(tiny_model, flux, ivar)[0] == 17


def test_the_preset_explains_a_spectrum_by_its_like(tiny_model: ScoringModel) -> None:
    flux, ivar = spectrum(tiny_model, 17)
    flux[3000:3064] += 0.5
    selected = SelectedSpectra(
        np.array([0]), np.array([REDSHIFT]), flux[None], ivar[None], np.zeros(1, dtype=np.int8)
    )
    near, drawn = (
        Explainer(tiny_model, of_preset(preset, windows=(16, 64), baselines=3)).explain(selected)
        for preset in ("nearest", "paper")
    )
    expected = tiny_model.double().baselines(REDSHIFT, chosen(tiny_model, flux, ivar)).mean(dim=0)
    np.testing.assert_allclose(near.baseline[0], expected.numpy(), rtol=1e-5)
    # Widths count alike, and the spectrum is far nearer to its baselines than to any.
    np.testing.assert_allclose(near.combined[0], near.maps[0].mean(axis=0), rtol=1e-4, atol=1e-6)
    assert np.abs(near.baseline - flux).mean() < 0.5 * np.abs(drawn.baseline - flux).mean()
