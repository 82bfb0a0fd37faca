"""Attribution: closed forms, the published formula, weights, peaks, and the seam below it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import nn

from engine.attribution.attribution import Attribution
from engine.attribution.occlusion.combine import COMBINATIONS, SPREAD_FLOOR, scale_weights
from engine.attribution.occlusion.dense import DenseOccluder
from engine.attribution.occlusion.method import units
from engine.attribution.occlusion.request import OcclusionRequest
from engine.attribution.occlusion.settings import CombinationName, OcclusionSettings, Spacing, of_preset
from engine.attribution.occlusion.windows import Scale, scales_of
from models.errors import BugError, ConfigurationError, QuarantineError
from tests.engine.attribution.occlusion.attributed import attribute

Model = Callable[[torch.Tensor], torch.Tensor]
MakeRequest = Callable[..., OcclusionRequest]

WINDOWS = (1, 3, 4, 16)


def explain(
    model: Model, request: OcclusionRequest, preset: str, windows: tuple[int, ...] = WINDOWS
) -> Attribution:
    chosen = of_preset(preset, windows=windows, baselines=len(request.baselines))  # type: ignore[arg-type]
    return attribute(DenseOccluder(model, 2**26), model, request, chosen)


def random_request(seed: int, pixels: int = 40, masked: float = 0.2, baselines: int = 4) -> OcclusionRequest:
    random = torch.Generator().manual_seed(seed)
    return OcclusionRequest(
        torch.randn(pixels, generator=random, dtype=torch.float64),
        torch.randn(baselines, pixels, generator=random, dtype=torch.float64),
        torch.rand(pixels, generator=random) >= masked,
    )


class AdditiveOccluder:
    """Knows the effect of each pixel (M, N) and that effects add up: no model is run at all."""

    def __init__(self, effect: torch.Tensor) -> None:
        self.effect = effect

    def differences(self, request: OcclusionRequest, scales: Sequence[Scale]) -> list[torch.Tensor]:
        before = nn.functional.pad(torch.where(request.good, self.effect, 0).cumsum(dim=1), (1, 0))
        return [before[:, torch.from_numpy(s.stop)] - before[:, torch.from_numpy(s.start)] for s in scales]


@pytest.mark.parametrize("preset", ["paper", "reference-code"])
@pytest.mark.parametrize("shape", ["linear", "quadratic"])
def test_additive_models_have_closed_forms(preset: str, shape: str) -> None:
    request = random_request(1)
    slope = torch.linspace(-2, 3, 40, dtype=torch.float64)

    def terms(spectra: torch.Tensor) -> torch.Tensor:
        return slope * spectra if shape == "linear" else -0.5 * slope**2 * (spectra - 0.3) ** 2

    effect = terms(request.baselines) - terms(request.spectrum)
    found = explain(lambda spectra: terms(spectra).sum(dim=1) - 7, request, preset)
    good = request.good.numpy()
    each = np.where(good, effect.numpy(), 0)
    np.testing.assert_allclose(found.maps[0], each.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(found.spread[0], each.std(axis=0), atol=1e-6)
    if preset == "paper":
        triple = each + np.pad(each, ((0, 0), (1, 0)))[:, :-1] + np.pad(each, ((0, 0), (0, 1)))[:, 1:]
        np.testing.assert_allclose(found.maps[1], np.where(good, triple.mean(axis=0), 0), atol=1e-6)
    else:
        # A tile shares out what its pixels would have got alone; the masked ones' shares are lost.
        tiled = scales_of(OcclusionSettings(spacing="tiled", windows=WINDOWS), 40)
        for scale, tiles in zip(found.maps, tiled, strict=True):
            for low, high in zip(tiles.start, tiles.stop, strict=True):
                share = each[:, low:high].mean(axis=0).sum() / (high - low)
                np.testing.assert_allclose(scale[low:high], np.where(good[low:high], share, 0), atol=1e-6)
    # The same numbers from an occluder that never runs the model: settings do not care.
    chosen = of_preset(preset, windows=WINDOWS, baselines=4)  # type: ignore[arg-type]
    other = attribute(AdditiveOccluder(effect), lambda spectra: terms(spectra).sum(dim=1), request, chosen)
    for name in ("maps", "spread", "combined"):
        np.testing.assert_allclose(getattr(other, name), getattr(found, name), atol=1e-6)
    assert (other.peak_pixel, other.peak_scale) == (found.peak_pixel, found.peak_scale)


def test_reference_code_follows_the_published_formula(
    local_model: Callable[[int], tuple[nn.Module, nn.Module]],
) -> None:
    """Written here from the description of the authors' code; it knows no masks."""
    model = local_model(2)[1]
    request = random_request(2, pixels=333, masked=0.0)
    x, aligned, windows = request.spectrum, request.baselines, (1, 4, 16, 64, 256)
    stack = torch.zeros(len(windows), len(aligned), 333, dtype=torch.float64)
    with torch.no_grad():
        for w, (width, offset) in enumerate(zip(windows, np.cumsum([0, 2, 8, 32, 128]), strict=True)):
            borders = [0, *range(int(offset), 333, width), 333] if offset else [*range(0, 333, width), 333]
            for m, baseline in enumerate(aligned):
                reference = model(baseline[None])[0]
                for low, high in pairwise(borders):
                    mixed = baseline.clone()
                    mixed[low:high] = x[low:high]
                    stack[w, m, low:high] = (reference - model(mixed[None])[0]) / (high - low)
    attributions = stack.numpy()
    sigma = attributions.std(axis=1)
    imo = (attributions.mean(axis=1) * (1 / sigma)).sum(axis=0) / (1 / sigma).sum(axis=0)
    found = explain(model, request, "reference-code", windows)
    np.testing.assert_allclose(found.maps, attributions.mean(axis=1), rtol=1e-6, atol=1e-10)
    np.testing.assert_allclose(found.spread, sigma, rtol=1e-5, atol=1e-10)
    np.testing.assert_allclose(found.combined, imo, rtol=1e-5, atol=1e-9)


