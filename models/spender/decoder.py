"""The decoder of spender (Melchior et al. 2023, arXiv 2211.07890), as version 0.3 writes it.

Parameters carry spender's names, so that its state dicts load as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from models.grid import WavelengthGrid

ActivationName = Literal["leaky-relu", "speculator"]


class Speculator(nn.Module):
    """The activation of Alsing et al. (2020, ApJS 249, 5), equation 8: (γ + (1 - γ) sigmoid(β x)) x.

    ``offset`` is added to it; spender has 1 at its output.
    """

    def __init__(self, width: int, offset: float = 0.0) -> None:
        super().__init__()
        self.offset = offset
        self.beta = nn.Parameter(torch.ones(width))
        self.gamma = nn.Parameter(torch.zeros(width))

    def forward(self, inputs: Tensor) -> Tensor:
        """Same shape."""
        return (self.gamma + (1 - self.gamma) * torch.sigmoid(self.beta * inputs)) * inputs + self.offset


class SpenderDecoder(nn.Module):
    """A perceptron to a rest-frame spectrum, then redshift and linear interpolation to the observed grid.

    Parameters
    ----------
    grid : observed grid.
    latents : number of latents S; hidden : widths of the perceptron; activation : after each of its layers.
    rest_size : number of rest-frame wavelengths; they come with the weights.
    line_spread : pixels of the kernel that the observed spectrum is smoothed with; 0 for none.
    """

    wave_rest: Tensor
    line_spread: Tensor
    wavelength: Tensor

    def __init__(
        self,
        grid: WavelengthGrid,
        latents: int,
        hidden: Sequence[int],
        activation: ActivationName,
        rest_size: int,
        line_spread: int,
    ) -> None:
        super().__init__()
        widths = (latents, *hidden, rest_size)
        layers: list[nn.Module] = []
        for place, (width, next_width) in enumerate(pairwise(widths)):
            layers.append(nn.Linear(width, next_width))
            if activation == "speculator":
                layers.append(Speculator(next_width, 1.0 if place == len(hidden) else 0.0))
            else:
                layers.append(nn.LeakyReLU())
            layers.append(nn.Identity())  # spender had a dropout here, and keeps its place
        self.mlp = nn.Sequential(*layers)
        # float64: the fraction of a pixel near 9000 Angstrom needs more than float32 has.
        self.register_buffer("wave_rest", torch.zeros(rest_size, dtype=torch.float64))
        self.register_buffer("line_spread", torch.zeros(line_spread))
        self.register_buffer("wavelength", torch.from_numpy(grid.wavelength()), persistent=False)

    def rest(self, latents: Tensor) -> Tensor:
        """Rest-frame spectra, (B, S) to (B, rest_size)."""
        spectrum: Tensor = self.mlp(latents)
        return spectrum

    def forward(self, latents: Tensor, redshift: Tensor) -> Tensor:
        """Observed-frame spectra, (B, S) and (B,) to (B, N); 0 where the rest-frame grid does not reach."""
        rest = self.rest(latents)
        factor = 1 + redshift.double()[:, None]
        shifted = self.wavelength.double() / factor
        wave_rest = self.wave_rest.double()
        left = torch.searchsorted(wave_rest, shifted).sub_(1).clamp_(0, len(wave_rest) - 2)
        fraction = ((shifted - wave_rest[left]) / (wave_rest[left + 1] - wave_rest[left])).to(rest.dtype)
        before, after = torch.gather(rest, 1, left), torch.gather(rest, 1, left + 1)
        inside = (self.wavelength > wave_rest[0] * factor) & (self.wavelength < wave_rest[-1] * factor)
        spectrum = torch.where(inside, before + (after - before) * fraction, 0.0)
        if not len(self.line_spread):
            return spectrum
        kernel = self.line_spread.to(spectrum.dtype)
        smoothed = nn.functional.conv1d(spectrum[:, None], kernel[None, None] / kernel.sum(), padding="same")
        return smoothed[:, 0]
