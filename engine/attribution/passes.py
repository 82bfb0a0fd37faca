"""Passes of a model: spectra in batches that the memory allowed holds."""

from __future__ import annotations

import torch
from torch import Tensor

from models.errors import BugError, ConfigurationError, ErrorKind
from models.spectrum_model import LogProb

WHERE = "memory for occlusion (--memory, WHYSPEC_OCCLUSION_MEMORY)"


def batch_rows(memory_bytes: int, like: Tensor, floats_per_pixel: int) -> int:
    """The largest number of spectra that one call of the model is given.

    Parameters
    ----------
    memory_bytes : what a batch may take, the model's own activations included.
    like : (N,), a spectrum of the type that the model is called with.
    floats_per_pixel : numbers the model holds at once for each input pixel.

    Raises
    ------
    ConfigurationError : the memory does not hold one spectrum.
    """
    row_bytes = len(like) * like.element_size() * floats_per_pixel
    rows = memory_bytes // row_bytes
    if rows < 1:
        raise ConfigurationError(
            "The memory allowed for occlusion does not hold a single spectrum.",
            where=WHERE,
            got=f"{memory_bytes} bytes",
            allowed=f"at least {row_bytes} bytes ({len(like)} pixels x "
            f"{like.element_size()} bytes x {floats_per_pixel} numbers per pixel)",
            remedy="Raise it.",
            kind=ErrorKind.OCCLUSION_MEMORY,
        )
    return rows


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
