"""Training spectra: clean ones of another seed than the judged ones, for rivals to learn from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.evaluation.held_out_spectra import HeldOutSettings, held_out_spectra
from engine.simulation.common_grid import joined
from engine.spectra.normalisation import normalise
from engine.spectra.spectra import Spectra
from models.model_card import ModelCard

Progress = Callable[[int, int], None]

_TRAINING = 0x72697661
"""Parts the seeds of training spectra from those of the spectra that are judged."""


@dataclass(frozen=True)
class TrainingSpectra:
    """n clean spectra as the model sees them, and what only the simulator knows of them.

    Attributes
    ----------
    card : of the model.
    seed : from which they were drawn, and with which whatever learns from them draws.
    flux, ivar : (n, N) float32, normalised; 0 where masked.
    redshift : (n,) float64.
    light : (n, N) float32, flux without noise and without the flaws of calibration, by a normalisation of its
        own; 0 where masked.
    calibration : (n, N) float32, factor by which calibration changed the light; 1 where masked.
    noise : median over the spectra of the standard deviation of the noise, in units of what ivar states.
    """

    card: ModelCard
    seed: int
    flux: NDArray[np.float32]
    ivar: NDArray[np.float32]
    redshift: NDArray[np.float64]
    light: NDArray[np.float32]
    calibration: NDArray[np.float32]
    noise: float

    def __len__(self) -> int:
        return len(self.redshift)

    def take(self, rows: slice) -> TrainingSpectra:
        """Some of them."""
        arrays = {
            name: getattr(self, name)[rows] for name in ("flux", "ivar", "redshift", "light", "calibration")
        }
        return replace(self, **arrays)


def training_spectra(
    card: ModelCard, judged: HeldOutSettings, spectra: int, progress: Progress = lambda *_: None
) -> TrainingSpectra:
    """So many spectra like those that are judged, with the half of the real sky that models are trained on.

    Raises
    ------
    ConfigurationError, InputError : see :func:`engine.evaluation.held_out_spectra.held_out_spectra`.
    """
    seed = int(np.random.SeedSequence((judged.seed, _TRAINING)).generate_state(1, np.uint64)[0] >> 1)
    settings = replace(judged, spectra=spectra, seed=seed, sky_share="training")
    parts, lights, calibrations, scatter = [], [], [], []
    for held_out in held_out_spectra(card, settings, progress):
        simulated, spectrum = held_out.simulated, held_out.spectrum
        truth, _ = joined(simulated, card.grid, tuple(arm.truth for arm in simulated.arms))
        light, _ = joined(simulated, card.grid, simulated.source.flux)
        noise = np.abs(spectrum.flux - truth)[spectrum.ivar > 0] * np.sqrt(spectrum.ivar[spectrum.ivar > 0])
        scatter.append(np.median(noise) / 0.67449)
        parts.append(spectrum)
        lights.append(light)
        calibrations.append(np.divide(truth, light, out=np.ones_like(truth), where=(light > 0) & (truth > 0)))
    noisy = Spectra.concatenate(card.grid, parts)
    seen = normalise(noisy, card, ())
    noise_free = normalise(Spectra(card.grid, np.concatenate(lights), noisy.ivar, noisy.rows), card, ())
    return TrainingSpectra(
        card=card,
        seed=seed,
        flux=seen.flux,
        ivar=seen.ivar,
        redshift=seen.rows["redshift"].copy(),
        light=noise_free.flux,
        calibration=np.concatenate(calibrations),
        noise=float(np.median(scatter)),
    )
