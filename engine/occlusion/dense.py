"""Occlusion of any model whatever: one whole forward pass for every pasted spectrum."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from engine.occlusion.request import LogProb, OcclusionRequest
from engine.occlusion.windows import Scale
from models.errors import BugError, ConfigurationError


class DenseOccluder:
    """Runs the model on every pasted spectrum, in batches of one fixed shape.

    The baseline itself goes through in the same batches as its pasted versions (it is the window
    that pastes nothing) and the last batch is filled up: rounding that depends on a batch's shape
    then cancels in the difference, and compiled models see one shape only.

    Parameters
    ----------
    log_prob : the model, (batch, pixels) to (batch,). Called without gradients.
    memory_bytes : what a batch may take, the model's own activations included.
    floats_per_pixel : numbers the model holds at once for each input pixel. 256 is a first layer of
        128 channels and its output; a leaner model may state less and gets larger batches.
    """

    def __init__(self, log_prob: LogProb, memory_bytes: int, floats_per_pixel: int = 256) -> None:
        self._log_prob = log_prob
        self._memory_bytes = memory_bytes
        self._floats_per_pixel = floats_per_pixel

    def differences(self, request: OcclusionRequest, scales: Sequence[Scale]) -> list[torch.Tensor]:
        """Per scale, (M, number of windows), see :class:`engine.occlusion.request.Occluder`.

        Raises
        ------
        ConfigurationError : the memory allowed does not hold one spectrum, or the device's is full.
        BugError : the model did not return one number per spectrum.
        """
        device = request.spectrum.device
        # Row 0 is the empty window [0, 0): the baseline untouched.
        first = _column([scale.start for scale in scales], device)
        stop = _column([scale.stop for scale in scales], device)
        rows, limit = len(first), self.batch_rows(request)
        batches = -(-rows // limit)
        size = -(-rows // batches)
        first = torch.nn.functional.pad(first, (0, 0, 0, size * batches - rows))
        stop = torch.nn.functional.pad(stop, (0, 0, 0, size * batches - rows))
        pixel = torch.arange(request.pixels, dtype=torch.int32, device=device)
        per_baseline = []
        with torch.no_grad():
            for baseline in request.baselines:
                donor = torch.where(request.good, request.spectrum, baseline)
                values = []
                for low in range(0, size * batches, size):
                    inside = pixel >= first[low : low + size]
                    inside &= pixel < stop[low : low + size]
                    values.append(self._evaluate(torch.where(inside, donor, baseline)))
                log_prob = torch.cat(values)[:rows]
                per_baseline.append(log_prob[0] - log_prob[1:])
        pieces = torch.stack(per_baseline)
        ends = np.cumsum([len(scale) for scale in scales])
        return [pieces[:, end - len(scale) : end] for scale, end in zip(scales, ends, strict=True)]

    def batch_rows(self, request: OcclusionRequest) -> int:
        """The largest number of spectra that one call of the model is given."""
        row_bytes = request.pixels * request.spectrum.element_size() * self._floats_per_pixel
        rows = self._memory_bytes // row_bytes
        if rows < 1:
            raise ConfigurationError(
                "The memory allowed for occlusion does not hold a single spectrum.",
                where="occlusion settings, memory_bytes",
                got=f"{self._memory_bytes} bytes",
                allowed=f"at least {row_bytes} bytes ({request.pixels} pixels x "
                f"{request.spectrum.element_size()} bytes x {self._floats_per_pixel} numbers per pixel)",
                remedy="Raise memory_bytes.",
                kind="occlusion-memory",
            )
        return rows

    def _evaluate(self, spectra: torch.Tensor) -> torch.Tensor:
        try:
            values = self._log_prob(spectra)
        except torch.OutOfMemoryError as error:
            raise ConfigurationError(
                "The device ran out of memory in a batch of pasted spectra.",
                where="occlusion settings, memory_bytes",
                got=f"{self._memory_bytes} bytes allowed, taken as {len(spectra)} spectra a batch",
                allowed="less than is free beside the model and other processes on the device",
                remedy="Lower memory_bytes, or state the model's floats_per_pixel truthfully.",
                kind="occlusion-memory",
            ) from error
        if values.shape != (len(spectra),) or not values.is_floating_point():
            raise BugError(
                "The model did not return one log probability per spectrum.",
                where="occlusion, log_prob",
                got=f"shape {tuple(values.shape)}, {values.dtype} for {len(spectra)} spectra",
                allowed=f"shape ({len(spectra)},), floating",
                remedy="Wrap the model so that (batch, pixels) gives (batch,).",
                kind="log-prob-shape",
            )
        return values


def _column(
    parts: list[np.ndarray[tuple[int, ...], np.dtype[np.int64]]], device: torch.device
) -> torch.Tensor:
    """(1 + windows, 1) int32 on the device: half the traffic of int64 when compared with pixels."""
    return torch.from_numpy(np.concatenate([[0], *parts]).astype(np.int32)).to(device)[:, None]
