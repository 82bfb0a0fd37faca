"""The density of latents, given noise and redshift: zuko's masked autoregressive flow.

(Papamakarios et al. 2017.) Latents of noisy spectra scatter more, and those of distant ones come from other
lines. A density without noise and redshift would call every noisy or distant spectrum rare.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import zuko
from torch import Tensor, nn
from zuko.flows.autoregressive import MaskedAutoregressiveTransform

from models.local.differences import Chain, Difference, Terms, difference, linear

CONTEXT = 2
"""Numbers that condition it: natural log of the depth (``models.scoring.joint_score``), and redshift."""


class LatentDensity(nn.Module):
    """Log density of latents under an affine autoregressive flow on standardised latents.

    Affine rather than spline transforms: the flow runs once per pasted window, so it must be cheap.

    Parameters
    ----------
    latents : number of latents; transforms, hidden : size of the flow.
    """

    centre: Tensor
    scale: Tensor
    context_centre: Tensor
    context_scale: Tensor

    def __init__(self, latents: int, transforms: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.flow = zuko.flows.MAF(latents, CONTEXT, transforms=transforms, hidden_features=hidden)
        for transform in self.flow.transform.transforms:
            if isinstance(transform, MaskedAutoregressiveTransform):  # not that of a single latent
                transform.__class__ = _Transform  # the same weights
        self.register_buffer("centre", torch.zeros(latents))
        self.register_buffer("scale", torch.ones(latents))
        self.register_buffer("context_centre", torch.zeros(CONTEXT))
        self.register_buffer("context_scale", torch.ones(CONTEXT))

    def standardise(self, latents: Tensor, depth: Tensor, redshift: Tensor) -> None:
        """Set the standardisation from a sample of latents (n, S), depths and redshifts (n,)."""
        given = _given(depth, redshift).to(latents.dtype)
        self.centre.copy_(latents.mean(dim=0))
        self.scale.copy_(latents.std(dim=0).clamp_min(1e-6))
        self.context_centre.copy_(given.mean(dim=0))
        self.context_scale.copy_(given.std(dim=0).clamp_min(1e-3))

    def context(self, depth: Tensor, redshift: Tensor) -> Tensor:
        """Standardised and bounded, (B, 2), of depths and redshifts (B,)."""
        given = _given(depth, redshift)
        # Beyond what was seen in training the density stays what it is at the edge.
        return ((given - self.context_centre) / self.context_scale).clamp(-3, 3).to(self.centre.dtype)

    def forward(self, latents: Tensor, context: Tensor) -> Tensor:
        """Natural log of the density of latents, (B, S) given (B or 1, 2), (B,)."""
        standard = (latents - self.centre) / self.scale
        log_prob: Tensor = self.flow(context.expand(*latents.shape[:-1], -1)).log_prob(standard)
        return log_prob - torch.log(self.scale).sum()

    def given(self, context: Tensor) -> ConditionedDensity:
        """The density at one context, (1, 2)."""
        return ConditionedDensity(self, context)


class _Transform(MaskedAutoregressiveTransform):  # type: ignore[misc]  # zuko has no types
    """zuko's transform, which joins latents and context without ``torch.broadcast_shapes``.

    The first call of that function in a process imports sympy, which takes a third of a second.
    """

    def meta(self, c: Tensor, x: Tensor) -> Any:
        return super().meta(None, torch.cat((x, c.expand(*x.shape[:-1], -1)), dim=-1))


def _given(depth: Tensor, redshift: Tensor) -> Tensor:
    return torch.stack((torch.log(depth.double().clamp_min(1e-6)), redshift.double()), dim=-1)


class ConditionedDensity(nn.Module):
    """A density of latents alone."""

    at: Tensor

    def __init__(self, density: LatentDensity, context: Tensor) -> None:
        super().__init__()
        self.density = density
        self.register_buffer("at", context, persistent=False)

    def forward(self, latents: Tensor) -> Tensor:
        """(..., S) to (...)."""
        log_prob: Tensor = self.density(latents, self.at)
        return log_prob

    def difference(self) -> Difference:
        """The flow's rule, so that small changes of latents keep their size in float32."""
        return _FlowDifference(self)


_SMALLEST_SCALE = 1e-3
"""The flow's least slope: zuko's MonotonicAffineTransform keeps |log scale| below -log of this."""


