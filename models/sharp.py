"""The sharp part of spectra: lines and edges, less what is smooth around them."""

from __future__ import annotations

from torch import Tensor, nn

SMOOTH = 101
"""Pixels whose mean is smooth."""


def sharp(spectra: Tensor) -> Tensor:
    """Spectra less their mean over ``SMOOTH`` pixels, (B, N) to (B, N)."""
    half = SMOOTH // 2
    padded = nn.functional.pad(spectra[:, None], (half, half), mode="replicate")
    return spectra - nn.functional.avg_pool1d(padded, SMOOTH, 1)[:, 0]
