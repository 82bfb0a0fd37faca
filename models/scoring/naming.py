"""The naming of causes: how probable each is, given what the parts of a score say.

A multinomial logistic model with two slopes in all, so that it can be fitted to few spectra and holds far
from them. What counts for a cause is the depth of its tail among usual spectra, and its log likelihood ratio.
The depth is what makes a spectrum odd. The ratio still tells causes apart where every tail is extrapolated.
A probability is that of a cause among all that have examples, all as frequent.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.causes.names import TEMPLATE_CAUSES

_RIDGE = 1.0
"""Weight of the penalty on offsets, in spectra."""
_ROUNDS = 60


@dataclass(frozen=True, eq=False)
class PartEvidence:
    """What n spectra say for each of P parts.

    Attributes
    ----------
    depth : (..., P) float64, minus the log of the tail, plus the log of the part's share of the score.
    ratio : (..., P) float64, log likelihood ratio; minus infinity for a part that has none.
    """

    depth: Tensor
    ratio: Tensor


class Naming(nn.Module):
    """From the parts' evidence to probabilities.

    Until it is fitted a cause's probability is its share of the mean inverse tail.
    """

    offset: Tensor
    of_depth: Tensor
    of_ratio: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("offset", torch.zeros(len(TEMPLATE_CAUSES) + 1, dtype=torch.float64))
        self.register_buffer("of_depth", torch.ones((), dtype=torch.float64))
        self.register_buffer("of_ratio", torch.zeros((), dtype=torch.float64))

    def forward(self, evidence: PartEvidence) -> Tensor:
        """Probability of every cause, (..., causes) float64; the rest of 1 is unknown."""
        return torch.softmax(self._logits(evidence, self.offset, self.of_depth, self.of_ratio), dim=-1)[
            ..., :-1
        ]

    @staticmethod
    def _logits(evidence: PartEvidence, offset: Tensor, of_depth: Tensor, of_ratio: Tensor) -> Tensor:
        depth, ratio = _by_cause(evidence)
        return offset + of_depth * depth + of_ratio * ratio

    @torch.enable_grad()
    def fit(self, evidence: PartEvidence, truth: Tensor) -> None:
        """Maximise the likelihood of the true causes, (n,), of n odd spectra; the last number is unknown.

        Offsets are held towards zero and slopes towards one; a fit that fails leaves all as it was.
        """
        offset = torch.zeros_like(self.offset).requires_grad_()
        slopes = torch.tensor([0.0, -3.0], dtype=torch.float64, requires_grad=True)
        optimiser = torch.optim.LBFGS([offset, slopes], max_iter=_ROUNDS, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            optimiser.zero_grad()
            logits = self._logits(evidence, offset, *slopes.exp())
            value = nn.functional.cross_entropy(logits, truth, reduction="sum")
            value = value + 0.5 * _RIDGE * (offset.square().sum() + slopes.square().sum())
            value.backward()  # type: ignore[no-untyped-call]
            return value

        optimiser.step(loss)  # type: ignore[no-untyped-call]
        if not (offset.isfinite().all() and slopes.isfinite().all()):
            return
        self.offset.copy_(offset.detach())
        self.of_depth.copy_(slopes.detach()[0].exp())
        self.of_ratio.copy_(slopes.detach()[1].exp())


def _by_cause(evidence: PartEvidence) -> tuple[Tensor, Tensor]:
    """Depths and ratios of every cause and, last, of what is unknown: all other parts, (..., causes + 1)."""
    first = evidence.depth.shape[-1] - len(TEMPLATE_CAUSES)
    others, depth = evidence.depth[..., :first], evidence.depth[..., first:]
    depth = torch.cat((depth, torch.logsumexp(others, dim=-1, keepdim=True)), dim=-1)
    unnamed = evidence.ratio[..., :first].amax(dim=-1, keepdim=True)
    return depth, torch.cat((evidence.ratio[..., first:], unnamed), dim=-1)
