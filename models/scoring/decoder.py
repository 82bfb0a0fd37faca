"""The decoder: latents to a rest-frame spectrum, redshifted and resampled to the observed grid."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from models.grid import WavelengthGrid


class Decoder(nn.Module):
    """A small perceptron onto a log-wavelength rest-frame grid, then linear interpolation.

    Parameters
    ----------
    grid : observed grid.
    rest_start, rest_step, rest_size : rest-frame grid in log10 of Angstrom.
    latents : number of latents; hidden : widths of the hidden layers.
    """

    log10_wavelength: Tensor

    def __init__(
        self,
        grid: WavelengthGrid,
        rest_start: float,
        rest_step: float,
        rest_size: int,
        latents: int,
        hidden: tuple[int, ...],
    ) -> None:
        super().__init__()
        self.rest_start, self.rest_step, self.rest_size = rest_start, rest_step, rest_size
        layers: list[nn.Module] = []
        inputs = latents
        for width in hidden:
            layers += [nn.Linear(inputs, width), nn.LeakyReLU(0.1)]
            inputs = width
        self.hidden = nn.Sequential(*layers)
        self.output = nn.Linear(inputs, rest_size)
        nn.init.normal_(self.output.weight, std=0.02)
        nn.init.ones_(self.output.bias)
        # float64: a pixel index near 7000 needs more than float32 leaves for its fraction.
        log10_wavelength = torch.from_numpy(grid.wavelength()).log10()
        self.register_buffer("log10_wavelength", log10_wavelength, persistent=False)

    def rest(self, latents: Tensor) -> Tensor:
        """Rest-frame spectra, (B, S) to (B, rest_size), in units of the normalisation."""
        spectrum: Tensor = self.output(self.hidden(latents))
        return spectrum

    def forward(self, latents: Tensor, redshift: Tensor) -> Tensor:
        """Observed-frame spectra, (B, S) and (B,) to (B, N).

        Pixels beyond the rest-frame grid take its end value: the card's redshift range keeps a
        trained model from getting there.
        """
        rest = self.rest(latents)
        left, fraction = self.places(redshift, rest.dtype)
        return torch.gather(rest, 1, left) * (1 - fraction) + torch.gather(rest, 1, left + 1) * fraction

    def basis(self, redshift: float) -> tuple[Tensor, Tensor]:
        """Matrix (N, H) and offset (N,): at a redshift, what the last hidden layer (H,) is drawn as."""
        where = torch.tensor([redshift], dtype=torch.float64, device=self.log10_wavelength.device)
        (left,), (fraction,) = self.places(where, self.output.weight.dtype)
        weight, bias = self.output.weight.detach(), self.output.bias.detach()
        matrix = weight[left] * (1 - fraction)[:, None] + weight[left + 1] * fraction[:, None]
        return matrix, bias[left] * (1 - fraction) + bias[left + 1] * fraction

    def places(self, redshift: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Left rest-frame pixel of every observed one and how far towards the next, (B, N) each."""
        index = self.place(redshift).clamp(0, self.rest_size - 1.001)
        left = index.floor().long()
        return left, (index - left).to(dtype)

    def place(self, redshift: Tensor) -> Tensor:
        """Rest-frame pixel, with its fraction, of every observed one, (B,) to (B, N) float64."""
        log_scale = torch.log1p(redshift.double()) / math.log(10.0)
        return (self.log10_wavelength[None] - log_scale[:, None] - self.rest_start) / self.rest_step
