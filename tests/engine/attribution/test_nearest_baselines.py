"""The baselines most like a spectrum, and the preset that takes them."""

from __future__ import annotations

import numpy as np

from engine.attribution.baselines import nearest_calibration
from engine.attribution.explainer import Explainer
from engine.attribution.occlusion.settings import of_preset
from engine.attribution.subject import subject_of
from engine.spectra.scored_spectra import SelectedSpectra
from models.scoring.scoring_model import ScoringModel

REDSHIFT = 0.3


def spectrum(model: ScoringModel, number: int) -> tuple[np.ndarray, np.ndarray]:
    """The reconstruction of a calibration spectrum, as if it had been observed without noise."""
    flux = model.baselines(REDSHIFT, np.array([number]))[0].numpy().astype(np.float32)
    return flux, np.full_like(flux, 400.0)


def chosen(model: ScoringModel, flux: np.ndarray, ivar: np.ndarray, count: int = 3) -> np.ndarray:
    return nearest_calibration(subject_of(model.double(), flux, ivar, REDSHIFT), count)


def test_a_spectrums_own_reconstruction_is_nearest_whatever_is_odd_in_few_pixels(
    tiny_model: ScoringModel,
) -> None:
    flux, ivar = spectrum(tiny_model, 17)
    clean = chosen(tiny_model, flux, ivar)
    assert clean[0] == 17
    assert len(set(clean.tolist())) == 3
    flux[1000:1010] += 1e6
    assert chosen(tiny_model, flux, ivar)[0] == 17


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
