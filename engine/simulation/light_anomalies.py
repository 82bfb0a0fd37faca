"""Anomalies of the light itself: odd lines, a second galaxy in the fibre, a trough, a P Cygni profile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.simulation.anomalies import Anomaly, AnomalyKind, Region, inside, merged
from engine.simulation.arms import SPEED_OF_LIGHT, Arm
from engine.simulation.emission import EmissionLine, add_emission, emission_lines, star_forming_gas
from engine.simulation.randomness import log_uniform
from engine.simulation.rest_frame import Floats


@dataclass(frozen=True)
class Light:
    """Light in an instrument's arms, with what its noise will be.

    Attributes
    ----------
    arms : the arms.
    flux : per arm, noise-free.
    sigma : per arm, standard deviation that the noise would have without an anomaly; infinite where masked.
    redshift : of the source.
    """

    arms: tuple[Arm, ...]
    flux: tuple[Floats, ...]
    sigma: tuple[Floats, ...]
    redshift: float

    def level(self, wavelength: float) -> float:
        """Median flux within 60 Angstrom of ``wavelength``, never below a tenth of the spectrum's own."""
        near = [
            f[np.abs(a.wavelength - wavelength) < 60.0] for a, f in zip(self.arms, self.flux, strict=True)
        ]
        values = np.concatenate(near)
        floor = 0.1 * abs(float(np.median(np.concatenate(self.flux)))) + 1e-3
        return max(float(np.median(values)) if values.size else 0.0, floor)

    def significance(self, change: list[Floats]) -> float:
        """Of ``change`` (per arm) in sigma, sqrt(sum change^2 / sigma^2)."""
        parts = [float(np.sum((c / s) ** 2)) for c, s in zip(change, self.sigma, strict=True)]
        return float(np.sqrt(sum(parts)))

    def relative(self, change: list[Floats]) -> float:
        """Largest relative change, against the level of its surroundings."""
        arm, values = max(zip(self.arms, change, strict=True), key=lambda pair: float(np.abs(pair[1]).max()))
        peak = int(np.abs(values).argmax())
        return float(values[peak]) / self.level(float(arm.wavelength[peak]))

    def covers(self, wavelength: float, margin: float) -> bool:
        """Whether ``wavelength`` lies in the arms, ``margin`` Angstrom from their ends."""
        first, last = self.arms[0].wavelength[0], self.arms[-1].wavelength[-1]
        return bool(first + margin < wavelength < last - margin)


def change_light(
    random: np.random.Generator, kind: AnomalyKind, light: Light
) -> tuple[Anomaly, tuple[Floats, ...]]:
    """An anomaly of ``kind``, and the flux per arm that shows it. ``light`` is left as it is."""
    if kind is AnomalyKind.DOUBLE_PEAKED_LINES:
        return _double_peaked(random, light)
    if kind is AnomalyKind.BROAD_SHIFTED_LINES:
        return _broad_shifted(random, light)
    if kind is AnomalyKind.SECOND_REDSHIFT:
        return _second_redshift(random, light)
    if kind is AnomalyKind.P_CYGNI:
        return _p_cygni(random, light)
    return _trough(random, light)


def _double_peaked(random: np.random.Generator, light: Light) -> tuple[Anomaly, tuple[Floats, ...]]:
    """Narrow lines in two components; the galaxy's own lines are split with those that are added."""
    split = random.uniform(300.0, 600.0)
    dispersion = random.uniform(65.0, 95.0)
    gas = star_forming_gas(random, random.random(), 0.5)
    lines = [line for line in emission_lines(gas, 1.0) if line.area > 0.12]
    observed = [(line, line.wavelength * (1 + light.redshift)) for line in lines]
    observed = [(line, wavelength) for line, wavelength in observed if light.covers(wavelength, 40.0)]
    reach = (split / 2 + 650.0) / SPEED_OF_LIGHT
    regions = merged([(w * (1 - reach), w * (1 + reach)) for _, w in observed], light.arms)
    kept = tuple(line for line, _ in observed)
    strength = log_uniform(random, 30.0, 250.0)
    change = _added(light, kept, light.redshift, dispersion, (-split / 2, split / 2), regions)
    main = max(observed, key=lambda pair: pair[0].area)
    floor = 12.0 * (1 + light.redshift) * light.level(main[1]) / main[0].area
    scale = max(strength / max(light.significance(change), 1e-9), floor)
    change = [scale * values for values in change]
    for arm, flux, values in zip(light.arms, light.flux, change, strict=True):
        for region in regions:
            values += _split_own_lines(arm, flux, region, split)
    return _finish(AnomalyKind.DOUBLE_PEAKED_LINES, light, change, regions, main[1])


