"""Which way a model is occluded: by its seams if it can be taken apart, else by whole forward passes."""

from __future__ import annotations

from engine.occlusion.dense import DenseOccluder
from engine.occlusion.request import Occluder
from engine.occlusion.seams import SeamOccluder
from models.local_score import LocalScore
from models.spectrum_model import LogProb


def occluder_of(log_prob: LogProb, memory_bytes: int, floats_per_pixel: int = 256) -> Occluder:
    """The cheapest exact occluder of a model.

    Parameters
    ----------
    log_prob : (batch, pixels) to (batch,). A :class:`LocalScore` is occluded at the cost of its seams,
        any other function by one forward pass for every window and baseline.
    memory_bytes : what one call may take.
    floats_per_pixel : for whole forward passes, see :class:`DenseOccluder`.
    """
    if isinstance(log_prob, LocalScore):
        return SeamOccluder(log_prob, memory_bytes)
    return DenseOccluder(log_prob, memory_bytes, floats_per_pixel)
