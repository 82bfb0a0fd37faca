"""Slow, obviously correct occlusion in float64: what every faster way is measured against."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from engine.attribution.occlusion.request import OcclusionRequest
from models.spectrum_model import LogProb


class LocalModel(nn.Module):
    """A small local encoder with additive attention pooling and a curved head: (batch, N) to (batch,)."""

    def __init__(self, seed: int, channels: int = 6) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.first = nn.Conv1d(1, channels, 5, padding=2)
        self.second = nn.Conv1d(channels, 2 * channels, 7, padding=3)
        self.head = nn.Sequential(nn.Linear(channels, 8), nn.Tanh(), nn.Linear(8, 3))

    def forward(self, spectra: torch.Tensor) -> torch.Tensor:
        hidden = nn.functional.gelu(self.first(spectra[:, None]))
        feature, gate = self.second(hidden).chunk(2, dim=1)
        pooled = (feature * gate.exp()).sum(dim=2) / gate.exp().sum(dim=2)
        latent = 3 * self.head(5 * pooled)
        return -0.5 * latent.square().sum(dim=1) - 3.0


def slow_window(preset: str, windows: tuple[int, ...], scale: int, pixel: int, pixels: int) -> set[int]:
    """The pixels of the window that speaks for ``pixel``, from the presets' definitions in words."""
    width = windows[scale]
    if preset == "paper":
        return {i for i in range(pixel - width // 2, pixel - width // 2 + width) if 0 <= i < pixels}
    if preset == "nearest":
        apart = min(max(width // 8, 1), 16)
        centre = min(pixel - pixel % apart + apart // 2, pixels - 1)
        return slow_window("paper", windows, scale, centre, pixels)
    offset = sum(w // 2 for w in windows[: scale + 1]) % width
    return {i for i in range(pixels) if (i - offset) // width == (pixel - offset) // width}


def slow_occlusion(
    log_prob: LogProb, request: OcclusionRequest, preset: str, windows: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Maps (W, N), spread (W, N) and combined map (N,), pixel by pixel in plain loops."""
    x, good = request.spectrum.double(), request.good.tolist()
    pixels = len(x)
    maps, spread, combined = np.zeros((2, len(windows), pixels)), None, np.zeros(pixels)
    maps, spread = maps
    power = {"nearest": 0, "paper": 2, "reference-code": 1}[preset]
    memory: dict[tuple[int, frozenset[int]], float] = {}

    def effect(m: int, pasted: frozenset[int]) -> float:
        if (m, pasted) not in memory:
            b = request.baselines[m].double()
            hybrid = b.clone()
            for i in pasted:
                hybrid[i] = x[i]
            with torch.no_grad():
                memory[m, pasted] = float(log_prob(b[None])[0]) - float(log_prob(hybrid[None])[0])
        return memory[m, pasted]

    for w in range(len(windows)):
        for pixel in range(pixels):
            if not good[pixel]:
                continue
            pasted = frozenset(i for i in slow_window(preset, windows, w, pixel, pixels) if good[i])
            effects = [effect(m, pasted) for m in range(len(request.baselines))]
            if preset == "reference-code":
                effects = [value / len(slow_window(preset, windows, w, pixel, pixels)) for value in effects]
            mean = sum(effects) / len(effects)
            maps[w, pixel] = mean
            spread[w, pixel] = (sum((value - mean) ** 2 for value in effects) / len(effects)) ** 0.5
    floor = np.finfo(np.float32).eps * spread.max()
    for pixel in range(pixels):
        if good[pixel]:
            sigma = [max(s, floor) or 1.0 for s in spread[:, pixel]]
            total = sum(s**-power for s in sigma)
            combined[pixel] = sum(a * s**-power for a, s in zip(maps[:, pixel], sigma, strict=True)) / total
    return maps, spread, combined


@pytest.fixture
def slow() -> Callable[..., tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """:func:`slow_occlusion`."""
    return slow_occlusion


@pytest.fixture
def local_model() -> Callable[[int], tuple[nn.Module, nn.Module]]:
    """Seed to a random local model in float32 and the same weights in float64."""

    def make(seed: int) -> tuple[nn.Module, nn.Module]:
        single = LocalModel(seed).eval()
        return single, copy.deepcopy(single).double()

    return make


@pytest.fixture
def make_request() -> Callable[..., OcclusionRequest]:
    """A random smooth-ish spectrum with baselines and a share of masked pixels."""

    def make(
        pixels: int,
        baselines: int = 3,
        masked: float = 0.2,
        seed: int = 0,
        dtype: torch.dtype = torch.float32,
    ) -> OcclusionRequest:
        random = torch.Generator().manual_seed(seed)
        return OcclusionRequest(
            1 + 0.5 * torch.randn(pixels, generator=random).to(dtype),
            1 + 0.1 * torch.randn(baselines, pixels, generator=random).to(dtype),
            torch.rand(pixels, generator=random) >= masked,
        )

    return make
