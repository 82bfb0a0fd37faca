"""The dense occluder: exact against plain loops, bounded in memory, independent of batching."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from engine.attribution.attribution import Attribution
from engine.attribution.occlusion.dense import DenseOccluder
from engine.attribution.occlusion.method import forward_passes
from engine.attribution.occlusion.request import OcclusionRequest
from engine.attribution.occlusion.settings import PRESETS, OcclusionSettings, of_preset
from models.errors import BugError, ConfigurationError, InputError, QuarantineError
from tests.engine.attribution.occlusion.attributed import attribute

Slow = Callable[..., tuple[np.ndarray, np.ndarray, np.ndarray]]
Models = Callable[[int], tuple[nn.Module, nn.Module]]
MakeRequest = Callable[..., OcclusionRequest]

WINDOWS = (1, 2, 3, 4, 7, 16, 33, 64, 150)


class Recorder:
    """A model that remembers what it was given."""

    def __init__(self, model: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self.model = model
        self.batches: list[torch.Tensor] = []

    def __call__(self, spectra: torch.Tensor) -> torch.Tensor:
        assert not torch.is_grad_enabled()
        self.batches.append(spectra.clone())
        return self.model(spectra)


def explain(
    model: Callable[[torch.Tensor], torch.Tensor],
    request: OcclusionRequest,
    settings: OcclusionSettings,
    memory_bytes: int = 2**26,
) -> Attribution:
    return attribute(DenseOccluder(model, memory_bytes), model, request, settings)


def in_double(request: OcclusionRequest) -> OcclusionRequest:
    return replace(request, spectrum=request.spectrum.double(), baselines=request.baselines.double())


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(("seed", "masked"), [(0, 0.0), (1, 0.2), (2, 0.9)])
def test_agrees_with_plain_loops(
    preset: str, seed: int, masked: float, slow: Slow, local_model: Models, make_request: MakeRequest
) -> None:
    single, double = local_model(seed)
    request = make_request(71, masked=masked, seed=seed)
    settings = of_preset(preset, windows=WINDOWS, baselines=3)
    maps, spread, combined = slow(double, request, preset, WINDOWS)
    exact = explain(double, in_double(request), settings)
    for found, wanted in ((exact.maps, maps), (exact.spread, spread), (exact.combined, combined)):
        np.testing.assert_allclose(found, wanted, rtol=2e-7, atol=1e-12)
    rounded = explain(single, request, settings)
    scale = np.abs(rounded.baseline_scores).max()
    np.testing.assert_allclose(rounded.maps, maps, rtol=0, atol=20 * np.finfo(np.float32).eps * scale)
    np.testing.assert_allclose(rounded.spread, spread, rtol=0, atol=20 * np.finfo(np.float32).eps * scale)
    good = request.good.numpy()
    for part in (exact.maps, exact.spread, exact.combined[None]):
        assert (part[:, ~good] == 0).all()
    assert exact.score == pytest.approx(-double(request.spectrum.double()[None]).item())


@pytest.mark.parametrize("preset", PRESETS)
def test_rounding_of_the_narrowest_windows_is_known(
    preset: str, slow: Slow, local_model: Models, make_request: MakeRequest
) -> None:
    """float32 log p rounds every effect by about the same amount, so narrow windows suffer most.

    Here one pixel moves log p by about 1e-4 of its value and its effect is known to 1 per cent or
    better; wider windows are known to 1e-3 or better. The ratio grows with the number of pixels.
    """
    single, double = local_model(5)
    request = make_request(200, masked=0.0, seed=5)
    settings = of_preset(preset, windows=(1, 64), baselines=3)
    maps, _, _ = slow(double, request, preset, (1, 64))
    error = np.abs(explain(single, request, settings).maps - maps)
    relative = np.sqrt((error**2).mean(axis=1) / (maps**2).mean(axis=1))
    assert relative[0] > relative[1]
    assert relative[0] < 1e-2
    assert relative[1] < 1e-3


@pytest.mark.parametrize("preset", PRESETS)
def test_the_memory_allowed_changes_nothing_but_rounding(
    preset: str, local_model: Models, make_request: MakeRequest
) -> None:
    single, double = local_model(0)
    request = make_request(50)
    row = 50 * 4 * 256
    for model, given, tolerance in ((single, request, 1e-5), (double, in_double(request), 1e-13)):
        size = given.spectrum.element_size() // 4
        ones, sevens, all_at_once = (
            explain(model, given, of_preset(preset, windows=(1, 4, 16), baselines=3), rows * size * row)
            for rows in (1, 7, 10_000)
        )
        for other in (sevens, all_at_once):
            np.testing.assert_allclose(other.maps, ones.maps, rtol=0, atol=tolerance)
            np.testing.assert_allclose(other.spread, ones.spread, rtol=0, atol=tolerance)


@pytest.mark.parametrize("rows", [1, 3, 10, 64])
def test_batches_stay_within_the_memory_and_have_one_shape(
    rows: int, local_model: Models, make_request: MakeRequest
) -> None:
    model = Recorder(local_model(0)[0])
    request = make_request(60, masked=0.0)
    occluder = DenseOccluder(model, memory_bytes=rows * 60 * 4 * 256 + 5)
    assert occluder.batch_rows(request) == rows
    settings = of_preset("paper", windows=(1, 4, 16), baselines=3)
    attribute(occluder, lambda spectra: spectra[:, 0], request, settings)
    shapes = {batch.shape for batch in model.batches}
    assert len(shapes) == 1
    assert max(shape[0] for shape in shapes) <= rows
    handed = sum(len(batch) for batch in model.batches)
    needed = forward_passes(settings, 60)
    assert needed == 3 * (1 + 3 * 60)
    # Beside one batch of copies for each baseline, filling up costs less than one spectrum per batch.
    copies = 3 * len(model.batches[0])
    assert needed - 3 <= handed - copies < needed - 3 + len(model.batches)
    assert copies <= needed / 32 + 3
    untouched = sum(
        int((batch == baseline).all(dim=1).sum()) for batch in model.batches for baseline in request.baselines
    )
    assert untouched == handed - (needed - 3)


def test_masked_pixels_are_never_pasted_and_cost_nothing(
    local_model: Models, make_request: MakeRequest
) -> None:
    request = make_request(60, masked=0.5, seed=3)
    poisoned = replace(request, spectrum=torch.where(request.good, request.spectrum, torch.nan))
    model = Recorder(local_model(0)[0])
    settings = of_preset("paper", windows=(1, 4, 16), baselines=3)
    found = DenseOccluder(model, 2**28)
    attribute(found, lambda spectra: spectra.nan_to_num().sum(dim=1), poisoned, settings)
    assert all(torch.isfinite(batch).all() for batch in model.batches)
    assert sum(len(batch) for batch in model.batches) <= 3 * (1 + 3 * int(request.good.sum())) * 1.1
    masked = ~request.good
    for batch in model.batches:
        near = (batch[:, None, masked] == request.baselines[None, :, masked]).all(dim=2)
        assert near.any(dim=1).all()


def test_published_costs() -> None:
    # Published windows on DESI's grid: 10,372 passes a baseline with one reference pass per width.
    settings = of_preset("reference-code", windows=(1, 4, 16, 64, 256))
    assert forward_passes(settings, 7781) == 8 * (10_372 - 4)
    assert forward_passes(of_preset("paper"), 7781) == 8 * (1 + 6 * 7781)


@pytest.mark.parametrize("preset", PRESETS)
def test_disconnected_pixels_get_exactly_nothing(
    preset: str, local_model: Models, make_request: MakeRequest
) -> None:
    single, _ = local_model(4)
    request = make_request(120, masked=0.1, seed=4)
    seen = 60
    settings = of_preset(preset, windows=(1, 4, 16), baselines=3)
    found = explain(lambda spectra: single(spectra[:, :seen]), request, settings, 20 * 120 * 4 * 256)
    assert (found.maps[0, seen:] == 0).all()
    assert (found.spread[0, seen:] == 0).all()
    assert (found.maps[:, seen + 16 :] == 0).all()
    assert (found.combined[seen + 16 :] == 0).all()
    assert (found.maps[0, :seen][request.good[:seen].numpy()] != 0).any()
    assert found.peak_pixel < seen


def test_a_request_must_fit_together() -> None:
    x, b, good = torch.zeros(5), torch.zeros(2, 5), torch.ones(5, dtype=torch.bool)
    wrong = [
        (x[None], b, good),
        (x, b[0], good),
        (x, b[:, :4], good),
        (x, b[:0], good),
        (x, b, good[:4]),
        (x, b, good.float()),
        (x, b.double(), good),
        (x.long(), b.long(), good),
        (x[:0], b[:, :0], good[:0]),
    ]
    for parts in wrong:
        with pytest.raises(InputError, match=r"do not fit together(.|\n)*spectrum \(N,\) floating"):
            OcclusionRequest(*parts)


def test_spectra_that_are_not_finite_are_quarantined() -> None:
    x, b, good = torch.zeros(5), torch.zeros(2, 5), torch.ones(5, dtype=torch.bool)
    x[1:3] = torch.nan
    good[1] = False
    b[1, 0] = torch.inf
    with pytest.raises(QuarantineError, match="1 good pixels, 1/2 baselines"):
        OcclusionRequest(x, b, good)


def test_memory_for_less_than_one_spectrum_is_refused(make_request: MakeRequest) -> None:
    with pytest.raises(
        ConfigurationError, match=r"got: 1000 bytes(.|\n)*at least 51200 bytes \(50 pixels x 256 numbers x 4"
    ):
        DenseOccluder(lambda spectra: spectra.sum(dim=1), 1000).differences(make_request(50), [])


def test_a_full_device_is_told_with_the_batch(make_request: MakeRequest) -> None:
    def full(spectra: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError(f"no room for {spectra.shape}")

    settings = OcclusionSettings(windows=(1, 4), baselines=3)
    with pytest.raises(ConfigurationError, match=r"ran out of memory(.|\n)*as 2 spectra a batch"):
        explain(full, make_request(50, masked=0.0), settings, 2 * 50 * 4 * 256)


def test_a_model_must_return_one_number_per_spectrum(make_request: MakeRequest) -> None:
    with pytest.raises(BugError, match=r"one log probability per spectrum(.|\n)*shape \(1, 50\)"):
        explain(
            lambda spectra: spectra,
            make_request(50, masked=0.0),
            OcclusionSettings(windows=(1,), baselines=3),
        )
