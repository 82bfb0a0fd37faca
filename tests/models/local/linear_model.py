"""The smallest scoring model there can be: its reconstruction is a matrix times the flux."""

# ruff: noqa: ARG002 - it answers the whole interface and looks at little

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.calibration.calibration import Tail
from models.grid import WavelengthGrid
from models.model_card import ModelCard
from models.spectrum_model import LogProb, ModelOutputs, SpectrumModel

PIXELS = 40
GRID = WavelengthGrid("small", "linear", 6500.0, 5.0, PIXELS)  # Hα, [N II] and [S II] at redshift 0
CARD = ModelCard(
    name="linear",
    description="for tests",
    kind="linear",
    grid=GRID,
    classes=(),
    redshift_min=0.0,
    redshift_max=1.0,
    snr_min=0.0,
    snr_max=100.0,
    normalisation_min=6500.0,
    normalisation_max=6700.0,
    min_good_fraction=0.0,
    rest_start=0.0,
    rest_step=0.0,
    rest_size=0,
    architecture={"latents": 1, "novelty": 0},
    training={},
    metrics={},
    calibration_quantiles=(),
)


class LinearModel(SpectrumModel):
    """Reconstructs by a fixed random matrix that looks at every pixel; float64."""

    matrix: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.card = CARD
        random = torch.Generator().manual_seed(5)
        matrix = torch.eye(PIXELS) * 0.5 + 0.3 * torch.rand(PIXELS, PIXELS, generator=random) / PIXELS
        self.register_buffer("matrix", matrix.double())

    @property
    def floats_per_pixel(self) -> int:
        return 8

    @property
    def calibration_size(self) -> int:
        return 4

    def outputs(self, flux: Tensor, ivar: Tensor, redshift: Tensor) -> ModelOutputs:
        seen = torch.where(ivar > 0, flux, 1.0).double()
        return ModelOutputs(seen[:, :1], seen.mean(dim=1), seen @ self.matrix)

    def conditioned(self, flux: Tensor, ivar: Tensor, redshift: float) -> LogProb:
        at = torch.tensor([redshift])
        return lambda flux: -self.outputs(flux, ivar.expand_as(flux), at.expand(len(flux))).score

    def baselines(self, redshift: float, chosen: NDArray[np.int64]) -> Tensor:
        return torch.ones(len(chosen), PIXELS, dtype=torch.float64)

    def tail(
        self,
        score: NDArray[np.floating],
        signal_to_noise: NDArray[np.floating],
        redshift: NDArray[np.floating],
    ) -> Tail:
        return Tail(np.ones(len(score), dtype=np.float32), np.zeros(len(score), dtype=np.float32))
