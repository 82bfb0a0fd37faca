"""Spender's encoder in fewer operations, for the thousands of passes of an explanation.

Nearly all of the encoder's work is in two convolutions with wide kernels, 11 and 21 positions. Products
of their Fourier transforms, block by block, take a quarter of the multiplications. The other cost is moving
the first convolution's output, 128 numbers per pixel. Here only its largest value of every five is kept; its
mean and variance follow from the five by five covariance of the shifted spectrum.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from models.spender.encoder import KERNELS, SpenderEncoder

_AT_ONCE = 4
"""Spectra in the second convolution together: more would not fit a processor's caches."""

_SECOND_STEP, _THIRD_STEP = 5 * KERNELS[1], 71
"""Outputs per block: whole cells of the pool, and half of what DESI's spectra have there."""


class QuickEncoder:
    """The function of an encoder, without gradients.

    Parameters
    ----------
    encoder : its weights are copied, in float32.
    """

    def __init__(self, encoder: SpenderEncoder) -> None:
        blocks: list[list[Any]] = [list(block) for block in (encoder.conv1, encoder.conv2, encoder.conv3)]
        (first, norm, _), (second, _, _), (third, _, _) = blocks
        self._epsilon = float(norm.eps)
        self._slopes = [block[2].weight.detach().float().clone() for block in blocks]
        self._filters = first.weight.detach().double()[:, 0]
        # Every fifth position from each of five places: the pool's maximum is then one of whole arrays.
        width, kernel = KERNELS[0], KERNELS[0]
        self._phases = torch.zeros(width, len(self._filters), width + kernel - 1)
        for phase in range(width):
            self._phases[phase, :, phase : phase + kernel] = self._filters.float()
        self._second = BlockConvolution(second.weight.detach(), _SECOND_STEP)
        self._third = BlockConvolution(third.weight.detach(), _THIRD_STEP)
        self._perceptron = nn.Sequential(*(_copy(layer) for layer in encoder.mlp))

    def __call__(self, flux: Tensor) -> Tensor:
        """Latents (B, S) of flux (B, L), float32 on a processor."""
        pieces = torch.split(flux, _AT_ONCE)
        hidden = torch.cat([self._second_pooled(self._first_pooled(piece)) for piece in pieces], dim=1)
        last = self._third(hidden, hidden.shape[2], KERNELS[2] // 2, 0)
        step, channels, count, blocks = last.shape
        values = last.permute(1, 2, 3, 0).reshape(channels, count, step * blocks)[:, :, : hidden.shape[2]]
        values = values - values.mean(dim=2, keepdim=True)
        values = values * self._scale(values.square().mean(dim=2))[:, :, None]
        values = nn.functional.prelu(values.transpose(0, 1), self._slopes[2])
        kept, logits = values.chunk(2, dim=1)
        latents: Tensor = self._perceptron((kept * torch.softmax(logits, dim=-1)).sum(dim=-1))
        return latents

    def _first_pooled(self, flux: Tensor) -> Tensor:
        """After the first pool, (128, B, n)."""
        width, length = KERNELS[0], flux.shape[1]
        pad = width // 2
        cells = (length + 2 * pad - width) // width + 1
        # Mean and variance over all positions, in float64: smooth spectra leave little of the covariance.
        shifted = nn.functional.pad(flux.double(), (pad, pad)).unfold(1, length, 1)
        middle = shifted.mean(dim=2)
        centred = shifted - middle[:, :, None]
        covariance = centred @ centred.transpose(1, 2) / length
        mean = (self._filters @ middle.T).float()
        variance = torch.einsum("ck,bkl,cl->cb", self._filters, covariance, self._filters).float()

        frame = self._phases.shape[2]
        spare = (cells - 1) * width + frame - length - 2 * pad
        frames = nn.functional.pad(flux, (2 * pad, max(spare, 0))).unfold(1, frame, width)
        columns = frames[:, :cells].reshape(-1, frame).T
        falling = bool((self._slopes[0] < 0).any())
        largest = smallest = None
        for phase in range(width):
            values = (self._phases[phase] @ columns).view(-1, len(flux), cells)
            if phase < pad:
                values[:, :, 0] = -math.inf  # before the first pixel
            if (cells - 1) * width - pad + phase >= length:
                values[:, :, -1] = -math.inf
            largest = values if largest is None else torch.maximum(largest, values)
            if falling:
                values = torch.where(values == -math.inf, math.inf, values)
                smallest = values if smallest is None else torch.minimum(smallest, values)
        return self._activated(0, largest, smallest, mean, variance)

    def _second_pooled(self, hidden: Tensor) -> Tensor:
        """After the second pool, (256, B, n)."""
        width, length = KERNELS[1], hidden.shape[2]
        pad = width // 2
        cells = (length + 2 * pad - width) // width + 1
        values = self._second(hidden, pad + length, pad, pad)
        step, _, _, blocks = values.shape
        # Position g of the blocks is g - pad of the convolution's output; what lies outside is no output.
        place = torch.arange(step * blocks).view(blocks, step).T
        outside = ((place < pad) | (place >= pad + length))[:, None, None, :]
        edges = outside.any(dim=0).flatten().nonzero().flatten().tolist()
        for edge in edges:
            values[..., edge].masked_fill_(outside[..., edge], 0.0)
        mean = values.sum(dim=(0, 3)) / length
        values -= mean[:, :, None]
        for edge in edges:
            values[..., edge].masked_fill_(outside[..., edge], 0.0)
        variance = values.square().sum(dim=(0, 3)) / length

        def pooled(fill: float) -> Tensor:
            for edge in edges:
                values[..., edge].masked_fill_(outside[..., edge], fill)
            cells_of = values.view(step // width, width, *values.shape[1:])
            best = cells_of.amax(dim=1) if fill < 0 else cells_of.amin(dim=1)
            return best.permute(1, 2, 3, 0).flatten(2)[:, :, :cells]

        largest = pooled(-math.inf)
        smallest = pooled(math.inf) if bool((self._slopes[1] < 0).any()) else None
        return self._activated(1, largest, smallest, torch.zeros_like(mean), variance)

    def _activated(
        self, block: int, largest: Tensor | None, smallest: Tensor | None, mean: Tensor, variance: Tensor
    ) -> Tensor:
        """Normalised and activated maxima of cells, (C, B, n), see ``models.spender.encoder._pooled``."""
        scale, slope = self._scale(variance)[:, :, None], self._slopes[block][:, None, None]

        def activated(values: Tensor) -> Tensor:
            normal = (values - mean[:, :, None]) * scale
            return torch.where(normal > 0, normal, normal * slope)

        assert largest is not None  # noqa: S101 - there are phases
        return (
            activated(largest) if smallest is None else torch.maximum(activated(largest), activated(smallest))
        )

    def _scale(self, variance: Tensor) -> Tensor:
        return torch.rsqrt(variance + self._epsilon)


class BlockConvolution:
    """A convolution by products of Fourier transforms of overlapping blocks (overlap-save).

    Real transforms as matrix products: of blocks this short they are as quick as fast ones, and their
    results lie as the products over channels want them, frequency by frequency.

    Parameters
    ----------
    weight : (C_out, C_in, K). A bias would be without effect before an instance norm.
    step : outputs per block; odd as K is, so that a block of step + K - 1 inputs has an odd length.
    """

    def __init__(self, weight: Tensor, step: int) -> None:
        outputs, _, kernel = weight.shape
        self._step, self._length = step, step + kernel - 1
        length = self._length
        half = length // 2
        angle = 2 * math.pi / length * torch.arange(1, half + 1).double()[:, None] * torch.arange(length)
        waves = torch.stack((torch.cos(angle), -torch.sin(angle)), dim=1).flatten(0, 1)
        self._forward = torch.cat((torch.ones(1, length).double(), waves)).float()
        back = torch.cat((torch.ones(1, length).double(), 2 * waves)) / length
        self._back = back.T[: self._step].float().contiguous()
        of_weight = torch.fft.rfft(weight.double(), n=length, dim=2).permute(2, 0, 1)
        self._constant = of_weight[0].real.float().contiguous()
        real, imaginary = of_weight[1:].real, of_weight[1:].imag
        # Correlation: products with the conjugate.
        pairs = torch.cat((torch.cat((real, imaginary), dim=2), torch.cat((-imaginary, real), dim=2)), dim=1)
        self._pairs = pairs.float().contiguous()
        self._outputs = outputs

    def __call__(self, values: Tensor, count: int, before: int, more: int) -> Tensor:
        """Outputs in blocks, (step, C_out, B, blocks), of (C_in, B, n).

        Output g of a block row is that at position g - ``more`` of a convolution padded by ``before``; there
        are ``count`` of them, and some that mean nothing behind.
        """
        channels, batch, length = values.shape
        blocks = -(-count // self._step)
        whole = (blocks - 1) * self._step + self._length
        ahead = before + more
        padded = nn.functional.pad(values, (ahead, max(whole - ahead - length, 0)))
        frames = padded.unfold(2, self._length, self._step)[:, :, :blocks].reshape(-1, self._length)
        columns = batch * blocks
        spectrum = (self._forward @ frames.T).view(self._length, channels, columns)
        product = values.new_empty(self._length, self._outputs, columns)
        torch.mm(self._constant, spectrum[0], out=product[0])
        torch.bmm(
            self._pairs,
            spectrum[1:].view(-1, 2 * channels, columns),
            out=product[1:].view(-1, 2 * self._outputs, columns),
        )
        result = self._back @ product.view(self._length, -1)
        return result.view(self._step, self._outputs, batch, blocks)


def _copy(layer: nn.Module) -> nn.Module:
    """The layer in float32, without gradients."""
    return copy.deepcopy(layer).float().requires_grad_(requires_grad=False)