def _split_own_lines(arm: Arm, flux: Floats, region: Region, split: float) -> Floats:
    """What must be added in ``region`` to turn the lines over a straight continuum into two components."""
    change = np.zeros_like(flux)
    index = np.flatnonzero((arm.wavelength >= region[0]) & (arm.wavelength <= region[1]))
    if index.size < 12:
        return change
    wavelength, values = arm.wavelength[index], flux[index]
    ends = np.array([wavelength[:4].mean(), wavelength[-4:].mean()])
    straight = np.interp(wavelength, ends, [values[:4].mean(), values[-4:].mean()])
    line = values - straight
    # Faded out at the ends, so that what remains of a slope there makes no step.
    line = line * np.clip(np.minimum(np.arange(index.size), np.arange(index.size)[::-1]) / 4.0, 0.0, 1.0)
    offset = 0.5 * split / SPEED_OF_LIGHT
    blue = np.interp(wavelength * (1 + offset), wavelength, line, left=0.0, right=0.0)
    red = np.interp(wavelength * (1 - offset), wavelength, line, left=0.0, right=0.0)
    change[index] = 0.5 * (blue + red) - line
    return change


def _broad_shifted(random: np.random.Generator, light: Light) -> tuple[Anomaly, tuple[Floats, ...]]:
    """Broad Balmer lines thousands of km/s from the galaxy's redshift."""
    while True:
        velocity = log_uniform(random, 1500.0, 6000.0) * (1.0 if random.random() < 0.5 else -1.0)
        sigma = random.uniform(2500.0, 7000.0) / 2.3548
        lines = tuple(
            EmissionLine(name, wavelength, area)
            for name, wavelength, area in (("Hα", 6564.61, 3.1), ("Hβ", 4862.68, 1.0), ("Hγ", 4341.68, 0.45))
            if light.covers(wavelength * (1 + light.redshift) * (1 + velocity / SPEED_OF_LIGHT), 60.0)
        )
        if lines:
            break
    centres = [line.wavelength * (1 + light.redshift) * (1 + velocity / SPEED_OF_LIGHT) for line in lines]
    reach = 4.0 * sigma / SPEED_OF_LIGHT
    regions = merged([(centre * (1 - reach), centre * (1 + reach)) for centre in centres], light.arms)
    change = _added(light, lines, light.redshift, sigma, (velocity,), regions)
    floor = 40.0 * (1 + light.redshift) * light.level(centres[0]) / lines[0].area
    scale = max(log_uniform(random, 30.0, 200.0) / max(light.significance(change), 1e-9), floor)
    return _finish(AnomalyKind.BROAD_SHIFTED_LINES, light, [scale * v for v in change], regions, centres[0])


def _second_redshift(random: np.random.Generator, light: Light) -> tuple[Anomaly, tuple[Floats, ...]]:
    """The bright lines of another galaxy in the same fibre."""
    gas = star_forming_gas(random, 0.6 * random.random(), 0.3)
    lines = [line for line in emission_lines(gas, 1.0) if line.area > 0.15]
    while True:
        other = random.uniform(0.02, 1.1)
        seen = [line for line in lines if light.covers(line.wavelength * (1 + other), 30.0)]
        if abs(other - light.redshift) > 0.04 and len(seen) >= 3:
            break
    reach = 700.0 / SPEED_OF_LIGHT
    observed = [line.wavelength * (1 + other) for line in seen]
    regions = merged([(w * (1 - reach), w * (1 + reach)) for w in observed], light.arms)
    change = _added(light, tuple(seen), other, random.uniform(50.0, 100.0), (0.0,), regions)
    main = max(range(len(seen)), key=lambda i: seen[i].area)
    floor = 12.0 * light.level(observed[main]) / seen[main].area
    scale = max(log_uniform(random, 30.0, 250.0) / max(light.significance(change), 1e-9), floor)
    return _finish(AnomalyKind.SECOND_REDSHIFT, light, [scale * v for v in change], regions, observed[main])


