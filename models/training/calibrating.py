"""Calibration of a model on held-out spectra."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.calibration.calibration import Calibration, quantiles
from models.signal_to_noise import signal_to_noise
from models.spectrum_model import CalibratedModel
from models.training.spectra import SpectraSource, batch_of, chunks

SNR_TAILS = (0.002, 0.998)
"""Quantiles of the calibration spectra's signal-to-noise ratios that become the model's range."""

MOST_LATENTS = 2000
"""Of calibration spectra, from which baselines are drawn: every explanation looks through all of them."""


@torch.no_grad()
def calibrate(model: CalibratedModel, spectra: SpectraSource) -> None:
    """Score ``spectra`` and calibrate the model on them, see :func:`calibrate_on`.

    Raises
    ------
    ConfigurationError : fewer than four have a finite score.
    """
    latents, scores, ratios, redshifts = [], [], [], []
    for index in chunks(len(spectra)):
        flux, ivar, redshift = batch_of(spectra, index)
        outputs = model.outputs(flux, ivar, redshift)
        latents.append(outputs.latents)
        scores.append(outputs.score.double())
        ratios.append(signal_to_noise(flux, ivar))
        redshifts.append(redshift)
    score, at = (torch.cat(parts).numpy() for parts in (scores, redshifts))
    calibrate_on(model, torch.cat(latents), score, np.concatenate(ratios), at)


def calibrate_on(
    model: CalibratedModel,
    latents: Tensor,
    score: NDArray[np.floating],
    ratio: NDArray[np.floating],
    redshift: NDArray[np.floating],
) -> None:
    """Make n spectra that the model scored its usual ones: baselines are drawn from them, too.

    The card's range of S/N and its quantiles of scores become theirs.

    Parameters
    ----------
    latents : (n, S) float32 on the CPU.
    score, ratio, redshift : (n,), with ``ratio`` the median S/N per pixel.

    Raises
    ------
    ConfigurationError : fewer than four have a finite score.
    """
    model.calibration = Calibration.fit(score, ratio, redshift)
    kept = np.unique(np.linspace(0, len(latents) - 1, min(len(latents), MOST_LATENTS)).astype(np.int64))
    model.calibration_latents = latents[torch.from_numpy(kept)]
    model.card = replace(
        model.card,
        snr_min=float(np.quantile(ratio, SNR_TAILS[0])),
        snr_max=float(np.quantile(ratio, SNR_TAILS[1])),
        calibration_quantiles=quantiles(score[np.isfinite(score)]),
    )
