"""Dense occlusion, of any model whatever: one whole forward pass for every pasted spectrum."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from engine.attribution.memory import spectra_at_once
from engine.attribution.occlusion.request import OcclusionRequest
from engine.attribution.occlusion.windows import Scale
from engine.attribution.passes import evaluated
from models.spectrum_model import LogProb

_BATCHES_PER_BASELINE = 32


class DenseOccluder:
    """Runs the model on every pasted spectrum, in batches of one fixed shape.

    The last bits of a float32 result depend on the batch's shape and on the place in it. Where one
    pixel is pasted that may be all there is, so every baseline is first run as one batch of copies,
    and a pasted version is compared with the copy in its own place: pixels that the model does not
    look at get exactly 0. Batches are kept small enough that the copies cost about 3 per cent.

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
        """Per scale, (M, number of windows), see :class:`engine.attribution.occlusion.request.Occluder`.

        Raises
        ------
        ConfigurationError : the memory allowed does not hold one spectrum, or the device's is full.
        BugError : the model did not return one number per spectrum.
        """
        device, pixels = request.spectrum.device, request.pixels
        counts = [len(scale) for scale in scales]
        rows = sum(counts)
        limit = min(self.batch_rows(request), max(rows // _BATCHES_PER_BASELINE, 1))
        batches = -(-rows // limit)
        size = -(-rows // batches) if rows else 0
        # The filling is the empty window [0, 0), which pastes nothing.
        start = _column([scale.start for scale in scales], size * batches, device)
        stop = _column([scale.stop for scale in scales], size * batches, device)
        pixel = torch.arange(pixels, dtype=torch.int32, device=device)
        per_baseline = []
        with torch.no_grad():
            for baseline in request.baselines if rows else ():
                donor = torch.where(request.good, request.spectrum, baseline)
                untouched = self._evaluate(baseline.expand(size, pixels).contiguous())
                parts = []
                for low in range(0, size * batches, size):
                    inside = pixel >= start[low : low + size]
                    inside &= pixel < stop[low : low + size]
                    parts.append(untouched - self._evaluate(torch.where(inside, donor, baseline)))
                per_baseline.append(torch.cat(parts)[:rows])
        if not rows:
            return [request.spectrum.new_zeros(len(request.baselines), 0) for _ in scales]
        ends = np.cumsum(counts)
        pieces = torch.stack(per_baseline)
        return [pieces[:, end - count : end] for end, count in zip(ends, counts, strict=True)]

    def batch_rows(self, request: OcclusionRequest) -> int:
        """The largest number of spectra that one call of the model is given."""
        spectrum = request.spectrum
        return spectra_at_once(
            self._memory_bytes, self._floats_per_pixel, len(spectrum), spectrum.element_size()
        )

    def _evaluate(self, spectra: torch.Tensor) -> torch.Tensor:
        return evaluated(self._log_prob, spectra, self._memory_bytes)


def _column(parts: list[NDArray[np.int64]], rows: int, device: torch.device) -> torch.Tensor:
    """(rows, 1) int32 on the device, zero at the end: half the traffic of int64 beside the pixels."""
    column = np.zeros((rows, 1), dtype=np.int32)
    if parts:
        values = np.concatenate(parts)
        column[: len(values), 0] = values
    return torch.from_numpy(column).to(device)
