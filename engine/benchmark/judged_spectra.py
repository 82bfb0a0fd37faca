"""Judged spectra: simulated ones with one anomaly each, and their clean twins.

Every kind and every strength is tried equally often, each in a spectrum of its own. A map is judged on what
the model detects and what was usual before; a detector on everything that was tried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import torch

from engine.evaluation.anomaly_shapes import anomaly_shape
from engine.evaluation.held_out_spectra import HeldOutSettings, HeldOutSpectrum, held_out_spectra
from engine.evaluation.injected_spectra import CleanSpectra, InjectedSpectra
from engine.simulation.anomalies import AnomalyKind
from engine.simulation.common_grid import joined
from engine.spectra.normalisation import normalise
from engine.spectra.scorer import as_float32, device_tensor
from models.errors import ConfigurationError, ErrorKind
from models.signal_to_noise import signal_to_noise
from models.spectrum_model import SpectrumModel

MOST_TRIES = 60
"""Spectra tried for each detected one that is wanted, before it is said that too few are detected."""
_SPECTRA = 100_000
"""What a simulation is asked for, whatever is taken of it: so a spectrum depends on seed and place alone."""


@dataclass(frozen=True, slots=True)
class JudgedSettings:
    """Which spectra are judged.

    Attributes
    ----------
    held_out : the simulation; its number of spectra does not count.
    strengths : of the anomalies, in sigma against photon noise.
    threshold : tail probability at or below which a spectrum counts as detected.
    kinds : of the anomalies.
    """

    held_out: HeldOutSettings
    strengths: tuple[float, ...] = (10.0, 20.0, 40.0)
    threshold: float = 0.01
    kinds: tuple[AnomalyKind, ...] = tuple(AnomalyKind)

    def __post_init__(self) -> None:
        if not self.strengths or min(self.strengths) <= 0 or not 0 < self.threshold < 1 or not self.kinds:
            raise ConfigurationError(
                "Settings of a benchmark are out of range.",
                where="spectra of the benchmark",
                got=f"strengths {self.strengths}, threshold {self.threshold:g}, {len(self.kinds)} kinds",
                allowed="strengths above 0 sigma, a threshold between 0 and 1, at least one kind",
                remedy="Correct them.",
                kind=ErrorKind.BENCHMARK_SETTINGS,
            )

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description of all that the spectra depend on, but for files and model."""
        return {
            "seed": self.held_out.seed,
            "population": self.held_out.population,
            "templates": self.held_out.templates is not None,
            "sky": self.held_out.sky is not None,
            "strengths": list(self.strengths),
            "threshold": self.threshold,
            "kinds": [kind.value for kind in self.kinds],
        }


@dataclass(frozen=True, eq=False)
class JudgedSpectrum:
    """One spectrum with an anomaly in it, and its clean twin.

    Attributes
    ----------
    number : its place among those that were tried.
    injected : it alone, of length 1.
    tail, clean_tail : tail probabilities with and without the anomaly.
    """

    number: int
    injected: InjectedSpectra
    tail: float
    clean_tail: float

    @property
    def kind(self) -> str:
        """Name of the anomaly."""
        return self.injected.kind

    @property
    def strength(self) -> float:
        """Sigma of the whole change, for an observer who knows it."""
        return self.injected.strength

    @property
    def per_pixel(self) -> float:
        """Sigma of one injected pixel, the root of their mean square."""
        return self.strength / float(np.sqrt(self.injected.injected.sum()))

    def detected(self, threshold: float) -> bool:
        """Whether the anomaly made it odd."""
        return self.tail <= threshold < self.clean_tail


def judged_spectra(
    model: SpectrumModel,
    settings: JudgedSettings,
    wanted: int,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> tuple[JudgedSpectrum, ...]:
    """Spectra tried until ``wanted`` are detected, in order; fewer if that takes too many.

    Raises
    ------
    ConfigurationError : none is detected, or there is no simulation for the model.
    InputError : there are no templates.
    """
    tried: list[JudgedSpectrum] = []
    found = 0
    for spectrum in _tried(model, settings):
        tried.append(spectrum)
        found += spectrum.detected(settings.threshold)
        progress(found, wanted)
        if found == wanted or len(tried) == MOST_TRIES * wanted:
            break
    if not found:
        raise ConfigurationError(
            "The model detects none of the injected anomalies.",
            where=f"model {model.card.name}",
            got=f"{len(tried)} spectra tried at {max(settings.strengths):g} sigma or less",
            allowed=f"tail probabilities of at most {settings.threshold:g}",
            remedy="Ask for stronger anomalies.",
            kind=ErrorKind.BENCHMARK_SETTINGS,
        )
    return tuple(tried)


def _tried(model: SpectrumModel, settings: JudgedSettings) -> Iterator[JudgedSpectrum]:
    held_out = replace(settings.held_out, spectra=_SPECTRA)
    cells = list(product(settings.kinds, settings.strengths))
    turn = np.random.Generator(np.random.PCG64(held_out.seed)).permutation(len(cells)).tolist()
    tries = dict.fromkeys(turn, 0)
    number = 0
    for spectrum in held_out_spectra(model.card, held_out):
        # The cell that was tried least often, in the order of the draw, which this spectrum can carry.
        for cell in sorted(turn, key=tries.__getitem__):
            kind, strength = cells[cell]
            injected = _injected(model, spectrum, kind, strength, held_out.seed)
            if injected is not None:
                tries[cell] += 1
                tail, clean_tail = _tails(model, injected)
                yield JudgedSpectrum(number, injected, tail, clean_tail)
                number += 1
                break


def _injected(
    model: SpectrumModel, held_out: HeldOutSpectrum, kind: AnomalyKind, strength: float, seed: int
) -> InjectedSpectra | None:
    card, simulated = model.card, held_out.simulated
    shape = anomaly_shape(kind, held_out, card.grid, seed)
    if shape is None or shape.largest < strength:
        return None
    truth = joined(simulated, card.grid, tuple(arm.truth for arm in simulated.arms))[0]
    normalised = normalise(held_out.spectrum, card, ())
    clean = CleanSpectra(card, held_out.spectrum, normalised, {kind: (shape,)}, truth)
    injected = clean.inject(kind, strength)
    return injected if len(injected) else None


def _tails(model: SpectrumModel, injected: InjectedSpectra) -> tuple[float, float]:
    """With the anomaly and without, as a run has them."""
    cpu, redshift = torch.device("cpu"), np.repeat(injected.redshift, 2)
    flux = device_tensor(np.concatenate([injected.flux, injected.clean_flux]), cpu)
    ivar = device_tensor(np.concatenate([injected.ivar, injected.clean_ivar]), cpu)
    with torch.inference_mode():
        outputs = model.outputs(flux, ivar, device_tensor(redshift, cpu))
        snr = signal_to_noise(flux, ivar)
    found = model.tail_probability(as_float32(outputs.score), snr, redshift)
    return float(found[0]), float(found[1])
