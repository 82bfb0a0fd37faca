"""Density of latents alone, as a rival: the flow over what an encoder makes of a spectrum."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.calibration.calibration import Calibration
from models.pixel_errors import depth_of
from models.scoring.scoring_model import ScoringModel
from models.spectrum_model import SpectrumModel

DENSITY = "latent_density"


def latent_density(
    model: SpectrumModel, latents: Tensor, ivar: Tensor, redshift: Tensor
) -> NDArray[np.float32]:
    """Minus the log density of latents (B, S), in units of what is usual at that depth and redshift, (B,).

    NaN of a model that keeps no density beside its score.
    """
    if not isinstance(model, ScoringModel):
        return np.full(len(latents), np.nan, np.float32)
    with torch.inference_mode():
        depth = depth_of(ivar)
        count = model.encoder.settings.latents
        found = -model.density(latents[:, :count], model.density.context(depth, redshift))
        usual = model.joint.parts[0]
        if isinstance(usual, Calibration):
            middle, width = usual.stratum(depth, redshift)
            found = (found - middle) / width
    return np.asarray(found.to(torch.float32).numpy())
