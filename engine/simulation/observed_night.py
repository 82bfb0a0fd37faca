"""One night as one fibre saw it: the sky, its noise, and what its subtraction left over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.simulation.arms import Arm
from engine.simulation.instrument import Instrument
from engine.simulation.rest_frame import Floats
from engine.simulation.sky_fibres import SkyFibres
from engine.simulation.smooth_curves import RandomCurve

_MIXED = 3
"""Real fibres whose residuals make one night's."""
_LARGEST_SHARE = 0.9
"""Share of the noise that a real residual may be: the rest is never seen twice."""


@dataclass(frozen=True)
class Night:
    """Per arm, (pixels,) each.

    Attributes
    ----------
    sky : that was subtracted, flux units.
    variance : of a spectrum without source, flux units squared.
    residual : left over after sky subtraction, in sigma of ``variance``.
    fresh : 0 to 1, share of the sigma that is noise of no pattern; the rest is in ``residual``.
    masked : pixels without data.
    depth : exposure depth relative to the survey's usual, which the source's own photons follow.
    """

    sky: tuple[Floats, ...]
    variance: tuple[Floats, ...]
    residual: tuple[Floats, ...]
    fresh: tuple[Floats, ...]
    masked: tuple[NDArray[np.bool_], ...]
    depth: float


def draw_night(random: np.random.Generator, camera: Instrument, fibres: SkyFibres | None) -> Night:
    """A night at ``camera``: modelled, with noise and residuals of real ``fibres`` where there are some.

    SDSS-I/II takes noise, sky and masks from them; other instruments, whose nights they did not see,
    only the pattern of what sky subtraction leaves.
    """
    night = _modelled(random, camera)
    if fibres is None:
        return night
    if camera.name == "legacy":
        night = _measured(random, camera, night, fibres)
    return _with_residuals(random, camera, night, fibres)


def _modelled(random: np.random.Generator, camera: Instrument) -> Night:
    depth = float(np.clip(np.exp(0.45 * random.standard_normal()), 0.4, 3.0))
    level, atomic, hydroxyl = camera.sky_level * np.exp(
        np.array([0.15, 0.3, 0.3]) * random.standard_normal(3)
    )
    atomic, hydroxyl = atomic / camera.sky_level, hydroxyl / camera.sky_level
    skies = [part.night(level, atomic, hydroxyl) for part in camera.skies]
    lines = [part.lines(level, atomic, hydroxyl) for part in camera.skies]
    structure, over, shift = RandomCurve(random, 400.0), RandomCurve(random, 60.0), RandomCurve(random, 60.0)
    amount, drift = 0.006 * random.standard_exponential(2)
    variance, residual = [], []
    for index, (arm, sky, line) in enumerate(zip(camera.arms, skies, lines, strict=True)):
        dark = np.zeros(arm.grid.size)
        values = camera.variance(index, dark, sky, line, depth) * np.exp(0.08 * structure(arm.wavelength))
        left = amount * over(arm.wavelength) * line + drift * shift(arm.wavelength) * np.gradient(line)
        variance.append(values)
        residual.append(np.clip(left / np.sqrt(values), -4.0, 4.0))
    return Night(
        tuple(skies),
        tuple(variance),
        tuple(residual),
        tuple(np.ones(arm.grid.size) for arm in camera.arms),
        tuple(np.zeros(arm.grid.size, dtype=bool) for arm in camera.arms),
        depth,
    )


def _measured(random: np.random.Generator, camera: Instrument, night: Night, fibres: SkyFibres) -> Night:
    """``night`` with sky and noise between those of two real fibres, and the mask of the first."""
    one, other = (int(row) for row in random.integers(len(fibres), size=2))
    share, scale = random.random(), np.exp(0.15 * random.standard_normal())
    arm, grid = camera.arms[0], fibres.wavelength
    usual = np.interp(grid, arm.wavelength, night.variance[0])
    level = np.interp(grid, arm.wavelength, night.sky[0])
    # As ratios to the model, so that the last value may go on beyond the fibres' ends.
    ratio = fibres.variance[one] ** share * fibres.variance[other] ** (1.0 - share) / usual
    brightness = (share * fibres.sky[one] + (1.0 - share) * fibres.sky[other]) / level
    ends = {"left": float(np.median(ratio[:100])), "right": float(np.median(ratio[-100:]))}
    variance = night.variance[0] * scale * np.interp(arm.wavelength, grid, ratio, **ends)
    sky = night.sky[0] * np.interp(arm.wavelength, grid, brightness)
    nearest = np.clip(np.searchsorted(grid, arm.wavelength), 0, len(grid) - 1)
    inside = (arm.wavelength >= grid[0]) & (arm.wavelength <= grid[-1])
    electrons = camera.electrons[0]
    depth = np.median((electrons * np.maximum(sky, 0.0) + camera.read_variance) / (electrons**2 * variance))
    return Night(
        (np.asarray(sky),),
        (np.asarray(variance),),
        night.residual,
        night.fresh,
        (fibres.masked[one][nearest] & inside,),
        float(np.clip(depth, 0.1, 10.0)),
    )


def _with_residuals(
    random: np.random.Generator, camera: Instrument, night: Night, fibres: SkyFibres
) -> Night:
    """``night`` with the residuals of a few real fibres, in a mixture that keeps their variance."""
    chosen = random.choice(len(fibres), size=min(_MIXED, len(fibres)), replace=False)
    weights = random.standard_normal(len(chosen))
    weights /= np.sqrt(np.sum(weights**2))
    broad = np.zeros(fibres.wavelength.shape)
    fine, lines = broad.copy(), broad.copy()
    for weight, row in zip(weights, chosen, strict=True):
        broad += weight * fibres.broad[row]
        fine += weight * fibres.fine[row]
        lines += weight**2 * fibres.lines[row]
    share = _LARGEST_SHARE * lines
    residual, fresh = [], []
    for arm, modelled in zip(camera.arms, night.residual, strict=True):
        covered = _covered(arm, fibres)
        here = np.interp(arm.wavelength, fibres.wavelength, share) * covered
        pattern = np.interp(arm.wavelength, fibres.wavelength, broad + share * fine) * covered
        residual.append(np.asarray(pattern + (1.0 - covered) * modelled))
        fresh.append(np.sqrt(1.0 - here**2))
    return Night(night.sky, night.variance, tuple(residual), tuple(fresh), night.masked, night.depth)


def _covered(arm: Arm, fibres: SkyFibres) -> Floats:
    """1 where the fibres have data, falling to 0 over 50 Angstrom at their ends."""
    first, last = float(fibres.wavelength[0]), float(fibres.wavelength[-1])
    distance = np.minimum(arm.wavelength - first, last - arm.wavelength)
    return np.clip(distance / 50.0, 0.0, 1.0)
