"""Stages of a local score: mixing layers with the pointwise ones after each, then pooling and head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.attribution.occlusion.mixing import Mixing, Sum, divisor, mixing
from engine.attribution.occlusion.reach import Reach
from models.errors import ErrorKind, InputError
from models.local.additive_pooling import PoolingRule
from models.local.differences import Chain, Difference, Terms, difference, scale
from models.local.local_layers import is_mixing
from models.local.local_score import LocalScore
from models.local.pixel_readout import PixelReadout, ReadoutRule


@dataclass(frozen=True, eq=False)
class Stage:
    """One mixing layer, and the pointwise layers between it and the next.

    Attributes
    ----------
    mixing : the layer that looks at neighbours; pointwise : all that follows it.
    reach : which pixels an output position sees.
    positions : number of output positions P.
    mixed, channels : output channels of the mixing layer and of the stage.
    terms : numbers that the pointwise layers' terms hold for each channel of the mixing layer.
    """

    mixing: Mixing
    pointwise: Chain
    reach: Reach
    positions: int
    mixed: int
    channels: int
    terms: int


@dataclass(frozen=True, eq=False)
class Readout:
    """What makes minus the score of the head's outputs and of features linear in flux.

    Attributes
    ----------
    module : gives features and values; rule : gives changes.
    numbers : numbers that the rule's terms hold for one baseline.
    """

    module: PixelReadout
    rule: ReadoutRule
    numbers: int


@dataclass(frozen=True, eq=False)
class Network:
    """A :class:`LocalScore` for spectra of ``pixels`` pixels, in float64.

    Attributes
    ----------
    lift : flux (B, N) to (B, N, C), each pixel by itself; C is ``input_channels`` or, after pointwise
        layers, another number.
    stages : at least one.
    pooling, head : what follows the sums over positions.
    readout : what follows the head; None if the head's output is it, with a last axis of length 1.
    sums : number of sums K; outputs : of the head.
    pooling_numbers, head_numbers : numbers that the pooling's and the head's terms hold per position.
    """

    pixels: int
    input_channels: int
    lift: Callable[[Tensor], Tensor]
    stages: tuple[Stage, ...]
    pooling: PoolingRule
    head: Difference
    readout: Readout | None
    sums: int
    outputs: int
    pooling_numbers: int
    head_numbers: int

    @property
    def stride(self) -> int:
        """Pixels between neighbouring positions of the last stage."""
        return self.stages[-1].reach.stride


def take_apart(score: LocalScore, pixels: int, device: torch.device) -> Network:
    """The network that ``score``, a module in float64, is for spectra of ``pixels`` pixels.

    Raises
    ------
    InputError : the spectrum is too short for the layers.
    """
    # An empty spectrum tells how many channels there are at no cost.
    lifted = score.lift(torch.zeros(1, pixels, dtype=torch.float64, device=device))
    hidden = lifted[..., :1].transpose(1, 2)
    input_channels = hidden.shape[-1]
    leading: list[Difference] = []
    pending: tuple[Mixing, int, Reach, int] | None = None
    pointwise: list[Difference] = []
    stages: list[Stage] = []
    reach, positions = Reach(), pixels

    def close() -> None:
        if pending is None:
            return
        mixed, channels, seen, count = pending
        chain = Chain(pointwise.copy())
        held = _numbers(chain.terms(hidden.new_ones(1, count, channels), torch.float32))
        terms = -(-held // (count * channels))
        stages.append(Stage(mixed, chain, seen, count, channels, hidden.shape[-1], terms))
        pointwise.clear()

    for layer in score.layers:
        if not is_mixing(layer):
            rule = difference(layer)
            hidden = _shape_after(rule, hidden, positions)
            (leading if pending is None else pointwise).append(rule)
            continue
        close()
        mixed = mixing(layer, hidden.shape[-1], device)
        reach = reach.through(mixed.kernel, mixed.stride, mixed.padding, mixed.dilation)
        before, positions = positions, mixed.positions(positions)
        if positions < 1:
            raise InputError(
                "The spectrum is too short for the encoder's layers.",
                where=f"layer {layer}",
                got=f"{pixels} pixels, of which {before} positions reach this layer",
                allowed="at least one position after every layer",
                remedy="Use spectra on the grid that the model was made for.",
                kind=ErrorKind.SPECTRUM_TOO_SHORT,
            )
        channels = mixed.weight.shape[2] if isinstance(mixed, Sum) else hidden.shape[-1]
        hidden = hidden.new_zeros(1, 1, channels)
        pending = (mixed, channels, reach, positions)
        per_position = divisor(layer, mixed, before, device)
        if per_position is not None:
            pointwise.append(scale(per_position[:, None]))
    if pending is None:
        identity = torch.eye(hidden.shape[-1], dtype=torch.float64, device=device)[None]
        pending = (Sum(identity, None, 1, 0, 1), hidden.shape[-1], reach, positions)
    close()
    first = Chain(leading)

    def lift(flux: Tensor) -> Tensor:
        return first.value(score.lift(flux).transpose(1, 2))

    channels = stages[-1].channels
    pooling, head = score.pooling.rule(channels), Chain([difference(module) for module in score.head])
    # Ones, not zeros: a logarithm may follow the sums.
    ones = torch.ones(1, positions, channels, dtype=torch.float64, device=device)
    pooled = pooling.pooled(pooling.contributions(ones).sum(dim=1, keepdim=True))
    outputs = head.value(pooled)
    return Network(
        pixels=pixels,
        input_channels=input_channels,
        lift=lift,
        stages=tuple(stages),
        pooling=pooling,
        head=head,
        readout=None if score.readout is None else _readout(score.readout, outputs),
        sums=score.pooling.size(channels),
        outputs=outputs.shape[-1],
        pooling_numbers=_numbers(pooling.terms(ones, torch.float32)) // positions,
        head_numbers=_numbers(head.terms(pooled, torch.float32)),
    )


def _readout(module: PixelReadout, outputs: Tensor) -> Readout:
    rule = module.rule()
    terms = rule.terms(outputs, outputs.new_zeros(1, 1, module.features), torch.float32)
    return Readout(module, rule, _numbers(terms))


def _shape_after(rule: Difference, hidden: Tensor, positions: int) -> Tensor:
    return rule.value(hidden.expand(-1, positions, -1))[:, :1]


def _numbers(terms: Terms) -> int:
    return sum(_numbers(term) if isinstance(term, tuple) else term.numel() for term in terms)
