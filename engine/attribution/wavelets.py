"""Wavelet transforms of spectra, their inverses and the adjoints of these, in batches.

Filters are those of PyWavelets; pixels beyond the end are zero and the rest is periodic, so that every step
is a matrix W with an exact inverse: that of the reconstruction's filters, transposed (Mallat 1989, IEEE
Trans. Pattern Anal. 11, 674).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pywt
import torch
from torch import Tensor, nn

Coefficients = tuple[Tensor, ...]
"""Of B spectra: details (B, P / 2), (B, P / 4), ... from the finest on, then what is coarser than all."""


@dataclass(frozen=True, eq=False)
class Wavelets:
    """A transform of spectra of N pixels.

    Attributes
    ----------
    pixels : N; depth : number of levels J. P is N, made a multiple of 2^J.
    taken_apart, put_together : (2, L), low and high filter, of the transform and of its inverse.
    """

    pixels: int
    depth: int
    taken_apart: Tensor
    put_together: Tensor

    def transform(self, spectra: Tensor) -> Coefficients:
        """Coefficients of spectra (B, N)."""
        return self._apart(spectra, self.taken_apart)

    def adjoint(self, gradients: Tensor) -> Coefficients:
        """Gradients by coefficients, of gradients by pixels (B, N): the inverse's adjoint."""
        return self._apart(gradients, self.put_together)

    def inverse(self, coefficients: Sequence[Tensor]) -> Tensor:
        """Spectra (B, N)."""
        low = coefficients[-1]
        for high in reversed(coefficients[:-1]):
            both = torch.stack((low, high), dim=1)
            long = nn.functional.conv_transpose1d(both, self.put_together[:, None], stride=2)[:, 0]
            low = _wrapped(long, self.put_together.shape[1] // 2 - 1)
        return low[:, : self.pixels]

    def _apart(self, spectra: Tensor, filters: Tensor) -> Coefficients:
        low = nn.functional.pad(spectra, (0, -self.pixels % 2**self.depth))
        margin = filters.shape[1] // 2 - 1
        details = []
        for _ in range(self.depth):
            padded = nn.functional.pad(low[:, None], (margin, margin), mode="circular")
            low, high = nn.functional.conv1d(padded, filters[:, None], stride=2).unbind(dim=1)
            details.append(high)
        return (*details, low)

    @property
    def cells(self) -> tuple[int, ...]:
        """Pixels from one coefficient of each part to the next."""
        return (*(2 ** (level + 1) for level in range(self.depth)), 2**self.depth)


def wavelets(name: str, depth: int, like: Tensor) -> Wavelets:
    """The transform by the wavelet of that name of PyWavelets, for spectra like ``like`` (N,)."""
    wavelet = pywt.Wavelet(name)
    apart = [wavelet.dec_lo[::-1], wavelet.dec_hi[::-1]]
    together = [wavelet.rec_lo, wavelet.rec_hi]
    filters = torch.tensor([apart, together], dtype=torch.float64, device=like.device)
    return Wavelets(len(like), depth, filters[0], filters[1])


def _wrapped(values: Tensor, margin: int) -> Tensor:
    """(B, P + 2 margin) to (B, P): what hangs over at either end is added at the other."""
    if not margin:
        return values
    whole = values[:, margin:-margin].clone()
    whole[:, -margin:] += values[:, :margin]
    whole[:, :margin] += values[:, -margin:]
    return whole
