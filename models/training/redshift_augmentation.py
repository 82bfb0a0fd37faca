"""Redshift augmentation: spectra carried to another redshift, whose latents must stay the same.

As in spender (Liang et al. 2023, ApJL 956 L6, and its training scripts): linear interpolation shifts the
observed spectrum, a share of its pixels gets more noise, and an interval may be masked.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

NOISY_SHARE = 0.05
NOISE = 0.2
"""Standard deviation of the noise added to a share of pixels, as a share of the brightest pixel."""


def carry(
    flux: Tensor, ivar: Tensor, redshift: Tensor, target: Tensor, log_wavelength: Tensor
) -> tuple[Tensor, Tensor]:
    """Flux and ivar (B, N) as they would be seen at redshifts ``target`` (B,).

    Pixels that come from beyond the grid, or beside a masked pixel, have ivar 0. The mean of two pixels
    has the smaller of their inverse variances, which says less than is known rather than more.

    Parameters
    ----------
    flux, ivar, redshift : (B, N), (B, N), (B,).
    target : (B,).
    log_wavelength : (N,), natural log, ascending, float64.
    """
    shift = torch.log1p(redshift.double()) - torch.log1p(target.double())
    wanted = log_wavelength[None] + shift[:, None]
    right = torch.searchsorted(log_wavelength, wanted).clamp(1, len(log_wavelength) - 1)
    left = right - 1
    width = log_wavelength[right] - log_wavelength[left]
    share = ((wanted - log_wavelength[left]) / width).clamp(0, 1).to(flux.dtype)
    known = torch.where(ivar > 0, flux, 0.0)
    carried = torch.gather(known, 1, left) * (1 - share) + torch.gather(known, 1, right) * share
    weight = torch.minimum(torch.gather(ivar, 1, left), torch.gather(ivar, 1, right))
    inside = (wanted >= log_wavelength[0]) & (wanted <= log_wavelength[-1])
    return carried, torch.where(inside, weight, 0.0)


def roughen(flux: Tensor, ivar: Tensor) -> tuple[Tensor, Tensor]:
    """Noise on a share of the pixels, with their ivar to match, and a twentieth masked in every other row."""
    brightest = flux.abs().amax(dim=1, keepdim=True)
    noisy = torch.rand_like(flux) < NOISY_SHARE
    added = torch.where(noisy, NOISE * brightest * torch.rand(len(flux), 1), 0.0)
    flux = flux + added * torch.randn_like(flux)
    weight = ivar / (1 + ivar * added.square())
    pixels = flux.shape[1]
    width = math.ceil(0.05 * pixels)
    first = torch.randint(0, pixels - width + 1, (len(flux), 1))
    place = torch.arange(pixels)[None]
    masked = (place >= first) & (place < first + width) & (torch.arange(len(flux))[:, None] % 2 == 1)
    return flux, torch.where(masked, 0.0, weight)
