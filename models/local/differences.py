"""Differences: the change of a module's output for a change of its input, without cancellation.

``f(a + d) - f(a)`` computed as written loses a small change ``d``: in float32 nothing is left of a change a
ten-millionth the size of ``a``. The rules here give the same number with a relative error of float32's
rounding, however small the change is. What a rule needs of ``a`` alone is computed once, as its *terms*.

Tensors are position-major here: (..., C), channels last.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

Terms = tuple[Any, ...]
"""Tensors (..., C) or, where a rule is made of rules, tuples of such; see :func:`map_terms`."""


class Difference(ABC):
    """A module as a function of its input's value and of a change of it."""

    @abstractmethod
    def value(self, base: Tensor) -> Tensor:
        """The module's output (..., C') for the input ``base`` (..., C)."""

    @abstractmethod
    def terms(self, base: Tensor, dtype: torch.dtype) -> Terms:
        """What :meth:`change` needs of ``base`` for changes of type ``dtype``.

        Tensors of the same leading shape as ``base``, which should be float64: terms are rounded last.
        """

    @abstractmethod
    def change(self, change: Tensor, terms: Terms) -> Tensor:
        """Output at ``base + change`` minus output at ``base``; ``terms`` broadcast against ``change``."""

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of matrix products in :meth:`change`, for one position."""
        return 0


@runtime_checkable
class HasDifference(Protocol):
    """A module that brings its own rule."""

    def difference(self) -> Difference:
        """The rule."""
        ...


class _Shift(Difference):
    """Adds something that does not depend on the input."""

    def __init__(self, bias: Tensor | None) -> None:
        self._bias = bias

    def value(self, base: Tensor) -> Tensor:
        return base if self._bias is None else torch.add(base, self._bias)

    def terms(self, base: Tensor, dtype: torch.dtype) -> Terms:  # noqa: ARG002
        return ()

    def change(self, change: Tensor, terms: Terms) -> Tensor:  # noqa: ARG002
        return change


class _Scale(Difference):
    """Multiplies by a factor per channel or per position, and adds."""

    def __init__(self, factor: Tensor, bias: Tensor) -> None:
        self._factor, self._bias = factor, bias

    def value(self, base: Tensor) -> Tensor:
        return base * self._factor + self._bias

    def terms(self, base: Tensor, dtype: torch.dtype) -> Terms:
        return (self._factor.expand_as(base).to(dtype),)

    def change(self, change: Tensor, terms: Terms) -> Tensor:
        factor: Tensor = terms[0]
        return change * factor


class CastOnce:
    """A constant tensor in whatever type is asked for, converted the first time only."""

    def __init__(self, tensor: Tensor) -> None:
        self._tensor = tensor
        self._cast: dict[torch.dtype, Tensor] = {}

    def __call__(self, dtype: torch.dtype) -> Tensor:
        """The tensor in ``dtype``."""
        if dtype not in self._cast:
            self._cast[dtype] = self._tensor.to(dtype)
        return self._cast[dtype]


class _Product(Difference):
    """A matrix over channels: a linear layer, or a convolution of one pixel."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._weight, self._bias = weight, bias
        self._weight_in = CastOnce(weight)

    def value(self, base: Tensor) -> Tensor:
        value: Tensor = nn.functional.linear(base, self._weight, self._bias)
        return value

    def terms(self, base: Tensor, dtype: torch.dtype) -> Terms:  # noqa: ARG002
        return ()

    def change(self, change: Tensor, terms: Terms) -> Tensor:  # noqa: ARG002
        moved: Tensor = nn.functional.linear(change, self._weight_in(change.dtype))
        return moved

    @property
    def multiply_adds(self) -> int:
        return self._weight.numel()


