"""Weight files as spender itself makes them, of the released models' shapes; random weights."""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

FLOW_FILE = "spender.desi-edr.galaxyflow-b71f8966.pt"
"""The one released file among the data of the tests."""

DESI_REST = torch.linspace(2000.0, 9824.0, 9780, dtype=torch.float64)


def spender_package() -> Any:
    """The package; tests that need it skip where the extra is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own dependencies
        pytest.importorskip("spender", exc_type=ImportError)
        return importlib.import_module("spender")


def made_autoencoder(
    wave_obs: torch.Tensor,
    wave_rest: torch.Tensor = DESI_REST,
    leaky: bool = True,
    kernel: torch.Tensor | None = None,
) -> Any:
    """A spender.SpectrumAutoencoder, in evaluation mode; some of its PReLU slopes are negative."""
    spender = spender_package()
    torch.manual_seed(11)
    instrument = spender.Instrument(wave_obs, lsf=None if kernel is None else spender.LSF(kernel))
    model = spender.SpectrumAutoencoder(
        instrument, wave_rest, n_latent=6, act=[nn.LeakyReLU()] * 4 if leaky else None
    )
    with torch.no_grad():
        for block in (model.encoder.conv1, model.encoder.conv2, model.encoder.conv3):
            block[2].weight.uniform_(-0.3, 0.6)
    return model.requires_grad_(requires_grad=False).eval()


def made_flow(latents: int = 6) -> Any:
    """A spender.NeuralDensityEstimator, as its loader of flows makes it."""
    spender = spender_package()
    with warnings.catch_warnings():
        # nflows uses a name of its own that it calls deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.manual_seed(12)
        flow = spender.NeuralDensityEstimator(
            dim=latents, initial_pos={"bounds": [[0, 0]] * latents, "std": [0.05] * latents}
        )
    return flow.requires_grad_(requires_grad=False).eval()


def desi_wavelength() -> torch.Tensor:
    """As spender writes DESI's."""
    return torch.linspace(3600.0, 9824.0, 7781, dtype=torch.float64)


def made_files(directory: Path) -> tuple[Path, Path]:
    """An autoencoder's and a flow's file, as spender's training scripts write them."""
    autoencoder, flow = directory / "autoencoder.pt", directory / "flow.pt"
    torch.save({"model": made_autoencoder(desi_wavelength()).state_dict(), "losses": {}}, autoencoder)
    torch.save(made_flow().state_dict(), flow)
    return autoencoder, flow


def noisy_spectra(count: int, pixels: int, seed: int = 0) -> torch.Tensor:
    """Continua with noise and a line, (count, pixels) float32."""
    random = np.random.default_rng(seed)
    ramp = np.linspace(0.6, 1.4, pixels) * (1 + 0.2 * random.normal(size=(count, 1)))
    line = 3 * np.exp(-0.5 * ((np.arange(pixels) - pixels * random.uniform(size=(count, 1))) / 4) ** 2)
    return torch.from_numpy(ramp + line + 0.2 * random.normal(size=(count, pixels))).float()
