"""The published approach: spender's encoder and flow, one forward pass per window, one window at a time.

The loop is that of the code published with arXiv 2310.20012 (github.com/al-jshen/imo): for each
baseline and window, the window is pasted and the model is called on that one spectrum.
"""

from __future__ import annotations

import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine.attribution.occlusion.windows import Scale
from flows.bench.approaches import Approach, CountedForwards, Skipped, optional_module
from flows.bench.subject import Subject, Subjects, sampled
from models.grid import WavelengthGrid
from models.spectrum_model import LogProb
from models.spender.files import read_spender_file

LATENTS = 6
_LATENT_STD = 0.05


def published(
    subjects: Subjects, subject: Subject, scales: list[Scale], sample: int, flow_file: Path | None
) -> Approach | Skipped:
    """Spender on ``sample`` windows and one baseline, or why there is no spender.

    The released weights of the encoder are not needed for its speed: they are random here.

    Parameters
    ----------
    flow_file : released weights of the flow; None for random ones.
    """
    spender = optional_module("published", "spender")
    if isinstance(spender, Skipped):
        return spender
    modules = spender_modules(spender, subjects.model.card.grid, flow_file)
    counted = CountedForwards(spender_log_prob(*(module.to(subjects.device) for module in modules)))
    request = subjects.request(subject, 1)
    chosen = sampled(scales, sample)
    edges = [
        (start, stop)
        for scale in chosen
        for start, stop in zip(scale.start.tolist(), scale.stop.tolist(), strict=True)
    ]

    def run() -> int:
        before = counted.count
        with torch.no_grad():
            one_window_at_a_time(counted, request.spectrum, request.baselines[0], edges)
        return counted.count - before

    weights = f"released flow {flow_file.name}" if flow_file else "random flow weights"
    what = f"spender {version('spender')} encoder (random weights) and {weights}, one spectrum at a time"
    return Approach("published", what, 1, None, run)


def one_window_at_a_time(
    log_prob: LogProb, spectrum: Tensor, baseline: Tensor, edges: list[tuple[int, int]]
) -> list[Tensor]:
    """The loop as published, per pixel of the windows ``edges`` (first pixel and that after the last)."""
    reference = log_prob(baseline[None]).squeeze()
    keep = torch.ones_like(spectrum, dtype=torch.bool)
    attribution = torch.zeros_like(spectrum)
    for start, stop in edges:
        keep[start:stop] = False
        pasted = torch.where(keep, baseline, spectrum)
        attribution[start:stop] = (reference - log_prob(pasted[None]).squeeze()) / (~keep).sum()
        keep[start:stop] = True
    return [attribution]


def spender_modules(
    spender: Any, grid: WavelengthGrid, flow_file: Path | None
) -> tuple[nn.Module, nn.Module]:
    """Spender's own encoder, with random weights, and flow.

    Parameters
    ----------
    spender : the package.
    flow_file : released weights of the flow; None for random ones.

    Raises
    ------
    InputError : the file does not hold weights.
    """
    wavelength = torch.from_numpy(grid.wavelength()).float()
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        # nflows uses a name of its own that it calls deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.manual_seed(0)
        encoder = spender.SpectrumEncoder(spender.Instrument(wavelength), LATENTS)
        flow = spender.NeuralDensityEstimator(
            dim=LATENTS,
            initial_pos={"bounds": [[0, 0]] * LATENTS, "std": [_LATENT_STD] * LATENTS},
        )
    if flow_file is not None:
        flow.load_state_dict(read_spender_file(flow_file).tensors)
    for module in (encoder, flow):
        module.requires_grad_(requires_grad=False).eval()
    return encoder, flow


def spender_log_prob(encoder: nn.Module, flow: Any) -> LogProb:
    """Log density of spectra by spender's modules."""

    def log_prob(spectra: Tensor) -> Tensor:
        values: Tensor = flow.log_prob(encoder(spectra))
        return values

    return log_prob
