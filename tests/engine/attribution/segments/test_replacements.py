"""Replacements: the published ones against astropy and plain loops, our own against the model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from astropy.convolution import Gaussian1DKernel, convolve
from numpy.typing import NDArray

from engine.attribution.segments.replacements import replacement_of
from engine.attribution.segments.segmentation import segments_of
from engine.attribution.segments.settings import Replacement, SegmentSettings
from engine.attribution.subject import Subject
from tests.engine.attribution.segments.games import Nothing

PIXELS, WIDTH = 103, 10
FLUX = (1 + 0.3 * np.random.default_rng(2).normal(size=PIXELS)).astype(np.float32)
SHAPE = convolve(FLUX.astype(np.float64), Gaussian1DKernel(3), boundary="extend")
NOISE = FLUX - SHAPE
WHITE = np.random.RandomState(5).normal(scale=0.2, size=PIXELS)
MEDIAN_SHAPE, MEDIAN = np.median(SHAPE), np.median(FLUX.astype(np.float64))


def replaced(
    replacement: Replacement, white_noise: float | None, amount: float | None = None, masked: bool = False
) -> NDArray[np.float64]:
    ivar = np.ones(PIXELS)
    flux = FLUX.copy()
    if masked:
        ivar[[0, 40, 41]], flux[[0, 40, 41]] = 0.0, 1e6
    subject = Subject(torch.from_numpy(flux), torch.from_numpy(ivar), 0.1, lambda x: x.sum(dim=1), Nothing())
    settings = SegmentSettings(
        width=WIDTH, replacement=replacement, amount=amount, white_noise=white_noise, seed=5
    )
    segments = segments_of(flux, ivar > 0, "uniform", WIDTH)
    return replacement_of(subject, segments, settings).numpy()


def means() -> NDArray[np.float64]:
    flux = FLUX.astype(np.float64)
    return np.concatenate(
        [np.full(len(part), part.mean()) for part in np.split(flux, range(WIDTH, PIXELS, WIDTH))]
    )


def bumps(height: float) -> NDArray[np.float64]:
    total = np.zeros(PIXELS)
    for first in range(0, PIXELS, WIDTH):
        width = min(WIDTH, PIXELS - first)
        middle, sigma = first + width // 2, width / 8
        total += height * np.exp(-0.5 * ((np.arange(PIXELS) - middle) / sigma) ** 2)
    return total


@pytest.mark.parametrize(
    ("replacement", "white_noise", "amount", "expected"),
    [
        ("scaled", None, None, MEDIAN_SHAPE + 0.9 * (SHAPE - MEDIAN_SHAPE) + NOISE),
        ("scaled", 0.0, 1.2, MEDIAN + 1.2 * (FLUX - MEDIAN)),
        ("flat", None, None, 1 + NOISE),
        ("flat", 0.2, 0.9, 0.9 + WHITE),
        ("same-shape", 0.0, None, SHAPE),
        ("same-shape", 0.2, None, SHAPE + WHITE),
        ("gaussians", None, None, FLUX + bumps(1.0)),
        ("gaussians", 0.2, 3.0, SHAPE + WHITE + bumps(3.0)),
        ("segment-mean", None, None, means() + NOISE),
        ("segment-mean", 0.0, None, means()),
    ],
)
def test_published_replacements(
    replacement: Replacement,
    white_noise: float | None,
    amount: float | None,
    expected: NDArray[np.float64],
) -> None:
    np.testing.assert_allclose(replaced(replacement, white_noise, amount), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("replacement", ["scaled", "flat", "gaussians", "segment-mean"])
def test_masked_pixels_have_no_influence(replacement: Replacement) -> None:
    assert np.abs(replaced(replacement, None, masked=True)).max() < 10


def test_the_published_scaling_takes_little_of_a_narrow_feature() -> None:
    """What decision 47 says of it."""
    for sigma, least, most in ((0.5, 0.010, 0.025), (60.0, 0.095, 0.101)):
        pixel = np.arange(1000)
        peak = np.exp(-0.5 * ((pixel - 500) / sigma) ** 2)
        flux = torch.from_numpy((1 + peak).astype(np.float32))
        subject = Subject(flux, torch.ones(1000).double(), 0.1, lambda x: x.sum(dim=1), Nothing())
        settings = SegmentSettings(width=50, replacement="scaled")
        segments = segments_of(flux.numpy(), np.ones(1000, dtype=bool), "uniform", 50)
        taken = float(flux[500]) - float(replacement_of(subject, segments, settings)[500])
        assert least <= taken <= most


def test_our_own_are_the_reconstruction_and_the_mean_of_the_nearest() -> None:
    class Decoder(Nothing):
        def baselines(self, chosen: NDArray[np.int64]) -> torch.Tensor:
            return torch.from_numpy(chosen).double()[:, None].expand(-1, PIXELS)

        def reconstructions(self, spectra: torch.Tensor) -> torch.Tensor:
            return spectra + 7

    flux = torch.from_numpy(FLUX)
    subject = Subject(flux, torch.ones(PIXELS).double(), 0.1, lambda x: x.sum(dim=1), Decoder())
    segments = segments_of(FLUX, np.ones(PIXELS, dtype=bool), "uniform", WIDTH)
    settings = SegmentSettings(width=WIDTH)
    torch.testing.assert_close(replacement_of(subject, segments, settings), flux.double() + 7)
    nearest = replacement_of(subject, segments, replace(settings, replacement="nearest"))
    # Calibration spectra are flat at 0, 1, ... 9; eight of them are nearest to 1.
    torch.testing.assert_close(nearest, torch.full((PIXELS,), 3.5, dtype=torch.float64))
