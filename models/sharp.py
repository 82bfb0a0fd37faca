"""The sharp part of spectra: lines and edges, less what is smooth around them."""

from __future__ import annotations

from torch import Tensor, nn

SMOOTH = 101
"""Pixels whose mean is smooth."""


def sharp(spectra: Tensor) -> Tensor:
    """Spectra less their mean over ``SMOOTH`` pixels, (B, N) to (B, N)."""
    half = SMOOTH // 2
    padded = nn.functional.pad(spectra[:, None], (half + 1, half), mode="replicate")[:, 0]
    # A pooling adds up every pixel's neighbours anew.
    running = padded.double().cumsum(dim=1)
    mean = (running[:, SMOOTH:] - running[:, :-SMOOTH]) / SMOOTH
    return spectra - mean.to(spectra.dtype)