def test_a_lone_good_pixel_gets_its_share_of_every_tile() -> None:
    """Pasting it does the same in every tile, and a tile's effect is divided by the tile's length."""
    request = random_request(3, masked=0.0)
    alone = OcclusionRequest(request.spectrum, request.baselines, torch.arange(40) == 22)
    found = explain(lambda spectra: -spectra.square().sum(dim=1), alone, "reference-code")
    np.testing.assert_allclose(found.maps[:, 22] * WINDOWS, found.maps[0, 22], rtol=1e-6)
    assert np.count_nonzero(found.maps) == 4


@hypothesis_settings(max_examples=40)
@given(
    st.integers(0, 10_000),
    st.sampled_from(get_args(Spacing)),
    st.sampled_from(list(COMBINATIONS)),
    st.floats(1e-6, 1e6),
)
def test_a_combined_map_has_its_unit_whatever_the_order_of_baselines(
    seed: int, spacing: Spacing, combination: CombinationName, factor: float
) -> None:
    """In nat it follows the score's unit and never exceeds every window; significance has no unit."""
    request = random_request(seed)
    chosen = OcclusionSettings("nearest", spacing, combination, WINDOWS, baselines=4)

    def model(spectra: torch.Tensor) -> torch.Tensor:
        return -spectra.cumsum(dim=1).square().mean(dim=1)

    def explained(score: Model, given: OcclusionRequest = request) -> Attribution:
        return attribute(DenseOccluder(score, 2**26), score, given, chosen)

    found = explained(model)
    in_nat = units(chosen).combined.startswith("nat")
    assert in_nat == (combination != "significance")
    size = float(np.abs(found.maps if in_nat else found.combined).max())
    scaled = explained(lambda spectra: factor * model(spectra) + factor)
    unit = factor if in_nat else 1.0
    np.testing.assert_allclose(scaled.combined / unit, found.combined, rtol=1e-4, atol=1e-6 * size)
    turned = OcclusionRequest(request.spectrum, request.baselines.flip(0), request.good)
    np.testing.assert_allclose(explained(model, turned).combined, found.combined, rtol=1e-4, atol=1e-6 * size)
    if in_nat:
        assert (found.combined >= found.maps.min(axis=0) - 1e-6 * size).all()
        assert (found.combined <= found.maps.max(axis=0) + 1e-6 * size).all()


@pytest.mark.parametrize("preset", ["nearest", "paper", "reference-code"])
def test_a_typical_spectrum_and_an_empty_one_are_explained_by_nothing(preset: str) -> None:
    request = random_request(4)
    same = OcclusionRequest(
        request.spectrum, request.spectrum.expand(4, -1), torch.ones(40, dtype=torch.bool)
    )
    found = explain(lambda spectra: -spectra.square().sum(dim=1), same, preset)
    assert not found.maps.any()
    assert not found.combined.any()
    assert (found.peak_pixel, found.peak_scale) == (0, 1)
    empty = OcclusionRequest(request.spectrum, request.baselines, torch.zeros(40, dtype=torch.bool))
    found = explain(lambda spectra: -spectra.square().sum(dim=1), empty, preset)
    assert not found.maps.any()
    assert (found.peak_pixel, found.peak_scale) == (-1, 0)


def test_one_baseline_weighs_all_scales_alike() -> None:
    found = explain(lambda spectra: -spectra.square().sum(dim=1), random_request(5, baselines=1), "paper")
    assert not found.spread.any()
    np.testing.assert_allclose(found.combined, found.maps.mean(axis=0), rtol=1e-5, atol=1e-6)


