"""Rates of the device in matrix products and copies, which bound any exact occlusion."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from flows.bench.timing import quickest

_SIZE = 2048
_FLOATS = 2**26


@dataclass(frozen=True)
class Rates:
    """Rates of the device, measured in this process.

    Attributes
    ----------
    multiply_adds_per_second : of a float32 matrix product of ``matrix_size`` cubed.
    bytes_per_second : of a copy of ``copied_bytes``, bytes read plus bytes written.
    matrix_size : rows and columns.
    copied_bytes : size of the copied array, which is far larger than a cache.
    """

    multiply_adds_per_second: float
    bytes_per_second: float
    matrix_size: int
    copied_bytes: int


def measure_rates(device: torch.device, repeats: int) -> Rates:
    """The quickest of ``repeats`` products and copies."""
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(_SIZE, _SIZE, generator=generator).to(device) for _ in range(2))
    out = torch.empty_like(left)
    product = quickest(lambda: torch.mm(left, right, out=out), repeats, device)
    source = torch.ones(_FLOATS, device=device)
    target = torch.zeros_like(source)
    copy = quickest(lambda: target.copy_(source), repeats, device)
    copied = source.element_size() * _FLOATS
    return Rates(_SIZE**3 / product, 2 * copied / copy, _SIZE, copied)


def best_rates(one: Rates, other: Rates) -> Rates:
    """The higher of the rates of two measurements: what slowed the lower was not the device."""
    return replace(
        one,
        multiply_adds_per_second=max(one.multiply_adds_per_second, other.multiply_adds_per_second),
        bytes_per_second=max(one.bytes_per_second, other.bytes_per_second),
    )
