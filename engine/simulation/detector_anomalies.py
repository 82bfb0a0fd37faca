"""Anomalies that instrument and pipeline make: steps, tilts, cosmic rays, sky residuals, dead regions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.simulation.anomalies import Anomaly, AnomalyKind, Region, merged
from engine.simulation.arms import Arm
from engine.simulation.randomness import log_uniform
from engine.simulation.rest_frame import Floats
from models.sky_lines import SKY_LINES

_DICHROIC = 6000.0
"""Angstrom; where the blue and red cameras of the SDSS spectrographs meet."""


@dataclass(frozen=True)
class Exposure:
    """What an instrument recorded, per arm.

    Attributes
    ----------
    arms : the arms.
    flux : with noise.
    truth : without noise.
    ivar : inverse variance; 0 where masked.
    """

    arms: tuple[Arm, ...]
    flux: tuple[Floats, ...]
    truth: tuple[Floats, ...]
    ivar: tuple[Floats, ...]


def change_exposure(
    random: np.random.Generator, kind: AnomalyKind, exposure: Exposure
) -> tuple[Anomaly, Exposure]:
    """An anomaly of ``kind``, and the exposure that shows it. ``exposure`` is left as it is."""
    if kind is AnomalyKind.ARM_STEP:
        return _arm_step(random, exposure)
    if kind is AnomalyKind.TILT:
        return _tilt(random, exposure)
    if kind is AnomalyKind.COSMIC_RAYS:
        return _cosmic_rays(random, exposure)
    if kind is AnomalyKind.SKY_RESIDUALS:
        return _sky_residuals(random, exposure)
    if kind is AnomalyKind.FRINGES:
        return _fringes(random, exposure)
    if kind is AnomalyKind.TRIANGULAR_BUMP:
        return _triangular_bump(random, exposure)
    return _dead_region(random, exposure)


def _arm_step(random: np.random.Generator, exposure: Exposure) -> tuple[Anomaly, Exposure]:
    """One arm (SDSS: one camera) calibrated too high or too low."""
    arms = exposure.arms
    if len(arms) > 1:
        chosen = int(random.integers(len(arms)))
        parts = [np.full(arm.grid.size, index == chosen) for index, arm in enumerate(arms)]
        first, last = float(arms[chosen].wavelength[0]), float(arms[chosen].wavelength[-1])
        at_red_end = chosen == 0 or (chosen + 1 < len(arms) and random.random() < 0.5)
        centre = last if at_red_end else first
    else:
        wavelength = arms[0].wavelength
        blue = bool(random.random() < 0.5)
        parts = [(wavelength < _DICHROIC) == blue]
        first, last = float(wavelength[parts[0]][0]), float(wavelength[parts[0]][-1])
        centre = _DICHROIC
    fraction = _fraction(random, exposure, parts, 0.15, 0.6)
    factors = [np.where(part, 1.0 + fraction, 1.0) for part in parts]
    return _scaled(AnomalyKind.ARM_STEP, exposure, factors, [(first, last)], centre)


def _tilt(random: np.random.Generator, exposure: Exposure) -> tuple[Anomaly, Exposure]:
    """The whole spectrum tilted, as by an atmospheric-dispersion or flux-calibration error."""
    first, last = float(exposure.arms[0].wavelength[0]), float(exposure.arms[-1].wavelength[-1])
    fraction = _fraction(
        random, exposure, [np.ones(arm.grid.size, dtype=bool) for arm in exposure.arms], 0.5, 0.85
    )
    middle, half = (first + last) / 2, (last - first) / 2
    factors = [1.0 + fraction * (arm.wavelength - middle) / half for arm in exposure.arms]
    return _scaled(AnomalyKind.TILT, exposure, factors, [(first, last)], first)


def _fraction(
    random: np.random.Generator, exposure: Exposure, parts: list[np.ndarray], low: float, high: float
) -> float:
    """A signed fraction by which to change the flux in ``parts``, larger where the noise would hide it."""
    signal = sum(
        float(np.sum(np.where(part, truth**2 * ivar, 0.0)))
        for part, truth, ivar in zip(parts, exposure.truth, exposure.ivar, strict=True)
    )
    needed = 40.0 / max(float(np.sqrt(signal)), 1e-9)
    size = min(max(log_uniform(random, low, high), needed), 0.85)
    return size if random.random() < 0.5 else -size


def _scaled(
    kind: AnomalyKind, exposure: Exposure, factors: list[Floats], regions: list[Region], centre: float
) -> tuple[Anomaly, Exposure]:
    """A wrong calibration scales signal and noise alike."""
    changed = Exposure(
        exposure.arms,
        tuple(f * k for f, k in zip(exposure.flux, factors, strict=True)),
        tuple(t * k for t, k in zip(exposure.truth, factors, strict=True)),
        tuple(i / k**2 for i, k in zip(exposure.ivar, factors, strict=True)),
    )
    strength = np.sqrt(
        sum(
            float(np.sum(((k - 1.0) * t) ** 2 * i))
            for k, t, i in zip(factors, exposure.truth, exposure.ivar, strict=True)
        )
    )
    amplitude = max((float(k[np.abs(k - 1.0).argmax()]) - 1.0 for k in factors), key=abs)
    return Anomaly(kind, merged(regions, exposure.arms), centre, float(strength), amplitude), changed


def _cosmic_rays(random: np.random.Generator, exposure: Exposure) -> tuple[Anomaly, Exposure]:
    """Spikes of one to three pixels that the pipeline did not catch."""
    change = [np.zeros(arm.grid.size) for arm in exposure.arms]
    regions: list[Region] = []
    centre, highest = 0.0, 0.0
    wanted = int(random.integers(3, 10))
    while len(regions) < wanted:
        index = int(random.integers(len(exposure.arms)))
        arm, ivar, truth = exposure.arms[index], exposure.ivar[index], exposure.truth[index]
        width = int(random.integers(1, 4))
        first = int(random.integers(2, arm.grid.size - width - 2))
        pixels = slice(first, first + width)
        height = log_uniform(random, 10.0, 80.0)
        profile = random.uniform(0.35, 1.0, width)
        profile[int(random.integers(width))] = 1.0
        if not np.all(ivar[pixels] > 0) or np.any(change[index][pixels]):
            continue
        sigma = 1.0 / np.sqrt(ivar[pixels])
        change[index][pixels] = profile * np.maximum(height * sigma, 0.4 * np.abs(truth[pixels]))
        low, high = float(arm.wavelength[first]), float(arm.wavelength[first + width - 1])
        half = 0.4 * arm.angstrom_per_pixel(low)
        regions.append((low - half, high + half))
        if height > highest:
            centre, highest = (low + high) / 2, height
    return _added(AnomalyKind.COSMIC_RAYS, exposure, change, regions, centre)


def _sky_residuals(random: np.random.Generator, exposure: Exposure) -> tuple[Anomaly, Exposure]:
    """Badly subtracted airglow in one interval of the spectrum: over, under, or shifted."""
    last = float(exposure.arms[-1].wavelength[-1])
    while True:
        start = random.uniform(6900.0, last - 900.0) if random.random() < 0.85 else 5500.0
        stop = min(start + random.uniform(500.0, 1500.0), last - 20.0)
        lines = [(wavelength, area) for wavelength, area in SKY_LINES if start <= wavelength <= stop]
        strongest = max((area for _, area in lines), default=0.0)
        lines = [(wavelength, area) for wavelength, area in lines if area > max(0.15 * strongest, 10.0)]
        height, shift = log_uniform(random, 8.0, 40.0), random.uniform(-1.0, 1.0)
        sign = 1.0 if random.random() < 0.5 else -1.0
        change = [np.zeros(arm.grid.size) for arm in exposure.arms]
        regions: list[Region] = []
        for wavelength, area in lines:
            regions += _residual(
                exposure, change, wavelength, height * (area / strongest) ** 0.5, shift, sign
            )
        strength = _significance(exposure, change)
        if strength > 0.0:
            break
    scale = max(1.0, 25.0 / strength)
    centre = max(lines, key=lambda line: line[1])[0]
    return _added(AnomalyKind.SKY_RESIDUALS, exposure, [scale * c for c in change], regions, centre)


def _residual(
    exposure: Exposure, change: list[Floats], wavelength: float, height: float, shift: float, sign: float
) -> list[Region]:
    """Add the residual of one sky line, ``height`` in sigma, to ``change``; returns the regions it is in."""
    regions: list[Region] = []
    for arm, ivar, truth, values in zip(exposure.arms, exposure.ivar, exposure.truth, change, strict=True):
        if not arm.wavelength[0] + 10.0 < wavelength < arm.wavelength[-1] - 10.0:
            continue
        sigma = arm.line_sigma(wavelength, 12.0)
        offset = (arm.wavelength - wavelength) / sigma
        near = np.abs(offset) <= 3.5
        good = near & (ivar > 0)
        if not np.any(good):
            continue
        # Over- or under-subtraction has the line's shape, a wavelength error its derivative.
        shape = np.exp(-0.5 * offset**2) * ((1.0 - abs(shift)) * sign + shift * offset * 1.65)
        noise = float(np.median(1.0 / np.sqrt(ivar[good])))
        level = max(height * noise, 0.3 * float(np.median(np.abs(truth[near]))))
        values[near] += level * shape[near]
        regions.append((wavelength - 3.5 * sigma, wavelength + 3.5 * sigma))
    return regions


def _dead_region(random: np.random.Generator, exposure: Exposure) -> tuple[Anomaly, Exposure]:
    """An interval without flux that no mask flags: zero with the usual noise."""
    first, last = float(exposure.arms[0].wavelength[0]), float(exposure.arms[-1].wavelength[-1])
    tries: list[tuple[float, list[Floats], Region, float]] = []
    for _ in range(12):
        width = log_uniform(random, 40.0, 400.0)
        centre = random.uniform(first + 250.0, last - 250.0)
        region = (centre - width / 2, centre + width / 2)
        change = [
            np.where((arm.wavelength >= region[0]) & (arm.wavelength <= region[1]), -truth, 0.0)
            for arm, truth in zip(exposure.arms, exposure.truth, strict=True)
        ]
        strength = _significance(exposure, change)
        tries.append((strength, change, region, centre))
        if strength > 30.0:
            break
    _, change, region, centre = max(tries, key=lambda attempt: attempt[0])
    return _added(AnomalyKind.DEAD_REGION, exposure, change, [region], centre)


def _fringes(random: np.random.Generator, exposure: Exposure) -> tuple[Anomaly, Exposure]:
    """Interference in a thin detector: light that swings with wavelength, fading out at both ends.

    The swing is of the order λ / period, which grows with λ² (as of a plate of one thickness).
    """
    last = float(exposure.arms[-1].wavelength[-1])
    start = random.uniform(7300.0, last - 1000.0)
    stop = min(start + random.uniform(700.0, 1600.0), last)
    period, phase = random.uniform(25.0, 80.0), random.uniform(0.0, 2 * np.pi)
    amplitude = log_uniform(random, 0.05, 0.5)
    middle = 0.5 * (start + stop)
    change = []
    for arm, truth in zip(exposure.arms, exposure.truth, strict=True):
        part = np.clip((arm.wavelength - start) / (stop - start), 0.0, 1.0)
        swing = np.sin(2 * np.pi * middle**2 / period * (1 / start - 1 / arm.wavelength) + phase)
        change.append(amplitude * truth * np.sin(np.pi * part) ** 2 * swing)
    return _added(AnomalyKind.FRINGES, exposure, change, [(start, stop)], middle)


def _triangular_bump(random: np.random.Generator, exposure: Exposure) -> tuple[Anomaly, Exposure]:
    """A ghost image's light: it rises and falls in straight lines, nowhere near what any line looks like."""
    first, last = float(exposure.arms[0].wavelength[0]), float(exposure.arms[-1].wavelength[-1])
    half = log_uniform(random, 15.0, 150.0)
    centre = random.uniform(first + 250.0, last - 250.0)
    level = max(float(np.median(np.abs(np.concatenate(exposure.truth)))), 1e-3)
    height = log_uniform(random, 0.2, 2.0) * level
    change = [height * np.maximum(1.0 - np.abs(arm.wavelength - centre) / half, 0.0) for arm in exposure.arms]
    return _added(AnomalyKind.TRIANGULAR_BUMP, exposure, change, [(centre - half, centre + half)], centre)


def _significance(exposure: Exposure, change: list[Floats]) -> float:
    return float(np.sqrt(sum(float(np.sum(c**2 * i)) for c, i in zip(change, exposure.ivar, strict=True))))


def _added(
    kind: AnomalyKind, exposure: Exposure, change: list[Floats], regions: list[Region], centre: float
) -> tuple[Anomaly, Exposure]:
    """A change of flux that the inverse variance does not know of."""
    flux = tuple(np.where(c == 0.0, f, f + c) for f, c in zip(exposure.flux, change, strict=True))
    truth = tuple(np.where(c == 0.0, t, t + c) for t, c in zip(exposure.truth, change, strict=True))
    largest = max((float(np.abs(c).max()) for c in change), default=0.0)
    level = max(float(np.median(np.abs(np.concatenate(exposure.truth)))), 1e-3)
    anomaly = Anomaly(
        kind, merged(regions, exposure.arms), centre, _significance(exposure, change), largest / level
    )
    return anomaly, Exposure(exposure.arms, flux, truth, exposure.ivar)
