"""Local layers: what occlusion at the cost of seams asks of an encoder's layers, and its check.

A layer is **local** if each output position depends on a bounded interval of input positions, in the same
way at every position. Two kinds are:

- *mixing* layers look at neighbouring positions: ``Conv1d``, ``AvgPool1d``, ``MaxPool1d``, with any
  kernel, stride, padding (with zeros) and, for convolutions, dilation and groups;
- *pointwise* layers look at one position's channels only: element-by-element activations, batch
  normalisation with its stored statistics, :class:`PositionBias`, :class:`Bounded`, and any other
  :class:`PointwiseLayer`: a user's module declares itself pointwise by deriving from it.

:func:`check_local` refuses everything else, with the layer's name and what it couples. Full forward passes
can still explain a model with such layers.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.errors import ConfigurationError, ErrorKind
from models.local import differences
from models.local.differences import Difference


class PointwiseLayer(nn.Module):
    """Declares a module to be pointwise: every position's outputs depend on that position's channels only.

    ``forward`` maps (B, C, P) to (B, C', P). A subclass may bring a rule, ``difference``, that keeps small
    differences in float32; without one it is evaluated in float64.
    """


class PositionBias(PointwiseLayer):
    """Adds a constant per channel and position, e.g. an embedding of wavelength.

    Parameters
    ----------
    bias : (C, P), (B, C, P), or anything that broadcasts to it.
    """

    bias: Tensor

    def __init__(self, bias: Tensor) -> None:
        super().__init__()
        self.register_buffer("bias", bias, persistent=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, C, P) to (B, C, P)."""
        return hidden + self.bias

    def difference(self) -> Difference:
        """A constant changes no difference."""
        return differences.shift(self.bias.transpose(-1, -2))


class Bounded(PointwiseLayer):
    """Squashes to within +-bound: ``bound * tanh(a / bound)``."""

    def __init__(self, bound: float) -> None:
        super().__init__()
        self.bound = bound

    def forward(self, hidden: Tensor) -> Tensor:
        """Any shape to the same."""
        return self.bound * torch.tanh(hidden / self.bound)

    def difference(self) -> Difference:
        """By the addition theorem of the hyperbolic tangent."""
        return differences.bounded(self.bound)


_ELEMENTWISE = (
    nn.Identity, nn.Dropout, nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ReLU6, nn.ELU, nn.CELU, nn.SELU,
    nn.GELU, nn.SiLU, nn.Mish, nn.Tanh, nn.Sigmoid, nn.LogSigmoid, nn.Softplus, nn.Softsign, nn.Tanhshrink,
    nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.Hardshrink, nn.Softshrink, nn.Threshold,
)  # fmt: skip
_MIXING = (nn.Conv1d, nn.AvgPool1d, nn.MaxPool1d)

_WHY: tuple[tuple[type[nn.Module] | tuple[type[nn.Module], ...], str, str], ...] = (
    (
        (nn.InstanceNorm1d, nn.LazyInstanceNorm1d, nn.LocalResponseNorm),
        "it normalises by statistics taken over all positions of the spectrum",
        "Use BatchNorm1d, a PointwiseLayer over each position's channels, or no normalisation.",
    ),
    (
        (nn.LayerNorm, nn.GroupNorm, nn.RMSNorm),
        "it normalises over channels and positions together",
        "Normalise each position's channels by themselves, in a PointwiseLayer.",
    ),
    (
        (nn.AdaptiveAvgPool1d, nn.AdaptiveMaxPool1d),
        "it pools over intervals that grow with the spectrum",
        "Pool with a fixed kernel, and leave the last pooling to AttentionPooling.",
    ),
    (
        (nn.Softmax, nn.LogSoftmax, nn.Softmin, nn.Softmax2d),
        "it normalises over positions or channels",
        "AttentionPooling does what attention over positions needs.",
    ),
    (
        (nn.MultiheadAttention, nn.TransformerEncoderLayer, nn.TransformerEncoder),
        "every position looks at every other",
        "AttentionPooling is the one place where all positions meet.",
    ),
    ((nn.RNNBase,), "a position depends on all before it", "Use convolutions."),
    (
        (nn.Linear, nn.Flatten, nn.Unflatten),
        "it takes the positions themselves as features",
        "Use Conv1d with kernel 1 for channels; what comes after the pooling belongs into the head.",
    ),
)


def check_local(layers: Sequence[nn.Module], where: str) -> None:
    """Refuse layers that are not local.

    Raises
    ------
    ConfigurationError : names the first such layer, by its place, and says why.
    """
    for number, layer in enumerate(layers):
        problem = _problem(layer)
        if problem is None:
            continue
        why, remedy = problem
        raise ConfigurationError(
            "A layer of the encoder is not local, so occlusion by seams is not possible.",
            where=f"{where}, layer {number}: {layer}",
            got=why,
            allowed="Conv1d, AvgPool1d, MaxPool1d, activations, BatchNorm1d, PositionBias, PointwiseLayer",
            remedy=f"{remedy} Or explain the model by full forward passes (DenseOccluder).",
            kind=ErrorKind.LAYER_NOT_LOCAL,
        )


def is_mixing(layer: nn.Module) -> bool:
    """Whether a local layer looks at more than one position."""
    return isinstance(layer, _MIXING)


def check_pointwise(layers: Sequence[nn.Module], where: str) -> None:
    """Refuse layers that are not pointwise, as the logits of a pooling must be.

    Raises
    ------
    ConfigurationError : names the first such layer.
    """
    check_local(layers, where)
    for number, layer in enumerate(layers):
        if is_mixing(layer) and not (isinstance(layer, nn.Conv1d) and _is_one_pixel(layer)):
            raise ConfigurationError(
                "A layer of the pooling is not pointwise.",
                where=f"{where}, layer {number}: {layer}",
                got="it looks at neighbouring positions",
                allowed="Conv1d of kernel 1, activations, PointwiseLayer",
                remedy="Move it among the encoder's layers, before the pooling.",
                kind=ErrorKind.LAYER_NOT_POINTWISE,
            )


def _problem(layer: nn.Module) -> tuple[str, str] | None:
    """Why a layer is not local, and the remedy; None if it is."""
    if isinstance(layer, nn.BatchNorm1d):
        if layer.training or not layer.track_running_stats:
            return (
                "it normalises by statistics of the batch",
                "Keep running statistics and call eval() first.",
            )
        return None
    if isinstance(layer, nn.Dropout) and layer.training and layer.p > 0:
        return ("it drops at random while training", "Call eval() first.")
    if isinstance(layer, nn.RReLU) and layer.training:
        return ("its slope is random while training", "Call eval() first.")
    if isinstance(layer, nn.Conv1d):
        if layer.padding_mode != "zeros":
            return (
                f"its padding mode {layer.padding_mode!r} puts pixels of the spectrum beyond its ends",
                "Pad with zeros.",
            )
        if isinstance(layer.padding, str):
            return (
                f"its padding is given as {layer.padding!r}, not as a number",
                "Give padding as a number of pixels.",
            )
        return None
    if isinstance(layer, nn.AvgPool1d | nn.MaxPool1d):
        if layer.ceil_mode:
            return ("ceil_mode adds a cut-off position at the end", "Leave ceil_mode off.")
        if isinstance(layer, nn.MaxPool1d) and layer.return_indices:
            return ("it returns indices beside values", "Leave return_indices off.")
        return None
    if isinstance(layer, (PointwiseLayer, *_ELEMENTWISE)):
        return None
    for kinds, why, remedy in _WHY:
        if isinstance(layer, kinds):
            return why, remedy
    return (
        f"nothing is known about layers of type {type(layer).__name__}",
        "If it looks at one position at a time, derive it from PointwiseLayer.",
    )


def _is_one_pixel(layer: nn.Conv1d) -> bool:
    return layer.kernel_size == (1,) and layer.stride == (1,) and layer.padding == (0,)
