"""The encoder: observed-frame spectrum to latents and novelty, through local layers and one additive pooling.

Every activation before the pooling depends on a bounded interval of pixels only. That makes
occlusion cheap and keeps a pasted piece from changing features elsewhere. The pooling is an
attention-weighted mean, a ratio of two sums over positions (cf. the attention of spender, Melchior
et al. 2023, AJ 166, 74, without its instance normalisation).

Novelty has a second way: each position's own novelty, pooled by the logarithm of a sum of
exponentials, a smooth maximum (as in multiple-instance learning), because a cosmic ray is odd
however ordinary the average position is. That too is a sum over positions.

Redshift is an input: an embedding of each position's *rest-frame* wavelength is added before the last
non-linearity, so that a feature at Hα differs from one at [O III] although it sees only a few tens of
Angstrom. Inverse variance is an input too: flux enters twice, as it is and in units of its noise, so
that a spike differs from a noisy pixel. A masked pixel enters as zero flux *and* zero validity, and
positions without evidence get no weight in the pooling.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from models.grid import WavelengthGrid
from models.local.additive_pooling import AdditivePooling, AttentionPooling, JointPooling, LogSumExpPooling
from models.local.differences import Difference, Terms, difference
from models.local.local_layers import Bounded, PositionBias

_LOGIT_BOUND = 6.0
_NOVELTY_BOUND = 10.0
"""Logits of positions are squashed to +- these, so that sums of exponentials stay well conditioned."""


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    """Sizes of the encoder; kernels are twice the strides so that neighbouring cells overlap.

    ``latents`` feed the decoder; one more output, ``novelty``, answers to damage
    (``models.training.corruption``).
    """

    latents: int = 10
    novelty: int = 1
    novelty_hidden: int = 32
    channels: tuple[int, ...] = (32, 64, 128)
    kernels: tuple[int, ...] = (8, 8, 4)
    strides: tuple[int, ...] = (4, 4, 2)
    heads: int = 16
    hidden: int = 64
    position_step: float = 0.004

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description."""
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, description: dict[str, Any]) -> EncoderSettings:
        """The settings that :meth:`to_dict` described."""
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in description.items()}
        return cls(**values)


