"""Rest-frame spectra as sums of fixed components, redshifted into an arm's pixels without aliasing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.simulation.arms import Arm

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RestFrameBasis:
    """Components on a regular rest-frame grid, kept as running integrals.

    A running integral makes the mean over any wavelength interval two look-ups, exact for the
    piecewise constant components.

    Attributes
    ----------
    start : left edge of the first sample, Angstrom.
    step : sample width, Angstrom.
    integral : (components, samples + 1) running integral, starting with 0.
    """

    start: float
    step: float
    integral: Floats

    @classmethod
    def from_samples(cls, first_centre: float, step: float, samples: Floats) -> RestFrameBasis:
        """A basis from (components, samples) fluxes at centres ``first_centre + step * i``."""
        integral = np.zeros((len(samples), samples.shape[1] + 1))
        np.cumsum(samples * step, axis=1, out=integral[:, 1:])
        return cls(first_centre - step / 2, step, integral)

    @property
    def stop(self) -> float:
        """Right edge of the last sample, Angstrom."""
        return float(self.start + self.step * (self.integral.shape[1] - 1))

    def means(self, edges: Floats) -> Floats:
        """Mean of every component between rest wavelengths ``edges``, (components, edges - 1).

        Beyond the ends of the components there is nothing.
        """
        position = np.clip((edges - self.start) / self.step, 0.0, self.integral.shape[1] - 1.0)
        index = np.minimum(position.astype(np.int64), self.integral.shape[1] - 2)
        left = self.integral[:, index]
        running = left + (self.integral[:, index + 1] - left) * (position - index)
        return np.asarray(np.diff(running, axis=1) / np.diff(edges))

    def observed(
        self, coefficients: Floats, redshift: float, arms: tuple[Arm, ...], velocity_dispersion: float
    ) -> list[Floats]:
        """The sum of components at ``redshift`` in every arm's pixels, broadened (km/s) and integrated.

        Beyond the ends of the components the mean level of the last 50 Angstrom goes on.
        """
        factor = 1.0 + redshift
        low = min(float(arm.subpixel_edges[0]) for arm in arms) / factor
        high = max(float(arm.subpixel_edges[-1]) for arm in arms) / factor
        first = max(0, int((low - self.start) / self.step) - 1)
        last = min(self.integral.shape[1], int((high - self.start) / self.step) + 3)
        # Element by element: a matrix product may round differently with other threads or shapes.
        running = coefficients[0] * self.integral[0, first:last]
        for coefficient, component in zip(coefficients[1:], self.integral[1:, first:last], strict=True):
            running += coefficient * component
        origin = self.start + first * self.step
        return [
            arm.gather(self._subpixels(running, origin, arm.subpixel_edges / factor), velocity_dispersion)
            for arm in arms
        ]

    def _subpixels(self, running: Floats, origin: float, edges: Floats) -> Floats:
        position = (edges - origin) / self.step
        index = np.clip(position.astype(np.int64), 0, len(running) - 2)
        left = running[index]
        value = left + (running[index + 1] - left) * np.clip(position - index, 0.0, 1.0)
        tail = round(50.0 / self.step)
        if position[0] < 0:
            slope = (running[tail] - running[0]) / tail
            value += np.minimum(position, 0.0) * slope
        if position[-1] > len(running) - 1:
            slope = (running[-1] - running[-1 - tail]) / tail
            value += np.maximum(position - (len(running) - 1), 0.0) * slope
        return np.diff(value) / np.diff(edges)