def _trough(random: np.random.Generator, light: Light) -> tuple[Anomaly, tuple[Floats, ...]]:
    """A broad absorption trough with a flat bottom, at any wavelength."""
    first, last = float(light.arms[0].wavelength[0]), float(light.arms[-1].wavelength[-1])
    tries: list[tuple[float, list[Floats], Region, float]] = []
    for _ in range(12):
        width = log_uniform(random, 60.0, 400.0)
        centre = random.uniform(first + 300.0, last - 300.0)
        depth = random.uniform(0.4, 0.95)
        change = []
        for arm, flux in zip(light.arms, light.flux, strict=True):
            profile = np.exp(-np.minimum(((arm.wavelength - centre) / (0.55 * width)) ** 4, 60.0))
            change.append(np.where(np.abs(arm.wavelength - centre) <= width, -depth * profile * flux, 0.0))
        strength = light.significance(change)
        tries.append((strength, change, (centre - width, centre + width), centre))
        if strength > 30.0:
            break
    _, change, region, centre = max(tries, key=lambda attempt: attempt[0])
    return _finish(AnomalyKind.BROAD_ABSORPTION, light, change, merged([region], light.arms), centre)


WIND_LINES = (2799.12, 4862.68, 5877.25, 6564.61)
"""Rest wavelengths, Angstrom, of Mg II, Hβ, He I and Hα: one of them has the P Cygni profile."""
WIND_MARGIN = 150.0
"""Angstrom between such a line and the ends of the arms."""


def _p_cygni(random: np.random.Generator, light: Light) -> tuple[Anomaly, tuple[Floats, ...]]:
    """A broad line in emission with absorption on its blue side: what a wind towards the observer does."""
    rest = [line for line in WIND_LINES if light.covers(line * (1 + light.redshift), WIND_MARGIN)]
    centre = rest[int(random.integers(len(rest)))] * (1 + light.redshift)
    wind, width = random.uniform(1500.0, 4500.0), random.uniform(500.0, 1200.0)
    depth, height = random.uniform(0.4, 0.9), random.uniform(0.5, 1.5)
    level = light.level(centre)
    reach = ((wind + 3.5 * width) / SPEED_OF_LIGHT, 4.5 * width / SPEED_OF_LIGHT)
    regions = merged([(centre * (1 - reach[0]), centre * (1 + reach[1]))], light.arms)
    change = []
    for arm, flux in zip(light.arms, light.flux, strict=True):
        velocity = SPEED_OF_LIGHT * (arm.wavelength / centre - 1)
        emission = height * level * np.exp(-0.5 * (velocity / width) ** 2)
        absorption = depth * flux * np.exp(-0.5 * ((velocity + wind) / width) ** 2)
        change.append(np.where(inside(arm.wavelength, regions), emission - absorption, 0.0))
    return _finish(AnomalyKind.P_CYGNI, light, change, regions, centre)


def _added(
    light: Light,
    lines: tuple[EmissionLine, ...],
    redshift: float,
    dispersion: float,
    velocities: tuple[float, ...],
    regions: tuple[Region, ...],
) -> list[Floats]:
    """Lines on a dark ground, equal shares at each of ``velocities``, cut to ``regions``."""
    change = [np.zeros(arm.grid.size) for arm in light.arms]
    shared = tuple(EmissionLine(line.name, line.wavelength, line.area / len(velocities)) for line in lines)
    for velocity in velocities:
        add_emission(change, light.arms, shared, redshift, dispersion, velocity)
    for arm, values in zip(light.arms, change, strict=True):
        values[~inside(arm.wavelength, regions)] = 0.0
    return change


def _finish(
    kind: AnomalyKind, light: Light, change: list[Floats], regions: tuple[Region, ...], centre: float
) -> tuple[Anomaly, tuple[Floats, ...]]:
    anomaly = Anomaly(kind, regions, centre, light.significance(change), light.relative(change))
    flux = tuple(np.where(values == 0.0, f, f + values) for f, values in zip(light.flux, change, strict=True))
    return anomaly, flux
