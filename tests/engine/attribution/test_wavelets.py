"""Wavelet transforms against PyWavelets, their inverses and their adjoints."""

from __future__ import annotations

import numpy as np
import pytest
import pywt
import torch

from engine.attribution.wavelets import wavelets

NAMES = ("haar", "db4", "sym8", "bior2.2", "rbio3.5")


def spectra(rows: int, pixels: int, seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(rows, pixels, generator=random, dtype=torch.float64)


@pytest.mark.parametrize("name", NAMES)
def test_coefficients_are_those_of_pywavelets(name: str) -> None:
    given = spectra(3, 256)
    found = wavelets(name, 3, given[0]).transform(given)
    coarse, *details = pywt.wavedec(given.numpy(), name, mode="periodization", level=3)
    for ours, theirs in zip(found, (*reversed(details), coarse), strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("pixels", [256, 301])
def test_the_inverse_gives_the_spectra_back(name: str, pixels: int) -> None:
    given = spectra(2, pixels)
    transform = wavelets(name, 3, given[0])
    torch.testing.assert_close(transform.inverse(transform.transform(given)), given, rtol=0, atol=1e-11)


@pytest.mark.parametrize("name", NAMES)
def test_the_adjoint_is_the_inverses(name: str) -> None:
    given = spectra(1, 301)
    transform = wavelets(name, 3, given[0])
    coefficients = [torch.randn_like(each).requires_grad_() for each in transform.transform(given)]
    (transform.inverse(coefficients) * given).sum().backward()  # type: ignore[no-untyped-call]
    for slope, variable in zip(transform.adjoint(given), coefficients, strict=True):
        torch.testing.assert_close(slope, variable.grad, rtol=0, atol=1e-12)
