"""Attribution by wavelet coefficients: against the chain rule, complete, and refused where it cannot be."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.attribution.wavelet_attribution import WAVELET, WaveletSettings
from engine.attribution.wavelets import wavelets
from models.errors import ConfigurationError
from models.scoring.scoring_model import ScoringModel
from tests.engine.attribution.simple_subjects import MASKED, PIXELS, simple_subject

CURVE = torch.linspace(0.5, 2, PIXELS, dtype=torch.float64)


def quartic(spectra: torch.Tensor) -> torch.Tensor:
    known = spectra.double() * CURVE
    known[:, MASKED] = 0
    return -(known.square().sum(dim=1) + known.sum(dim=1) ** 4 / 1000)


@pytest.mark.parametrize("name", ["haar", "db2", "bior2.2"])
def test_plain_slopes_are_the_chain_rules(name: str) -> None:
    given = simple_subject(quartic)
    found = WAVELET.attribute(given, WaveletSettings(name, 2, slopes="plain", per="flux"))
    transform = wavelets(name, 2, given.flux.double())
    point = [each.requires_grad_() for each in transform.transform(given.flux.double()[None])]
    (-quartic(transform.inverse(point)).sum()).backward()  # type: ignore[no-untyped-call]
    good = given.good.numpy()
    for each, cell, slopes in zip(found.maps, transform.cells, point, strict=True):
        assert slopes.grad is not None
        expected = slopes.grad[0].abs().numpy().repeat(cell)[:PIXELS]
        np.testing.assert_allclose(each[good], expected[good], atol=1e-12)


@pytest.mark.parametrize("name", ["haar", "sym4", "bior2.2"])
@pytest.mark.parametrize("per", ["sigma", "flux"])
def test_integrated_slopes_add_up_to_the_score(name: str, per: str) -> None:
    given = simple_subject(quartic)
    settings = WaveletSettings.from_dict({"wavelet": name, "depth": 2, "per": per})
    found = WAVELET.attribute(given, settings)
    assert found.unaccounted < 0.02
    np.testing.assert_allclose(found.combined, found.maps.sum(axis=0))
    assert found.scales.tolist() == [2, 4, 8]
    assert WAVELET.units(settings).maps == "nat / pixel"


def test_a_feature_is_found_at_its_own_scale() -> None:
    for width, scale in ((2, 2), (4, 4)):
        flux = torch.zeros(PIXELS)
        # Half up, half down: one detail of Haar.
        flux[40 : 40 + width // 2], flux[40 + width // 2 : 40 + width] = 1.0, -1.0
        given = simple_subject(lambda spectra: -spectra.double().square().sum(dim=1), flux=flux)
        found = WAVELET.attribute(given, WaveletSettings("haar", 3, per="flux"))
        assert found.peak_scale == scale
        assert 40 <= found.peak_pixel < 40 + width
        assert found.combined[40 : 40 + width].sum() == pytest.approx(width)


def test_smooth_slopes_repeat_with_their_seed() -> None:
    given = simple_subject(quartic)
    first, again, other = (
        WAVELET.attribute(given, WaveletSettings("haar", 2, slopes="smooth", seed=seed)).maps
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_what_cannot_be_is_refused_before_any_work(tiny_model: ScoringModel) -> None:
    with pytest.raises(ConfigurationError, match=r"no discrete wavelet of that name(.|\n)*got: morlet"):
        WaveletSettings("morlet")
    with pytest.raises(ConfigurationError, match=r"deeper than the spectrum allows(.|\n)*1 to 10 for sym4"):
        WAVELET.refuse(WaveletSettings("sym4", 11), tiny_model.card, 200)
    WAVELET.refuse(WaveletSettings(), tiny_model.card, 200)