class Encoder(nn.Module):
    """Maps (flux, ivar, redshift) to latents.

    Parameters
    ----------
    grid : observed wavelengths of the input pixels.
    redshift_max : largest redshift the rest-frame embedding covers.
    settings : sizes.
    """

    log_wavelength: Tensor

    def __init__(self, grid: WavelengthGrid, redshift_max: float, settings: EncoderSettings) -> None:
        super().__init__()
        self.settings = settings
        layers: list[nn.Module] = []
        inputs = 3
        for outputs, kernel, stride in zip(
            settings.channels, settings.kernels, settings.strides, strict=True
        ):
            layers.append(_Convolution(inputs, outputs, kernel, stride, padding=kernel // 2))
            inputs = outputs
        self.convolutions = nn.ModuleList(layers)
        self.activation = nn.LeakyReLU(0.1)

        wavelength = torch.from_numpy(grid.wavelength())
        self.log_first = math.log(float(wavelength[0])) - math.log1p(redshift_max)
        nodes = math.ceil((math.log(float(wavelength[-1])) - self.log_first) / settings.position_step) + 2
        self.position = nn.Parameter(0.02 * torch.randn(nodes, settings.channels[-1]))
        # float64: a node index near 300 needs more than float32 leaves for its fraction.
        self.register_buffer("log_wavelength", self._centres(wavelength.log()), persistent=False)

        self.logits = nn.Conv1d(settings.channels[-1], settings.heads, 1)
        self.local_novelty = nn.Sequential(
            nn.Conv1d(settings.channels[-1], settings.novelty_hidden, 1),
            nn.LeakyReLU(0.1),
            nn.Conv1d(settings.novelty_hidden, settings.novelty, 1),
        )
        self.head = nn.Sequential(
            nn.Linear(settings.channels[-1], settings.hidden),
            nn.LeakyReLU(0.1),
            nn.Linear(settings.hidden, settings.latents + settings.novelty),
        )

        for module in self.modules():
            if isinstance(module, nn.Conv1d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, a=0.1)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def _centres(self, log_wavelength: Tensor) -> Tensor:
        """Natural log of the wavelength at the centre of each pooled position's receptive field."""
        centre = torch.arange(len(log_wavelength), dtype=torch.float64)
        for kernel, stride in zip(self.settings.kernels, self.settings.strides, strict=True):
            count = (len(centre) + 2 * (kernel // 2) - kernel) // stride + 1
            step = float(centre[1] - centre[0])
            first = float(centre[0]) + step * ((kernel - 1) / 2 - kernel // 2)
            centre = first + step * stride * torch.arange(count, dtype=torch.float64)
        left = centre.floor().clamp(0, len(log_wavelength) - 2).long()
        return log_wavelength[left] + (centre - left) * (log_wavelength[left + 1] - log_wavelength[left])

    def coverage(self, good: Tensor) -> Tensor:
        """Share of good pixels in each pooled position's stride cell, (B, N) bool to (B, positions)."""
        share = good.to(self.position.dtype)[:, None]
        for kernel, stride in zip(self.settings.kernels, self.settings.strides, strict=True):
            share = nn.functional.avg_pool1d(
                share, kernel, stride, padding=kernel // 2, count_include_pad=False
            )
        return share[:, 0]

    def embedding(self, redshift: Tensor) -> Tensor:
        """Rest-frame embedding of every position, (B,) to (B, channels, positions)."""
        rest = self.log_wavelength[None] - torch.log1p(redshift.to(self.log_wavelength.dtype))[:, None]
        node = (rest - self.log_first) / self.settings.position_step
        node = node.clamp(0, len(self.position) - 1.001)
        left = node.floor().long()
        fraction = (node - left).to(self.position.dtype)
        # Not plain indexing: its backward pass is many times slower.
        between = nn.functional.embedding_bag(
            torch.stack((left, left + 1), dim=-1).view(-1, 2),
            self.position,
            per_sample_weights=torch.stack((1 - fraction, fraction), dim=-1).view(-1, 2),
            mode="sum",
        )
        return between.view(*left.shape, -1).transpose(1, 2)

    def channels(self, flux: Tensor, ivar: Tensor) -> Tensor:
        """What the first layer sees, (B, 3, N): flux, flux in units of its noise, validity.

        The inverse hyperbolic sine keeps strong lines and bright spectra within bounds.
        """
        valid = (ivar > 0).to(flux.dtype)
        # A masked pixel's flux may be anything, infinite too, so it is replaced, not multiplied.
        known = torch.where(ivar > 0, flux, torch.zeros_like(flux))
        significance = _asinh(known * ivar.sqrt() / 2)
        return torch.stack((_asinh(known), significance, valid.expand_as(flux)), dim=1)

    def layers(self, embedding: Tensor) -> list[nn.Module]:
        """The local layers in order, ``embedding`` (B or 1, channels, positions) included."""
        stack: list[nn.Module] = []
        for convolution in self.convolutions:
            stack += [convolution, self.activation]
        return [*stack[:-1], PositionBias(embedding), self.activation]

    def pooling(self, log_coverage: Tensor) -> AdditivePooling:
        """The one place where positions meet; ``log_coverage`` is (B or 1, positions)."""
        weight = PositionBias(log_coverage[:, None])
        return JointPooling(
            (
                AttentionPooling((self.logits, Bounded(_LOGIT_BOUND), weight), self.settings.heads),
                LogSumExpPooling(
                    (*self.local_novelty, Bounded(_NOVELTY_BOUND), weight), self.settings.novelty
                ),
            )
        )

    def pooled(self, flux: Tensor, ivar: Tensor, embedding: Tensor, log_coverage: Tensor) -> Tensor:
        """Pooled features, (B, channels + novelty); all but the first argument may have batch 1.

        ``ivar``, ``embedding`` and ``log_coverage`` do not depend on flux: all pasted spectra of
        one explanation share them.
        """
        hidden = self.channels(flux, ivar)
        for layer in self.layers(embedding):
            hidden = layer(hidden)
        features: Tensor = self.pooling(log_coverage)(hidden)
        return features

    def from_pooled(self, pooled: Tensor) -> Tensor:
        """Latents, then novelty, (B, S), of pooled features."""
        outputs: Tensor = EncoderHead(self.head, self.settings)(pooled)
        return outputs

    def context(self, ivar: Tensor, redshift: Tensor) -> tuple[Tensor, Tensor]:
        """The ``embedding`` and ``log_coverage`` that :meth:`pooled` needs."""
        return self.embedding(redshift), torch.log(self.coverage(ivar > 0) + 1e-6)

    def forward(self, flux: Tensor, ivar: Tensor, redshift: Tensor) -> Tensor:
        """Latents, then novelty, (B, S), of normalised flux and its ivar (B, N) and redshift (B,)."""
        return self.from_pooled(self.pooled(flux, ivar, *self.context(ivar, redshift)))


class _Convolution(nn.Conv1d):
    """A convolution; one of few channels is a product with what every position sees, written out.

    Libraries have no quick way of their own for so few channels.
    """

    _FEW = 8

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, C, P) to (B, C', P')."""
        padding, kernel = int(self.padding[0]), self.kernel_size[0]
        if self.in_channels > self._FEW:
            return super().forward(hidden)
        seen = nn.functional.pad(hidden, (padding, padding)).unfold(2, kernel, self.stride[0])
        columns = seen.transpose(2, 3).flatten(1, 2)
        bias = hidden.new_zeros(()) if self.bias is None else self.bias[:, None]
        return self.weight.flatten(1) @ columns + bias


def _asinh(values: Tensor) -> Tensor:
    """The inverse hyperbolic sine: ``torch.asinh`` takes numbers one by one, twenty times as long."""
    sign = torch.where(values < 0, -1.0, 1.0).to(values.dtype)
    size = values * sign
    return sign * torch.log1p(size + size * (size / (1 + torch.hypot(size, torch.ones_like(size)))))


class EncoderHead(nn.Module):
    """From pooled features to latents and novelty; a position's own novelty is added to the latter."""

    def __init__(self, perceptron: nn.Module, settings: EncoderSettings) -> None:
        super().__init__()
        self.perceptron = perceptron
        self.attended, self.latents = settings.channels[-1], settings.latents

    def forward(self, pooled: Tensor) -> Tensor:
        """(..., channels + novelty) to (..., latents + novelty)."""
        outputs = self.perceptron(pooled[..., : self.attended])
        latents, novelty = outputs[..., : self.latents], outputs[..., self.latents :]
        return torch.cat((latents, novelty + pooled[..., self.attended :]), dim=-1)

    def difference(self) -> Difference:
        """The perceptron's rule, and a sum."""
        return _HeadDifference(self, difference(self.perceptron))


class _HeadDifference(Difference):
    def __init__(self, head: EncoderHead, perceptron: Difference) -> None:
        self._head, self._perceptron = head, perceptron

    @property
    def multiply_adds(self) -> int:
        return self._perceptron.multiply_adds

    def value(self, base: Tensor) -> Tensor:
        outputs: Tensor = self._head(base)
        return outputs

    def terms(self, base: Tensor, dtype: torch.dtype) -> Terms:
        return self._perceptron.terms(base[..., : self._head.attended], dtype)

    def change(self, change: Tensor, terms: Terms) -> Tensor:
        outputs = self._perceptron.change(change[..., : self._head.attended], terms)
        outputs[..., self._head.latents :] += change[..., self._head.attended :]
        return outputs
