"""Rivals: what an astronomer would use instead of the model, trained on clean spectra of another seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor

from engine.evaluation.residual_scan import residual_scan
from engine.evaluation.rest_frame_modes import RestFrame, RestFrameModes
from engine.evaluation.strata import Strata
from engine.evaluation.training_spectra import TrainingSpectra
from models.signal_to_noise import median_snr

PCA_SCAN, FOREST, LOCAL_OUTLIER = "pca_scan", "isolation_forest", "local_outlier_factor"
RIVALS = (PCA_SCAN, FOREST, LOCAL_OUTLIER)

MODES = 32
_TREES = 200
_NEIGHBOURS = 20
_CALIBRATED = 3
"""One in so many training spectra trains nothing: it says what is usual."""
_FLOOR = 0.02
"""Residuals below this share of the reconstruction are no evidence: calibration is no better."""


@dataclass(frozen=True)
class Rivals:
    """Detectors that know nothing of the model.

    A principal component analysis in the rest frame fits every spectrum. The scan takes the most significant
    interval of what it leaves, of each width 1, 2, 4 … 1,024 pixels, in units of what is usual at that S/N
    and redshift, and the highest of them. The forest and the local outlier factor see the coefficients of the
    fit; their values are stratified likewise.

    Attributes
    ----------
    modes : of the analysis.
    middle, spread : (K,), of its coefficients among the spectra that trained it.
    forest, local : see scikit-learn; trained on coefficients in units of these.
    scans, others : what the scan (at each width), the forest and the local outlier factor usually say.
    """

    modes: RestFrameModes
    middle: NDArray[np.float64]
    spread: NDArray[np.float64]
    forest: IsolationForest
    local: LocalOutlierFactor
    scans: Strata
    others: Strata

    def values(
        self, flux: NDArray[np.float32], ivar: NDArray[np.float32], redshift: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """A column for each of ``RIVALS``, (n, 3), of normalised spectra (n, N); the higher the odder."""
        if not len(flux):
            return np.empty((0, len(RIVALS)))
        snr = median_snr(flux, ivar)
        coefficients, scan = _fitted(self.modes, flux, ivar, redshift)
        seen = (coefficients - self.middle) / self.spread
        highest = self.scans.standard(scan, snr, redshift).max(axis=1)
        others = self.others.standard(_oddness(self.forest, self.local, seen), snr, redshift)
        return np.column_stack([highest, others])


def train_rivals(spectra: TrainingSpectra, progress: Callable[[int, int], None] = lambda *_: None) -> Rivals:
    """Two thirds of the spectra train, one third says what is usual; the same spectra give the same rivals.

    ``progress`` is called with steps done and in all.
    """
    trained = len(spectra) - len(spectra) // _CALIBRATED
    learnt, usual = spectra.take(slice(0, trained)), spectra.take(slice(trained, None))
    count = min(MODES, trained // 4)
    modes = RestFrameModes.fit(
        RestFrame(spectra.card), learnt.flux, learnt.ivar, learnt.redshift, count, spectra.seed
    )
    progress(1, 3)
    coefficients, _ = _fitted(modes, learnt.flux, learnt.ivar, learnt.redshift)
    middle, spread = coefficients.mean(axis=0), np.maximum(coefficients.std(axis=0), 1e-9)
    seen = (coefficients - middle) / spread
    forest = IsolationForest(n_estimators=_TREES, random_state=spectra.seed % 2**32).fit(seen)
    local = LocalOutlierFactor(min(_NEIGHBOURS, trained - 1), novelty=True).fit(seen)
    progress(2, 3)
    snr = median_snr(usual.flux, usual.ivar)
    coefficients, scan = _fitted(modes, usual.flux, usual.ivar, usual.redshift)
    oddness = _oddness(forest, local, (coefficients - middle) / spread)
    progress(3, 3)
    return Rivals(
        modes,
        middle,
        spread,
        forest,
        local,
        Strata.of(scan, snr, usual.redshift),
        Strata.of(oddness, snr, usual.redshift),
    )


def _fitted(
    modes: RestFrameModes,
    flux: NDArray[np.float32],
    ivar: NDArray[np.float32],
    redshift: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Coefficients (n, K), and the scan of what they leave at each width (n, widths)."""
    coefficients, scans = [], []
    for one_flux, one_ivar, one_redshift in zip(flux, ivar, redshift.tolist(), strict=True):
        found, drawn = modes.fitted(one_flux, one_ivar, one_redshift)
        weight = one_ivar / (1 + one_ivar * (np.float32(_FLOOR) * drawn) ** 2)
        coefficients.append(found)
        scans.append(residual_scan((one_flux - drawn)[None], weight[None])[0])
    return np.stack(coefficients).astype(np.float64), np.stack(scans)


def _oddness(
    forest: IsolationForest, local: LocalOutlierFactor, seen: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What the forest and the local outlier factor say of standard coefficients (n, K): (n, 2)."""
    return np.column_stack([-forest.score_samples(seen), -local.score_samples(seen)])