class _Kink(Difference):
    """Slope 1 above zero and another one below: ReLU and its relatives."""

    def __init__(self, slope: Tensor | float) -> None:
        self._slope = slope

    def value(self, base: Tensor) -> Tensor:
        return torch.where(base > 0, base, base * self._slope)

    def terms(self, base: Tensor, dtype: torch.dtype) -> Terms:
        constants = (base.neg().clamp_min(0).to(dtype), base.clamp_min(0).neg().to(dtype))
        if isinstance(self._slope, Tensor):
            return (*constants, self._slope.expand_as(base).to(dtype))
        return constants

    def change(self, change: Tensor, terms: Terms) -> Tensor:
        # relu(a + d) - relu(a) = max(d - relu(-a), -relu(a)), exact where d does not cross zero.
        ramp = torch.sub(change, terms[0])
        torch.maximum(ramp, terms[1], out=ramp)
        if len(terms) == 3:
            return ramp.lerp_(change, terms[2].expand_as(ramp))
        return ramp.lerp_(change, float(self._slope)) if self._slope else ramp


class _Tanh(Difference):
    """``height * tanh(a / width)``, up to a constant.

    With s = 1 / (1 + exp(-2 a / width)), t = 1 - s and E = exp(2 d / width) - 1 the difference is
    ``2 height s t E / (t + s (1 + E))``, where no two numbers are subtracted: t and 1 + E have
    exponentials of their own, as s may round to 1 where t is not 0, and E to -1 where 1 + E is not 0.
    """

    _SATURATED = 20.0
    """Widths beyond which float64 sees no more of a base than its sign."""

    def __init__(self, height: float, width: float, offset: float = 0.0) -> None:
        self._height, self._width, self._offset = height, width, offset

    def value(self, base: Tensor) -> Tensor:
        value: Tensor = self._height * torch.tanh(base / self._width) + self._offset
        return value

    def terms(self, base: Tensor, dtype: torch.dtype) -> Terms:
        twice = 2 * base / self._width
        within = twice.clamp(-2 * self._SATURATED, 2 * self._SATURATED)
        up, down = torch.sigmoid(within), torch.sigmoid(-within)
        # A change away from a limit counts from where it comes within sight.
        beyond = () if within.equal(twice) else ((twice - within).to(dtype),)
        return (up.to(dtype), down.to(dtype), (2 * self._height * up * down).to(dtype), *beyond)

    def change(self, change: Tensor, terms: Terms) -> Tensor:
        up, down, both, *beyond = terms
        exponent = change * (2 / self._width)
        if beyond:
            exponent = torch.where(change == 0, 0.0, exponent + beyond[0])
        # Outside, limits are reached, and float32 soon overflows.
        exponent.clamp_(-4 * self._SATURATED, 4 * self._SATURATED)
        below = torch.addcmul(down, exponent.exp(), up)
        return exponent.expm1_().mul_(both).div_(below)


class _Evaluated(Difference):
    """Any pointwise module: both values in float64, where their difference keeps what float32 can hold."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self._function = function

    def value(self, base: Tensor) -> Tensor:
        return self._function(base)

    def terms(self, base: Tensor, dtype: torch.dtype) -> Terms:
        del dtype  # both values stay in float64
        return (base.double(), self._function(base.double()))

    def change(self, change: Tensor, terms: Terms) -> Tensor:
        if not change.numel():
            return change.new_zeros(*change.shape[:-1], terms[1].shape[-1])
        moved: Tensor = self._function(terms[0] + change) - terms[1]
        return moved.masked_fill_((change == 0).all(-1, keepdim=True), 0).to(change.dtype)


class Chain(Difference):
    """Modules one after the other."""

    def __init__(self, parts: Sequence[Difference]) -> None:
        self._parts = tuple(parts)

    @property
    def multiply_adds(self) -> int:
        """All parts' together."""
        return sum(part.multiply_adds for part in self._parts)

    def value(self, base: Tensor) -> Tensor:
        """See :class:`Difference`."""
        for part in self._parts:
            base = part.value(base)
        return base

    def terms(self, base: Tensor, dtype: torch.dtype) -> Terms:
        """See :class:`Difference`."""
        collected: list[Terms] = []
        for part in self._parts:
            collected.append(part.terms(base, dtype))
            base = part.value(base)
        return tuple(collected)

    def change(self, change: Tensor, terms: Terms) -> Tensor:
        """See :class:`Difference`."""
        for part, own in zip(self._parts, terms, strict=True):
            change = part.change(change, own)
        return change


