"""Anomalies of the simulator as shapes: the change of the flux, free of noise, at a strength of one sigma."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.evaluation.held_out_spectra import HeldOutSpectrum
from engine.simulation.anomalies import AnomalyKind
from engine.simulation.common_grid import joined
from engine.simulation.detector_anomalies import Exposure, change_exposure
from engine.simulation.light_anomalies import WIND_LINES, WIND_MARGIN, Light, change_light
from models.grid import WavelengthGrid

_LOSES_FLUX = frozenset(
    {
        AnomalyKind.BROAD_ABSORPTION,
        AnomalyKind.DEAD_REGION,
        AnomalyKind.ARM_STEP,
        AnomalyKind.TILT,
        AnomalyKind.P_CYGNI,
        AnomalyKind.FRINGES,
    }
)
_BALMER_GAMMA, _BALMER_BETA = 4341.68, 4862.68
_MARGIN = 60.0


@dataclass(frozen=True)
class AnomalyShape:
    """What one anomaly does to one spectrum.

    Attributes
    ----------
    change : (N,) float32, in the units of the flux; the root of the sum of change**2 ivar is 1.
    largest : strength in sigma beyond which it would not be what it is: the light lost would be more than
        there is, or the lines more than split. Infinite where there is no such bound.
    """

    change: NDArray[np.float32]
    largest: float


def anomaly_shape(
    kind: AnomalyKind, held_out: HeldOutSpectrum, grid: WavelengthGrid, seed: int
) -> AnomalyShape | None:
    """An anomaly of ``kind`` for a spectrum, drawn by ``seed`` and the spectrum's index.

    The simulator draws it; only its size is taken out. ``None`` where the spectrum cannot carry it: none
    of the lines falls on the grid, or all of it falls on masked pixels.
    """
    # Named, not numbered: other kinds may come, and these stay as they are.
    entropy = np.random.SeedSequence((seed, held_out.index, *kind.value.encode()))
    random = np.random.Generator(np.random.PCG64(entropy))
    changes = _change(random, kind, held_out)
    if changes is None:
        return None
    change, ivar = joined(held_out.simulated, grid, changes)
    strength = float(np.sqrt(np.sum(change.astype(np.float64) ** 2 * ivar)))
    if not strength > 0:
        return None
    largest = _largest_factor(kind, held_out, changes) * strength
    return AnomalyShape((change[0] / strength).astype(np.float32), largest)


def _change(
    random: np.random.Generator, kind: AnomalyKind, held_out: HeldOutSpectrum
) -> tuple[NDArray[np.float64], ...] | None:
    """The simulator's anomaly, per arm."""
    simulated = held_out.simulated
    arms, pixels = simulated.instrument.arms, simulated.arms
    if kind.astrophysical:
        with np.errstate(divide="ignore"):
            sigma = tuple(1 / np.sqrt(each.ivar.astype(np.float64)) for each in pixels)
        light = Light(arms, tuple(each.truth for each in pixels), sigma, simulated.source.redshift)
        if not _has_lines(kind, light):
            return None
        _, flux = change_light(random, kind, light)
        return tuple(new - old for new, old in zip(flux, light.flux, strict=True))
    exposure = Exposure(
        arms,
        tuple(each.flux.astype(np.float64) for each in pixels),
        tuple(each.truth for each in pixels),
        tuple(each.ivar.astype(np.float64) for each in pixels),
    )
    _, changed = change_exposure(random, kind, exposure)
    return tuple(new - old for new, old in zip(changed.truth, exposure.truth, strict=True))


def _has_lines(kind: AnomalyKind, light: Light) -> bool:
    """Whether lines that the simulator would draw at the source's redshift fall on the arms."""
    factor = 1 + light.redshift
    if kind is AnomalyKind.BROAD_SHIFTED_LINES:
        return light.covers(_BALMER_GAMMA * factor * 0.995, _MARGIN)
    if kind is AnomalyKind.P_CYGNI:
        return any(light.covers(line * factor, WIND_MARGIN) for line in WIND_LINES)
    return kind is not AnomalyKind.DOUBLE_PEAKED_LINES or light.covers(_BALMER_BETA * factor, _MARGIN)


def _largest_factor(
    kind: AnomalyKind, held_out: HeldOutSpectrum, changes: tuple[NDArray[np.float64], ...]
) -> float:
    """How many times larger than drawn it may be."""
    if kind is AnomalyKind.DOUBLE_PEAKED_LINES:
        return 1.0  # the galaxy's own lines are then wholly split
    if kind not in _LOSES_FLUX:
        return np.inf
    truth = np.concatenate([arm.truth for arm in held_out.simulated.arms])
    change = np.concatenate(changes)
    loss = (change < 0) & (truth > 0)
    return float(np.min(truth[loss] / -change[loss])) if loss.any() else np.inf
