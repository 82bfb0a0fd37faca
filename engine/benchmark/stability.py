"""Stability: how far a map moves when the spectrum, the method's settings or the model's weights change."""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray

from models.spectrum_model import SpectrumModel

NOISE = 0.3
"""Further noise, in units of each pixel's error: the sum of both is 1.04 of it."""

Floats = NDArray[np.floating]


def relative_change(before: Floats, after: Floats) -> float:
    """Length of the difference of two maps (N,) over that of the first; NaN where that is 0."""
    length = float(np.linalg.norm(before))
    return float(np.linalg.norm(after - before)) / length if length > 0 else float("nan")


def change_of_form(before: Floats, after: Floats) -> float:
    """As :func:`relative_change`, of maps brought to unit length: from 0 to 2."""
    lengths = float(np.linalg.norm(before)), float(np.linalg.norm(after))
    if min(lengths) == 0:
        return float("nan")
    return relative_change(before / lengths[0], after / lengths[1])


def noisier(flux: NDArray[np.float32], ivar: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """A spectrum (N,) with further noise of :data:`NOISE` of each error; masked pixels stay."""
    drawn = np.random.Generator(np.random.PCG64(seed)).standard_normal(len(flux))
    error = np.divide(1, np.sqrt(ivar), out=np.zeros(len(flux)), where=ivar > 0)
    return (flux + NOISE * error * drawn).astype(np.float32)


def shuffled(model: SpectrumModel, seed: int) -> SpectrumModel:
    """The model with the numbers of each of its weights in random order: as large, and without meaning.

    Adebayo et al. 2018 (arXiv 1810.03292) draw weights anew. In another order they keep their distribution.
    Buffers stay, the calibration among them.
    """
    found = copy.deepcopy(model)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in found.parameters():
            order = torch.randperm(weights.numel(), generator=random)
            weights.copy_(weights.flatten()[order].reshape(weights.shape))
    return found