class _FlowDifference(Difference):
    """Standardise, then x e^s(x) + t(x) transform by transform, then a normal density.

    ``s`` and ``t`` come from masked perceptrons of the components before. Only the perceptrons need
    rules of their own; a bounded log scale, an exponential and a square have closed forms.
    """

    def __init__(self, conditioned: ConditionedDensity) -> None:
        self._conditioned, self._density = conditioned, conditioned.density
        transforms = self._density.flow.transform.transforms
        self._perceptrons = [_perceptron(transform.hyper, conditioned.at[0]) for transform in transforms]
        self._bound = -math.log(_SMALLEST_SCALE)

    @property
    def multiply_adds(self) -> int:
        return sum(perceptron.multiply_adds for perceptron in self._perceptrons)

    def value(self, base: Tensor) -> Tensor:
        log_prob: Tensor = self._conditioned(base)
        return log_prob[..., None]

    def terms(self, base: Tensor, dtype: torch.dtype) -> Terms:
        x = (base - self._density.centre) / self._density.scale
        collected: list[Terms] = [((1 / self._density.scale).expand_as(base).to(dtype),)]
        for perceptron in self._perceptrons:
            shift, raw = perceptron.value(x).chunk(2, dim=-1)
            scale = torch.exp(raw / (1 + raw.abs() / self._bound))
            flatter = self._bound / (self._bound + raw.abs())
            at_base = tuple(value.to(dtype) for value in (x, scale, raw, 2 * raw.sign(), flatter))
            collected.append((*at_base, perceptron.terms(x, dtype)))
            x = x * scale + shift
        collected.append((x.to(dtype),))
        return tuple(collected)

    def change(self, change: Tensor, terms: Terms) -> Tensor:
        moved = change * terms[0][0]
        log_determinant = change.new_zeros(())
        for perceptron, (x, scale, *of_raw, of_perceptron) in zip(
            self._perceptrons, terms[1:-1], strict=True
        ):
            shift, step = perceptron.change(moved, of_perceptron).chunk(2, dim=-1)
            step = self._bounded_change(step, *of_raw)
            log_determinant = log_determinant + step.sum(dim=-1)
            grown = torch.expm1(step).mul_(scale)
            # (x + m)(e + g) + t' - x e - t = m (e + g) + x g + (t' - t)
            moved = moved * (grown + scale)
            moved.addcmul_(x.expand_as(grown), grown).add_(shift)
        quadratic = (moved * (terms[-1][0] + 0.5 * moved)).sum(dim=-1)
        return torch.sub(log_determinant, quadratic)[..., None]

    def _bounded_change(self, step: Tensor, raw: Tensor, twice_sign: Tensor, flatter: Tensor) -> Tensor:
        """Bounded u minus bounded a for u = a + d, without cancellation; bounded u is c u / (c + |u|).

        That is c (c d + u |a| - a |u|) / ((c + |a|)(c + |u|)), where u |a| - a |u| is 0 or, if u and a
        have opposite signs, 2 sign(a) a u. Computed as a difference, a fused multiply-add would leave
        its rounding.
        """
        moved = raw + step
        beyond = (moved * raw).clamp_(max=0).mul_(twice_sign).add_(step, alpha=self._bound)
        return beyond.mul_(flatter).div_(moved.abs_().add_(self._bound))


def _perceptron(hyper: nn.Sequential, context: Tensor) -> Difference:
    """The masked perceptron of one transform at a context, its outputs in the order (shifts, scales)."""
    first, *hidden, last = hyper
    into, offset = _masked_weight(first)
    latents = into.shape[1] - len(context)
    offset = offset + into[:, latents:] @ context.to(into.dtype)
    weight, bias = _masked_weight(last)
    order = torch.arange(len(weight), device=weight.device).view(-1, 2).T.flatten()
    return Chain(
        [
            linear(into[:, :latents], offset),
            *(_masked(layer) for layer in hidden),
            linear(weight[order], bias[order]),
        ]
    )


def _masked(layer: nn.Module) -> Difference:
    return linear(*_masked_weight(layer)) if isinstance(layer, zuko.nn.MaskedLinear) else difference(layer)


def _masked_weight(layer: Any) -> tuple[Tensor, Tensor]:
    return (layer.mask * layer.weight).detach(), layer.bias.detach()
