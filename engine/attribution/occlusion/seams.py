"""Seams: exact occlusion that computes only the positions that see both sides of a window's border.

See docs/occlusion.md for the argument. Left of a window a pasted spectrum is the baseline b, inside it is the
spectrum x, right of it b again, and one pass over b and one over x give their activations. The pooling is a
sum over positions, so a wide window costs a look-up: its two seams' zones and a difference of running sums
between them. All windows with a seam at one place share its zone.

Prior work: inverse multiscale occlusion is Shen & Melchior's (arXiv 2310.20012), one forward pass for each
window. Krypton (Nakandala, Kumar & Papakonstantinou, "Incremental and Approximate Inference for Faster
Occlusion-based Deep CNN Explanations", SIGMOD 2019) keeps a CNN's activations and computes anew what a patch
reaches; it is up to 5 times faster where exact, and approximate beyond. Here pooled heads and readouts stay
exact, windows of every width share the seams, and changes are carried in float32 without cancellation
(``models.local.differences``). ``whyspec bench occlusion`` measures pasted spectra per core-second.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from engine.attribution.occlusion.activations import Activations, activations
from engine.attribution.occlusion.cost import Cost, cost
from engine.attribution.occlusion.dense import DenseOccluder
from engine.attribution.occlusion.memory import batches
from engine.attribution.occlusion.network import Network, take_apart
from engine.attribution.occlusion.request import Occluder, OcclusionRequest
from engine.attribution.occlusion.seam_pass import SeamPass
from engine.attribution.occlusion.seam_work import SeamWork, seam_work
from engine.attribution.occlusion.windows import Scale
from models.local.local_score import LocalScore
from models.spectrum_model import LogProb


class SeamOccluder:
    """Occludes a :class:`LocalScore`; results are those of full forward passes.

    Parameters
    ----------
    score : the model. In float64 it is used as it is; of any other type a copy in float64 is kept.
    memory_bytes : what one call may take beside the request and its result.
    """

    def __init__(self, score: LocalScore, memory_bytes: int) -> None:
        numbers = [*score.parameters(), *(b for b in score.buffers() if b.is_floating_point())]
        exact = bool(numbers) and all(p.dtype == torch.float64 for p in numbers)
        self._score = score if exact else copy.deepcopy(score).double()
        self._memory_bytes = memory_bytes

    def differences(self, request: OcclusionRequest, scales: Sequence[Scale]) -> list[Tensor]:
        """Per scale, (M, number of windows), see :class:`engine.attribution.occlusion.request.Occluder`.

        Raises
        ------
        ConfigurationError : the memory allowed does not hold one baseline's activations.
        InputError : the spectrum is too short for the model's layers.
        """
        baselines = request.baselines
        results = [request.spectrum.new_zeros(len(baselines), len(scale)) for scale in scales]
        if not any(len(scale) for scale in scales):
            return results
        with torch.no_grad():
            network = take_apart(self._score, request.pixels, request.spectrum.device)
            work = seam_work(network, scales)
            batch = batches(network, work, len(baselines), request.spectrum, self._memory_bytes)
            for low in range(0, len(baselines), batch.baselines):
                part = baselines[low : low + batch.baselines]
                # In one expression: nothing of a batch may be held while the next one is computed.
                found = SeamPass(
                    network, self._activations(network, work, request, part), work, batch.rows
                ).run()
                for into, values in zip(results, found, strict=True):
                    into[low : low + batch.baselines] = values
        return results

    @staticmethod
    def _activations(
        network: Network, work: SeamWork, request: OcclusionRequest, baselines: Tensor
    ) -> Activations:
        donors = torch.where(request.good, request.spectrum, baselines)
        return activations(network, donors.double(), baselines.double(), work.halos, request.spectrum.dtype)

    def cost(self, pixels: int, baselines: int, scales: Sequence[Scale]) -> Cost:
        """What :meth:`differences` has to do for so many pixels and baselines on a processor."""
        network = take_apart(self._score, pixels, torch.device("cpu"))
        return cost(network, seam_work(network, scales), baselines)


def occluder_of(log_prob: LogProb, memory_bytes: int, floats_per_pixel: int = 256) -> Occluder:
    """The cheapest exact occluder of a model.

    Parameters
    ----------
    log_prob : (batch, pixels) to (batch,). A :class:`LocalScore` is occluded at the cost of its seams,
        any other function by one forward pass for every window and baseline.
    memory_bytes : what one call may take.
    floats_per_pixel : for full forward passes, see :class:`DenseOccluder`.
    """
    if isinstance(log_prob, LocalScore):
        return SeamOccluder(log_prob, memory_bytes)
    return DenseOccluder(log_prob, memory_bytes, floats_per_pixel)