def map_terms(function: Callable[[Tensor], Tensor], terms: Terms) -> Terms:
    """The same terms with every tensor replaced by ``function`` of it."""
    return tuple(map_terms(function, term) if isinstance(term, tuple) else function(term) for term in terms)


@dataclass(frozen=True)
class _Flattened:
    """A module without a rule of its own, as a function (..., C) to (..., C'); (n,) counts as (n, 1)."""

    module: nn.Module

    def __call__(self, base: Tensor) -> Tensor:
        moved: Tensor = self.module(base.reshape(-1, base.shape[-1]))
        return moved.reshape(*base.shape[:-1], -1)


def difference(module: nn.Module) -> Difference:
    """The rule for a pointwise module: its own, a closed form, or evaluation in float64.

    The module must map each position's channels by themselves; see ``models.local.local_layers`` for what
    makes sure of that. Parameters are taken as they are now.
    """
    if isinstance(module, HasDifference):
        return module.difference()
    if isinstance(module, nn.Identity | nn.Dropout):
        return _Shift(None)
    if isinstance(module, nn.ReLU):
        return _Kink(0.0)
    if isinstance(module, nn.LeakyReLU):
        return _Kink(module.negative_slope)
    if isinstance(module, nn.PReLU):
        return _Kink(module.weight.detach().double())
    if isinstance(module, nn.Tanh):
        return _Tanh(1.0, 1.0)
    if isinstance(module, nn.Sigmoid):
        return _Tanh(0.5, 2.0, 0.5)
    if isinstance(module, nn.Linear):
        return _Product(module.weight.detach(), None if module.bias is None else module.bias.detach())
    if isinstance(module, nn.Conv1d):
        weight = dense_taps(module)[0].T.contiguous()
        return _Product(weight, None if module.bias is None else module.bias.detach())
    if isinstance(module, nn.BatchNorm1d):
        return _batch_norm(module)
    if isinstance(module, nn.Sequential):
        return Chain([difference(part) for part in module])
    return _Evaluated(_Flattened(copy.deepcopy(module).double()))


def linear(weight: Tensor, bias: Tensor | None) -> Difference:
    """The rule of a matrix over channels, weight (C', C)."""
    return _Product(weight, bias)


def bounded(bound: float) -> Difference:
    """The rule of ``bound * tanh(a / bound)``."""
    return _Tanh(bound, bound)


def shift(bias: Tensor) -> Difference:
    """The rule of adding ``bias``, which must broadcast against (..., C)."""
    return _Shift(bias)


def scale(factor: Tensor) -> Difference:
    """The rule of multiplying by ``factor``, which must broadcast against (..., C)."""
    return _Scale(factor, torch.zeros((), dtype=factor.dtype, device=factor.device))


def evaluated(function: Callable[[Tensor], Tensor]) -> Difference:
    """The rule of any function (..., C) to (..., C'), evaluated in float64."""
    return _Evaluated(function)


def dense_taps(convolution: nn.Conv1d) -> Tensor:
    """A convolution's weights as one matrix per tap, (kernel, C_in, C_out); groups become blocks."""
    weight = convolution.weight.detach()
    outputs, _, kernel = weight.shape
    groups = convolution.groups
    taps = weight.new_zeros(kernel, convolution.in_channels, outputs)
    into, out_of = convolution.in_channels // groups, outputs // groups
    for group in range(groups):
        block = weight[group * out_of : (group + 1) * out_of].permute(2, 1, 0)
        taps[:, group * into : (group + 1) * into, group * out_of : (group + 1) * out_of] = block
    return taps


def _batch_norm(module: nn.BatchNorm1d) -> Difference:
    if module.running_mean is None or module.running_var is None:
        raise ValueError("batch normalisation without running statistics is not pointwise")
    factor = 1 / torch.sqrt(module.running_var + module.eps)
    bias = -module.running_mean * factor
    if module.affine:
        factor = factor * module.weight.detach()
        bias = bias * module.weight.detach() + module.bias.detach()
    return _Scale(factor, bias)
