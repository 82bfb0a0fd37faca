"""Population: how usual spectra differ from each other, and what of a change it leaves to be seen.

Strength counts photon noise alone. But a change that looks like dust, like another galaxy or like an error of
calibration is hidden by these, however strong it is. The effective strength is what a matched filter has that
knows the covariance C of all of it: s sqrt(Δ' C⁻¹ Δ) for a change Δ of unit strength. All laws are taken to
be Gaussian, which strengths of lines are not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.extmath import randomized_svd

from engine.evaluation.rest_frame_modes import RestFrame, main_modes
from engine.evaluation.training_spectra import TrainingSpectra

Floats = NDArray[np.floating]

_LIGHT_MODES = 100
_CALIBRATION_MODES = 40
_CALIBRATED = 1000
"""Spectra whose calibration is looked at: its flaws have few forms."""


@dataclass(frozen=True)
class Population:
    """Covariance of normalised spectra.

    Attributes
    ----------
    frame : rest frame of the light.
    light : (P, K), modes of noise-free light, each as large as its standard deviation.
    left : (P, 1), variance of the light that the modes leave, pixel by pixel.
    calibration : (N, L), modes of the factor by which calibration errs, likewise.
    noise : standard deviation of the noise in units of what is stated.
    """

    frame: RestFrame
    light: NDArray[np.float32]
    left: NDArray[np.float32]
    calibration: NDArray[np.float32]
    noise: float

    @classmethod
    def of(cls, spectra: TrainingSpectra) -> Population:
        """From clean spectra, of which the simulator tells the light and the calibration."""
        frame, seed = RestFrame(spectra.card), spectra.seed
        pairs = [
            frame.sampled(light, ivar > 0, redshift)
            for light, ivar, redshift in zip(
                spectra.light, spectra.ivar, spectra.redshift.tolist(), strict=True
            )
        ]
        known = np.stack([each for _, each in pairs]) > 0
        number = np.maximum(known.sum(axis=0), 1)
        values = np.stack([each for each, _ in pairs])
        values -= np.where(known, values.sum(axis=0) / number, values)
        drawn, modes = main_modes(values, known, min(_LIGHT_MODES, len(spectra) // 4), seed)
        left = np.where(known, values - drawn @ modes, 0)
        calibration = spectra.calibration[:_CALIBRATED] - np.float32(1)
        count = min(_CALIBRATION_MODES, len(calibration) // 4)
        _, sizes, flaws = randomized_svd(calibration, count, random_state=seed % 2**32)
        return cls(
            frame=frame,
            light=(modes * drawn.std(axis=0)[:, None]).T,
            left=((left**2).sum(axis=0) / number)[:, None].astype(np.float32),
            calibration=(flaws * (sizes / np.sqrt(len(calibration)))[:, None]).T.astype(np.float32),
            noise=spectra.noise,
        )

    def effective(self, changes: Floats, truth: Floats, ivar: Floats, redshift: float) -> NDArray[np.float64]:
        """Strengths (k,), against noise and population, of changes (k, N) of one spectrum.

        ``truth`` (N,) is the spectrum free of noise, ``ivar`` (N,) its inverse variance; all are in units of
        the normalised flux. Masked pixels tell nothing.
        """
        seen = ivar > 0
        factors = np.concatenate(
            (
                self.frame.observed(self.light, redshift)[seen],
                self.calibration[seen] * truth[seen, None],
            ),
            axis=1,
            dtype=np.float64,
        )
        variance = self.noise**2 / ivar[seen] + self.frame.observed(self.left, redshift)[seen, 0]
        weighted = factors / variance[:, None]
        inner = np.eye(factors.shape[1]) + factors.T @ weighted
        change = changes[:, seen].astype(np.float64)
        hidden = change @ weighted
        square = (change**2 / variance).sum(axis=1) - (hidden * np.linalg.solve(inner, hidden.T).T).sum(
            axis=1
        )
        return np.asarray(np.sqrt(np.maximum(square, 0)))
