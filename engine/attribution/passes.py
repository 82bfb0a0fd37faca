"""Passes of a model: what may go wrong with a batch of spectra."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.attribution.memory import WHERE
from models.errors import BugError, ConfigurationError, ErrorKind
from models.spectrum_model import LogProb


def evaluated(log_prob: LogProb, spectra: Tensor, memory_bytes: int) -> Tensor:
    """Log probabilities of one batch, (B, N) to (B,).

    Raises
    ------
    ConfigurationError : the device's memory is full.
    BugError : the model did not return one number per spectrum.
    """
    count = len(spectra)
    try:
        values = log_prob(spectra)
    except torch.OutOfMemoryError as error:
        raise ConfigurationError(
            "The device ran out of memory in a batch of pasted spectra.",
            where=WHERE,
            got=f"{memory_bytes} bytes allowed, taken as {count} spectra a batch",
            allowed="less than is free beside the model and other processes on the device",
            remedy="Lower it, or state the model's floats_per_pixel truthfully.",
            kind=ErrorKind.OCCLUSION_MEMORY,
        ) from error
    if values.shape != (count,) or not values.is_floating_point():
        raise BugError(
            "The model did not return one log probability per spectrum.",
            where="occlusion, log_prob",
            got=f"shape {tuple(values.shape)}, {values.dtype} for {count} spectra",
            allowed=f"shape ({count},), floating",
            remedy="Wrap the model so that (batch, pixels) gives (batch,).",
            kind=ErrorKind.LOG_PROB_SHAPE,
        )
    return values
