"""The density of spender's latents: the masked autoregressive flow that its 0.3 builds from nflows 0.14.

Affine autoregressive steps (Papamakarios et al. 2017) whose parameters come from masked perceptrons
(Germain et al. 2015), a permutation after each, latents standardised before the first.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

_LEAST_SCALE = 1e-3


class MaskedLinear(nn.Linear):
    """A linear layer whose outputs see only inputs of degrees that are low enough."""

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """(..., inputs) to (..., outputs)."""
        return nn.functional.linear(inputs, self.weight * self.mask, self.bias)


class AutoregressiveStep(nn.Module):
    """x to scale(x) x + shift(x), where a latent's scale and shift depend on those before it.

    Parameters
    ----------
    latents : number of latents S; hidden : width of the perceptron; blocks : its hidden layers after the
        first.
    """

    permutation: Tensor

    def __init__(self, latents: int, hidden: int, blocks: int) -> None:
        super().__init__()
        self.first = MaskedLinear((degrees(latents, hidden)[:, None] >= _inputs(latents)).float())
        inner = degrees(latents, hidden)
        self.blocks = nn.ModuleList(MaskedLinear((inner[:, None] >= inner).float()) for _ in range(blocks))
        self.last = MaskedLinear((_inputs(latents).repeat_interleave(2)[:, None] > inner).float())
        self.register_buffer("permutation", torch.arange(latents))

    def forward(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """(B, S) to the transformed latents, permuted, and the log determinant (B,)."""
        scale, shift = self._scale_and_shift(latents)
        return (scale * latents + shift)[:, self.permutation], torch.log(scale).sum(dim=1)

    def inverse(self, outputs: Tensor) -> Tensor:
        """The latents that :meth:`forward` takes to ``outputs``, (B, S)."""
        wanted = outputs[:, torch.argsort(self.permutation)]
        latents = torch.zeros_like(wanted)
        # Each turn makes one more latent right, beginning with the first, which depends on none.
        for _ in range(wanted.shape[1]):
            scale, shift = self._scale_and_shift(latents)
            latents = (wanted - shift) / scale
        return latents

    def _scale_and_shift(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        hidden = torch.tanh(self.first(latents))
        for block in self.blocks:
            hidden = torch.tanh(block(hidden))
        raw, shift = self.last(hidden).unflatten(1, (-1, 2)).unbind(dim=2)
        return nn.functional.softplus(raw) + _LEAST_SCALE, shift


class SpenderFlow(nn.Module):
    """Log density of latents.

    Parameters
    ----------
    latents : number of latents S; transforms, hidden, blocks : size of the flow.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, latents: int, transforms: int, hidden: int, blocks: int) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(latents))
        self.register_buffer("shift", torch.zeros(latents))
        self.steps = nn.ModuleList(AutoregressiveStep(latents, hidden, blocks) for _ in range(transforms))

    def forward(self, latents: Tensor) -> Tensor:
        """Natural log of the density of latents, (B, S) to (B,)."""
        outputs = latents * self.scale + self.shift
        log_determinant = torch.log(self.scale).sum()
        for step in self.steps:
            outputs, of_step = step(outputs)
            log_determinant = log_determinant + of_step
        normal = -0.5 * (outputs.square().sum(dim=1) + outputs.shape[1] * math.log(2 * math.pi))
        log_prob: Tensor = normal + log_determinant
        return log_prob

    def sample(self, count: int, seed: int) -> Tensor:
        """``count`` latents drawn from the density, (count, S); the same seed draws the same."""
        generator = torch.Generator().manual_seed(seed)
        outputs = torch.randn(count, len(self.scale), generator=generator, dtype=torch.float64)
        outputs = outputs.to(self.scale)
        for step in reversed(self.steps):
            assert isinstance(step, AutoregressiveStep)  # noqa: S101 - as made above
            outputs = step.inverse(outputs)
        return (outputs - self.shift) / self.scale


def degrees(latents: int, hidden: int) -> Tensor:
    """Degrees of the hidden units, (hidden,): 1 to S - 1 in turn."""
    return torch.arange(hidden) % max(1, latents - 1) + min(1, latents - 1)


def _inputs(latents: int) -> Tensor:
    return torch.arange(1, latents + 1)
