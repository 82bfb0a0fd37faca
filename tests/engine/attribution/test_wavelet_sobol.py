"""Sobol indices of wavelet blocks against closed forms."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch

from engine.attribution.segment_gradients import Start
from engine.attribution.wavelet_sobol import WAVELET_SOBOL, WaveletSobolSettings
from engine.attribution.wavelets import wavelets
from models.errors import ConfigurationError
from tests.engine.attribution.simple_subjects import PIXELS, FixedSpectra, simple_subject

CURVE = torch.linspace(0.5, 2, PIXELS, dtype=torch.float64)
GOOD = simple_subject(lambda spectra: spectra.sum(dim=1)).good


@pytest.mark.parametrize("start", get_args(Start))
def test_indices_of_a_linear_score_are_shares_of_its_variance(start: Start) -> None:
    given = simple_subject(lambda spectra: -(CURVE * spectra.double() * GOOD).sum(dim=1))
    assert isinstance(given.decoder, FixedSpectra)
    given.decoder.drawn[20:40] = 0.8
    settings = WaveletSobolSettings(depth=2, blocks=2, samples=1024, start=start)
    found = WAVELET_SOBOL.attribute(given, settings)
    transform = wavelets("haar", 2, given.flux.double())
    left = given.decoder.drawn if start == "reconstruction" else torch.zeros(PIXELS)
    known = torch.where(given.good, given.flux.double() - left, 0.0)
    # Of a sum of terms, each times a uniform factor, a term's share is that of its square. Masked pixels
    # keep their flux, so a coefficient acts through the good ones of its pixels alone.
    effects = []
    for level, each in enumerate(transform.transform(known[None])):
        for block in range(2):
            alone = [torch.zeros_like(part) for part in transform.transform(known[None])]
            half = slice(block * each.shape[1] // 2, (block + 1) * each.shape[1] // 2)
            alone[level][:, half] = each[:, half]
            effects.append(float((CURVE * transform.inverse(alone)[0] * given.good).sum()))
    share = np.square(effects) / np.square(effects).sum()
    pixels = [3, 60]
    np.testing.assert_allclose(found.maps[:, pixels], share.reshape(3, 2), atol=0.02)
    assert found.scales.tolist() == [2, 4, 8]


def test_the_same_seed_gives_the_same_indices_and_no_variance_gives_none() -> None:
    given = simple_subject(lambda spectra: -spectra.double().square().sum(dim=1))
    settings = WaveletSobolSettings(depth=2, blocks=2)
    first = WAVELET_SOBOL.attribute(given, settings)
    np.testing.assert_array_equal(first.maps, WAVELET_SOBOL.attribute(given, settings).maps)
    flat = simple_subject(lambda spectra: torch.zeros(len(spectra)))
    assert not WAVELET_SOBOL.attribute(flat, settings).maps.any()


@pytest.mark.parametrize(("name", "value"), [("samples", 12), ("blocks", 0), ("depth", 30)])
def test_settings_out_of_range_are_refused(name: str, value: int) -> None:
    with pytest.raises(ConfigurationError, match=rf"wavelet-sobol settings, {name}\n  got: {value}"):
        WaveletSobolSettings.from_dict({name: value})
