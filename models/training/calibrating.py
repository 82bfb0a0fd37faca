"""Making spectra the usual ones that a model's scores are compared with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from models.calibration.calibration import Calibration, quantiles
from models.signal_to_noise import signal_to_noise
from models.spectrum_model import CalibratedModel
from models.training.spectra import SpectraSource, batch_of, chunks

SNR_TAILS = (0.002, 0.998)
"""Quantiles of the calibration spectra's signal-to-noise ratios that become the model's range."""


@torch.no_grad()
def calibrate(model: CalibratedModel, spectra: SpectraSource) -> None:
    """Make ``spectra`` the usual ones that scores are compared with, and from which baselines are drawn.

    The card's range of S/N and its quantiles of scores become theirs.

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
    ratio = np.concatenate(ratios)
    model.calibration = Calibration.fit(score, ratio, at)
    model.calibration_latents = torch.cat(latents)
    model.card = replace(
        model.card,
        snr_min=float(np.quantile(ratio, SNR_TAILS[0])),
        snr_max=float(np.quantile(ratio, SNR_TAILS[1])),
        calibration_quantiles=quantiles(score[np.isfinite(score)]),
    )