def test_the_floor_of_the_spread_is_relative_and_prevents_division_by_zero() -> None:
    spread = np.array([[0.0, 1.0, 0.0], [2.0, 1.0, 0.0]])
    for power in (2, 1):
        for unit in (1e-200, 1.0, 1e200):
            weights = scale_weights(power, unit * spread)
            np.testing.assert_allclose(weights.sum(axis=0), 1)
            np.testing.assert_allclose(weights[:, 1:], 0.5)
            np.testing.assert_allclose(weights[1, 0] / weights[0, 0], SPREAD_FLOOR**power)
        np.testing.assert_array_equal(scale_weights(power, 0 * spread), 0.5)


@pytest.mark.parametrize("preset", ["paper", "reference-code"])
def test_the_peak_names_pixel_and_scale_of_a_injected_oddity(preset: str) -> None:
    """The model minds a level held over 16 pixels, not a single wild pixel."""
    pixels = 160
    random = torch.Generator().manual_seed(0)
    baselines = 0.01 * torch.randn(4, pixels, generator=random, dtype=torch.float64)
    spectrum = 0.01 * torch.randn(pixels, generator=random, dtype=torch.float64)
    spectrum[90:106] += 1.0

    def model(spectra: torch.Tensor) -> torch.Tensor:
        return -nn.functional.avg_pool1d(spectra[:, None], 16, 1)[:, 0].pow(8).sum(dim=1) * 1e3

    request = OcclusionRequest(spectrum, baselines, torch.ones(pixels, dtype=torch.bool))
    found = explain(model, request, preset, (16, 64))
    assert 80 <= found.peak_pixel < 116
    assert found.combined[found.peak_pixel] == found.combined.max() > 0
    power = {"paper": 2, "reference-code": 1}[preset]
    shares = found.maps[:, found.peak_pixel] * found.spread[:, found.peak_pixel].astype(float) ** -power
    assert found.peak_scale == (16, 64)[int(shares.argmax())]


def test_the_peak_is_never_at_a_masked_pixel() -> None:
    """Every piece of this spectrum is more probable than the baselines': all maps are negative."""
    request = random_request(6)
    request = OcclusionRequest(0 * request.spectrum, request.baselines, request.good)
    found = explain(lambda spectra: -spectra.square().sum(dim=1), request, "paper")
    assert (found.combined[request.good.numpy()] < 0).all()
    assert request.good[found.peak_pixel]
    assert found.combined[found.peak_pixel] == found.combined[request.good.numpy()].max()


def test_a_score_that_is_not_finite_sets_the_spectrum_aside() -> None:
    request = random_request(7, masked=0.0, baselines=4)

    def model(spectra: torch.Tensor) -> torch.Tensor:
        odd = (spectra[:, 20] == request.spectrum[20]) & (spectra[:, 21] == request.spectrum[21])
        return torch.where(odd, -torch.inf, spectra.sum(dim=1))

    # 4 baselines; windows that hold both pixels 20 and 21: none of width 1, two of 3, three of 4.
    with pytest.raises(
        QuarantineError, match=r"score of the spectrum inf; 0 of 4(.|\n)*\{1: 0, 3: 8, 4: 12\}"
    ):
        explain(model, request, "paper", (1, 3, 4))


def test_baselines_must_be_as_many_as_the_settings_say(make_request: MakeRequest) -> None:
    request = make_request(20)
    with pytest.raises(ConfigurationError, match="3 baselines given, 8 in the settings"):
        attribute(DenseOccluder(torch.Tensor.sum, 2**20), torch.Tensor.sum, request, OcclusionSettings())


def test_an_occluder_that_returns_too_little_is_a_bug(make_request: MakeRequest) -> None:
    class Lazy:
        def differences(self, _: OcclusionRequest, scales: Sequence[Scale]) -> list[torch.Tensor]:
            return [torch.zeros(1, len(scale)) for scale in scales]

    chosen = OcclusionSettings(windows=(1,), baselines=3)
    with pytest.raises(BugError, match=r"occlusion by Lazy(.|\n)*\(1, 20\)(.|\n)*\(3, 20\)"):
        attribute(Lazy(), lambda spectra: spectra.sum(dim=1), make_request(20, masked=0.0), chosen)


def test_what_a_map_gives_a_pixel_of_its_windows_effect_depends_on_the_spacing() -> None:
    """The largest effect of any window is the same number, whether maps hold it whole or shared out."""
    request = random_request(8, masked=0.0)
    for preset, shares in (("paper", np.ones(4)), ("reference-code", 1 / np.array(WINDOWS))):
        found = explain(lambda spectra: -spectra.square().sum(dim=1), request, preset)
        np.testing.assert_array_equal(found.shares, shares)
        np.testing.assert_allclose(found.responses, found.maps.max(axis=1) / shares)
