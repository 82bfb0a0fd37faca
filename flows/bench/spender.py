"""The spender benchmark: an imported model against spender itself, with the same weights and windows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.attribution.occlusion.method import forward_passes
from engine.attribution.occlusion.settings import PresetName, of_preset
from engine.surveys.desi.grid import DESI_GRID
from flows.bench.approaches import Skipped, optional_module
from flows.bench.devices import usable_device
from flows.bench.published import LATENTS, one_window_at_a_time, spender_log_prob, spender_modules
from flows.bench.timing import time_in_turn
from models.errors import ConfigurationError, ErrorKind
from models.spectrum_model import LogProb
from models.spender.encoder import SpenderEncoder
from models.spender.files import SpenderFile
from models.spender.quick import QuickEncoder
from models.spender.weights import flow_of

SCHEMA = 1
_WIDTH = 16


@dataclass(frozen=True)
class SpenderBench:
    """Results of the benchmark; also the JSON, one object of these fields.

    Attributes
    ----------
    schema : raised when a field changes its meaning or goes.
    spender, torch : versions; threads : of torch.
    windows : how many were pasted, each a forward pass; repeats : timed runs of each way.
    spender_seconds, whyspec_seconds : of a forward pass, by the quickest run: spender's modules on one window
        at a time, whyspec's on all at once.
    ratio : of the two.
    explanation_seconds : of one spectrum with eight baselines by whyspec's, for each preset.
    largest_difference : between the two ways' differences of the score, over their standard deviation.
    """

    schema: int
    spender: str
    torch: str
    threads: int
    windows: int
    repeats: int
    spender_seconds: float
    whyspec_seconds: float
    ratio: float
    explanation_seconds: dict[PresetName, float]
    largest_difference: float

    def to_dict(self) -> dict[str, Any]:
        """The JSON-ready form."""
        return asdict(self)


def bench_spender(
    flow_file: Path | None, windows: int, repeats: int, progress: Callable[[str], None]
) -> SpenderBench:
    """Measure.

    Parameters
    ----------
    flow_file : released weights of the flow, random ones if None; the encoder's are random.

    Raises
    ------
    ConfigurationError : spender is not installed.
    """
    spender = optional_module("spender", "spender")
    if isinstance(spender, Skipped):
        raise ConfigurationError(
            "The benchmark compares with spender, which is not installed.",
            got=spender.reason,
            remedy="pip install 'whyspec[spender]'",
            kind=ErrorKind.BENCH_SPENDER,
        )
    theirs, ours = _both(spender, flow_file)
    spectrum, baseline = _subject()
    edges = [(start, start + _WIDTH) for start in range(0, windows * _WIDTH, _WIDTH)]
    pixel = torch.arange(len(spectrum))
    first = torch.tensor([start for start, _ in edges])[:, None]
    inside = (pixel >= first) & (pixel < first + _WIDTH)
    found: dict[str, Tensor] = {}

    def one_at_a_time() -> None:
        with torch.inference_mode():
            (maps,) = one_window_at_a_time(theirs, spectrum, baseline, edges)
            found["spender"] = maps[first[:, 0]] * _WIDTH

    def at_once() -> None:
        with torch.inference_mode():
            pasted = torch.cat([baseline[None], torch.where(inside, spectrum, baseline)])
            values = ours(pasted)
            found["whyspec"] = values[0] - values[1:]

    times = time_in_turn(
        {"spender": one_at_a_time, "whyspec": at_once}, repeats, usable_device("cpu"), progress
    )
    each = {name: timing.minimum / (windows + 1) for name, timing in times.items()}
    presets: tuple[PresetName, ...] = ("paper", "reference-code")
    return SpenderBench(
        schema=SCHEMA,
        spender=version("spender"),
        torch=torch.__version__,
        threads=torch.get_num_threads(),
        windows=windows,
        repeats=repeats,
        spender_seconds=each["spender"],
        whyspec_seconds=each["whyspec"],
        ratio=each["spender"] / each["whyspec"],
        explanation_seconds={
            preset: forward_passes(of_preset(preset), DESI_GRID.size) * each["whyspec"] for preset in presets
        },
        largest_difference=float(
            (found["spender"] - found["whyspec"]).abs().max() / found["spender"].std().clamp_min(1e-30)
        ),
    )


def _both(spender: Any, flow_file: Path | None) -> tuple[LogProb, LogProb]:
    """Log probability by spender's modules and by whyspec's, of the same weights."""
    encoder, flow = spender_modules(spender, DESI_GRID, flow_file)
    own = SpenderEncoder(LATENTS)
    own.load_state_dict({k: v for k, v in encoder.state_dict().items() if k != "instrument.wave_obs"})
    quick, own_flow = QuickEncoder(own), flow_of(SpenderFile(Path("spender"), "", flow.state_dict()))

    def ours(spectra: Tensor) -> Tensor:
        values: Tensor = own_flow(quick(spectra))
        return values

    return spender_log_prob(encoder, flow), ours


def _subject() -> tuple[Tensor, Tensor]:
    """A noisy spectrum and a smooth one, of DESI's size."""
    generator = torch.Generator().manual_seed(1)
    baseline = torch.linspace(0.6, 1.4, DESI_GRID.size)
    return baseline + 0.2 * torch.randn(DESI_GRID.size, generator=generator), baseline
