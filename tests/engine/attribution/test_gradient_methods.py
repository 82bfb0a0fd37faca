"""Methods by gradients: closed forms, completeness, seeds, memory, and models without gradients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.attribution.draws import noise
from engine.attribution.expected_gradients import EXPECTED_GRADIENTS, ExpectedGradientsSettings
from engine.attribution.integrated_gradients import INTEGRATED_GRADIENTS, IntegratedGradientsSettings
from engine.attribution.method import MethodSettings
from engine.attribution.methods import method_of
from engine.attribution.saliency import SALIENCY, SaliencySettings
from engine.attribution.segment_gradients import SEGMENT_GRADIENTS, SegmentGradientsSettings
from engine.attribution.smooth_gradient import SMOOTH_GRADIENT, SmoothGradientSettings
from engine.attribution.subject import check_gradient
from engine.attribution.wavelet_attribution import WaveletSettings
from engine.attribution.wavelet_sobol import WaveletSobolSettings
from models.errors import ConfigurationError
from models.scoring.scoring_model import ScoringModel
from models.spectrum_model import LogProb
from tests.engine.attribution.simple_subjects import MASKED, PIXELS, simple_subject

CURVE = torch.linspace(0.5, 2, PIXELS, dtype=torch.float64)


def quadratic(spectra: torch.Tensor) -> torch.Tensor:
    return -(CURVE * spectra.double().square()).sum(dim=1)


def bent(spectra: torch.Tensor) -> torch.Tensor:
    """A score with kinks and a bend, and pixels that matter only together."""
    known = spectra.double() * CURVE
    known[:, MASKED] = 0
    return -((known.abs() - 1).clamp_min(0).sum(dim=1) + (known[:, 1:] * known[:, :-1]).sum(dim=1).square())


def test_saliency_is_the_slope_by_flux_or_by_sigma() -> None:
    given = simple_subject(quadratic)
    slope = (2 * CURVE * given.flux.double()).abs()
    by_flux = SALIENCY.attribute(given, SaliencySettings("flux")).combined
    np.testing.assert_allclose(by_flux, torch.where(given.good, slope, 0.0).numpy())
    by_sigma = SALIENCY.attribute(given, SaliencySettings()).combined
    np.testing.assert_allclose(by_sigma, by_flux * given.sigma.numpy())
    assert SALIENCY.units(SaliencySettings("flux")).combined == "nat / unit of flux"
    assert SALIENCY.units(SaliencySettings()).combined == "nat / sigma"


@pytest.mark.parametrize("law", ["normal", "ball"])
@pytest.mark.parametrize(("size", "level"), [("errors", 1.0), ("range", 0.15)])
def test_smooth_gradients_are_mean_slopes_over_the_noise(law: str, size: str, level: float) -> None:
    given = simple_subject(quadratic)
    settings = SmoothGradientSettings.from_dict({"law": law, "size": size, "level": level, "samples": 5})
    found = SMOOTH_GRADIENT.attribute(given, settings)
    flux = given.flux.double()
    known = flux[given.good]
    deviation = given.sigma if size == "errors" else 0.15 * (known.max() - known.min()) * given.good
    drawn = noise(0, 5, "ball" if law == "ball" else "normal", deviation)
    step = given.sigma if size == "errors" else given.good.double()
    slopes = 2 * CURVE * (flux + drawn) * step
    np.testing.assert_allclose(found.combined, slopes.mean(dim=0).abs().numpy(), rtol=1e-12)
    np.testing.assert_allclose(found.spread[0], slopes.numpy().std(axis=0), atol=1e-12)
    again = SMOOTH_GRADIENT.attribute(given, settings)
    np.testing.assert_array_equal(found.maps, again.maps)
    other = SMOOTH_GRADIENT.attribute(given, replace(settings, seed=1))
    assert (other.maps != found.maps)[:, given.good.numpy()].all()


def test_noise_in_a_ball_has_the_errors_and_a_largest_size() -> None:
    deviation = torch.linspace(0.5, 2, 40, dtype=torch.float64)
    deviation[3] = 0.0
    drawn = noise(0, 20_000, "ball", deviation)
    np.testing.assert_allclose(drawn.std(dim=0).numpy(), deviation.numpy(), rtol=0.03)
    size = torch.where(deviation > 0, drawn / deviation, 0.0).norm(dim=1)
    assert float(size.max()) <= np.sqrt(39 + 2)


@pytest.mark.parametrize("source", ["random", "nearest"])
def test_paths_are_followed_until_they_account_for_the_score(source: str) -> None:
    given = simple_subject(bent)
    settings = IntegratedGradientsSettings.from_dict({"baselines": 2, "steps": 2, "source": source})
    found = INTEGRATED_GRADIENTS.attribute(given, settings)
    assert found.unaccounted < 0.01
    coarse = INTEGRATED_GRADIENTS.attribute(given, replace(settings, most_steps=2))
    assert coarse.unaccounted > 0.01
    assert not found.combined[MASKED].any()


def test_paths_agree_with_many_equal_steps() -> None:
    given = simple_subject(bent)
    found = INTEGRATED_GRADIENTS.attribute(given, IntegratedGradientsSettings(2, tolerance=1e-4))
    flux, baselines = given.flux.double(), given.decoder.baselines(np.arange(2))
    share = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
    maps = []
    for baseline in baselines:
        way = torch.where(given.good, flux - baseline, 0.0)
        maps.append(way * given.gradient(flux - share[:, None] * way).mean(dim=0))
    np.testing.assert_allclose(found.combined, torch.stack(maps).mean(dim=0).numpy(), atol=0.02)


def test_little_memory_gives_the_same_map_and_less_than_a_spectrum_is_refused() -> None:
    given = simple_subject(bent)
    settings = IntegratedGradientsSettings(2, steps=4)
    one = 8 * given.gradient_floats_per_pixel * PIXELS
    small = INTEGRATED_GRADIENTS.attribute(replace(given, memory_bytes=3 * one), settings)
    np.testing.assert_allclose(small.combined, INTEGRATED_GRADIENTS.attribute(given, settings).combined)
    with pytest.raises(ConfigurationError, match=rf"single spectrum(.|\n)*at least {one} bytes"):
        INTEGRATED_GRADIENTS.attribute(replace(given, memory_bytes=one - 1), settings)


@pytest.mark.parametrize("places", ["stratified", "drawn"])
def test_expected_gradients_add_up_to_the_score(places: str) -> None:
    given = simple_subject(bent)
    settings = ExpectedGradientsSettings.from_dict(
        {"places": places, "baselines": 2, "samples": 16, "most_samples": 4096}
    )
    found = EXPECTED_GRADIENTS.attribute(given, settings)
    # Without strata the last of the rounds may end before it adds up.
    assert found.unaccounted < (0.01 if places == "stratified" else 0.05)
    np.testing.assert_array_equal(found.maps, EXPECTED_GRADIENTS.attribute(given, settings).maps)
    few = EXPECTED_GRADIENTS.attribute(given, replace(settings, samples=1, most_samples=1))
    assert few.unaccounted > 0.01


def test_expected_gradients_of_a_linear_score_are_exact() -> None:
    given = simple_subject(lambda spectra: -(CURVE * spectra.double()).sum(dim=1))
    found = EXPECTED_GRADIENTS.attribute(given, ExpectedGradientsSettings(baselines=2))
    ways = given.flux.double() - given.decoder.baselines(np.arange(2)).mean(dim=0)
    np.testing.assert_allclose(found.combined, torch.where(given.good, CURVE * ways, 0.0).numpy(), atol=1e-12)


@pytest.mark.parametrize("start", ["zero", "reconstruction"])
def test_segment_gradients_of_a_linear_score_are_exact(start: str) -> None:
    given = simple_subject(lambda spectra: -(CURVE * spectra.double()).sum(dim=1))
    settings = SegmentGradientsSettings.from_dict(
        {"start": start, "segments": 2, "shortest": 3, "longest": 9}
    )
    found = SEGMENT_GRADIENTS.attribute(given, settings)
    expected = torch.where(given.good, CURVE * given.flux.double(), 0.0).numpy()
    np.testing.assert_allclose(found.combined, expected, atol=1e-12)
    np.testing.assert_allclose(found.spread, 0, atol=1e-12)


def test_segment_gradients_see_pairs_that_a_plain_path_halves() -> None:
    def both(spectra: torch.Tensor) -> torch.Tensor:
        return -(spectra[:, 20] * spectra[:, 50]).double()

    flux = torch.ones(PIXELS)
    given = simple_subject(both, flux=flux)
    found = SEGMENT_GRADIENTS.attribute(given, SegmentGradientsSettings(segments=6, shortest=8, longest=24))
    # Along a plain path each of the two has a half; with the other one kept it has all.
    assert 0.5 < found.combined[20] < 1
    assert 0.5 < found.combined[50] < 1
    assert np.count_nonzero(found.combined) == 2


MANY: tuple[MethodSettings, ...] = (
    SmoothGradientSettings(samples=10**6),
    SegmentGradientsSettings(samples=10**6),
    ExpectedGradientsSettings(baselines=2, samples=10**6, most_samples=10**6),
    WaveletSettings("haar", 2, slopes="smooth", samples=10**6),
    WaveletSobolSettings("haar", 2, blocks=500, samples=2**16),
)


@pytest.mark.parametrize("settings", MANY, ids=lambda settings: settings.method)
def test_draws_beyond_the_memory_are_refused_before_they_are_made(settings: MethodSettings) -> None:
    given = simple_subject(quadratic)
    said = rf"hold what the method draws(.|\n)*got: {given.memory_bytes} bytes(.|\n)*at least \d+ bytes for"
    with pytest.raises(ConfigurationError, match=said):
        method_of(settings).attribute(given, settings)


def test_a_model_without_a_gradient_is_refused_with_what_to_do() -> None:
    given = simple_subject(lambda spectra: quadratic(spectra.detach()))
    for method, settings in ((SALIENCY, SaliencySettings()), (SMOOTH_GRADIENT, SmoothGradientSettings())):
        with pytest.raises(ConfigurationError, match=r"without a gradient(.|\n)*forward passes alone"):
            method.attribute(given, settings)


def test_a_whole_model_is_asked_for_its_gradient_before_work(tiny_model: ScoringModel) -> None:
    class Detached(ScoringModel):
        def conditioned(self, flux: Tensor, ivar: Tensor, redshift: float) -> LogProb:  # noqa: ARG002
            return lambda spectra: spectra.detach().sum(dim=1)

    check_gradient(tiny_model.double())
    tiny_model.__class__ = Detached
    with pytest.raises(ConfigurationError, match=r"without a gradient(.|\n)*forward passes alone"):
        check_gradient(tiny_model)


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (SaliencySettings, "per", "pixel"),
        (SmoothGradientSettings, "level", 0.0),
        (SmoothGradientSettings, "samples", 0),
        (SmoothGradientSettings, "law", "cauchy"),
        (ExpectedGradientsSettings, "most_samples", 1),
        (ExpectedGradientsSettings, "places", "both"),
        (IntegratedGradientsSettings, "tolerance", 2.0),
        (IntegratedGradientsSettings, "steps", 1.5),
        (SegmentGradientsSettings, "longest", 2),
    ],
)
def test_settings_out_of_range_are_refused(kind: type[SaliencySettings], name: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=rf"{kind.method} settings, {name}\n  got: {value}"):
        kind(**{name: value})
