"""Small flaws that pipelines leave in every spectrum and that a model must not call odd."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.simulation.arms import Arm
from engine.simulation.instrument import Instrument
from engine.simulation.randomness import log_uniform
from engine.simulation.rest_frame import Floats
from engine.simulation.smooth_curves import RandomCurve

_JOINT = {"legacy": (5850.0, 6150.0), "boss": (5700.0, 6300.0)}
"""Where SDSS's blue and red cameras cross over, Angstrom (Smee et al. 2013, AJ 146, 32)."""
_LARGEST_STEP = 0.02


@dataclass(frozen=True)
class Flaws:
    """What a pipeline did to one spectrum.

    Attributes
    ----------
    calibration : per arm, (pixels,) by which the flux is multiplied.
    scatter : per arm, (pixels,) true standard deviation of the noise over the stated one.
    neighbour : weight of each neighbouring pixel in a pixel's noise before it is brought back to unit
        variance; 0 where pixels were extracted without resampling.
    masked : per arm, (pixels,) pixels taken out.
    """

    calibration: tuple[Floats, ...]
    scatter: tuple[Floats, ...]
    neighbour: float
    masked: tuple[NDArray[np.bool_], ...]

    def noise(self, white: Floats) -> Floats:
        """Unit noise with neighbours correlated, from ``white`` of two pixels more."""
        a = self.neighbour
        return np.asarray((white[1:-1] + a * (white[:-2] + white[2:])) / np.sqrt(1.0 + 2.0 * a * a))


def draw_flaws(random: np.random.Generator, camera: Instrument) -> Flaws:
    """Flaws within what a normal spectrum of ``camera``'s survey has."""
    wiggle = RandomCurve(random, log_uniform(random, 150.0, 900.0))
    rms = log_uniform(random, 0.004, 0.03)
    # Standard stars say least at the blue end, where atmosphere and optics take most.
    blue = 0.05 * random.standard_normal()
    tilt = 0.03 * random.standard_normal()
    steps, centre, width = _steps(random, camera)
    stated = float(np.clip(0.88 + 0.08 * random.standard_normal(), 0.72, 1.1))
    wave = RandomCurve(random, 1500.0)
    calibration, scatter = [], []
    for arm, step in zip(camera.arms, steps, strict=True):
        w = arm.wavelength
        curve = 1.0 + rms * wiggle(w) + blue * np.exp(-(w - 3600.0) / 180.0)
        offset = (
            step if centre is None else step / (1.0 + np.exp(-np.clip((w - centre) / width, -50.0, 50.0)))
        )
        calibration.append(np.asarray(curve * (1.0 + offset) * (w / 6300.0) ** tilt))
        scatter.append(stated * (1.0 + 0.03 * wave(w)))
    neighbour = random.uniform(0.02, 0.08) if camera.name in _JOINT else 0.0
    masked = tuple(_masked(random, arm) for arm in camera.arms)
    return Flaws(tuple(calibration), tuple(scatter), neighbour, masked)


def _steps(random: np.random.Generator, camera: Instrument) -> tuple[tuple[float, ...], float | None, float]:
    """Relative mismatch of each arm; for joined arms also where and over how many Angstrom it sets in."""
    if camera.name not in _JOINT:
        steps = np.clip(0.005 * random.standard_normal(len(camera.arms)), -_LARGEST_STEP, _LARGEST_STEP)
        return tuple(steps.tolist()), None, 0.0
    step = float(np.clip(0.008 * random.standard_normal(), -_LARGEST_STEP, _LARGEST_STEP))
    return (step,), random.uniform(*_JOINT[camera.name]), random.uniform(15.0, 80.0)


def _masked(random: np.random.Generator, arm: Arm) -> NDArray[np.bool_]:
    """Cosmic rays and bad columns that the pipeline took out; seldom a longer interval."""
    size = arm.grid.size
    masked = random.random(size) < 0.0007
    for longest, mean in ((6, 1.2), (40, 0.35), (150, 0.03)):
        for _ in range(int(random.poisson(mean))):
            first, length = int(random.integers(size)), int(random.integers(2, longest))
            masked[first : first + length] = True
    return masked
