"""Activations of baselines and spectrum from one pass, in float64, for the zones around seams."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.attribution.occlusion.mixing import Sum
from engine.attribution.occlusion.network import Network
from models.local.differences import Terms, map_terms


@dataclass(frozen=True, eq=False)
class StageArrays:
    """What is known of one stage, per baseline and position; ``halo`` positions are padded before
    the first, and some after the last.

    x is the baseline with all good pixels of the spectrum pasted in, b the baseline.

    Attributes
    ----------
    halo : positions of padding before the first one.
    suffix : (M, halo + P + halo', kernel + 1, C), sums over the taps from t on of x - b at the
        stage's input; None for a layer that is no sum.
    base, change : b and x - b at the stage's input, padded likewise, for a layer that is no sum.
    mixed_base, mixed_change : b, for a layer that is no sum, and x - b, after the mixing layer.
    terms : of the pointwise layers, at b.
    """

    halo: int
    suffix: Tensor | None
    base: Tensor | None
    change: Tensor | None
    input_halo: int
    mixed_base: Tensor | None
    mixed_change: Tensor
    terms: Terms


@dataclass(frozen=True, eq=False)
class Activations:
    """All stages, and the pooling.

    Attributes
    ----------
    stages : one entry per stage.
    pooling_terms : of the pooling, at b, padded like the last stage.
    total : (M, P + 1, K) float64, contributions of x minus those of b, summed over the positions
        before each.
    sums : (M, 1, K), sums of b's contributions.
    head_terms : of the head, at b.
    tables : of the readout, for the flux x - b.
    readout_terms : of the readout, at b.
    """

    stages: tuple[StageArrays, ...]
    pooling_terms: Terms
    total: Tensor
    sums: Tensor
    head_terms: Terms
    tables: tuple[Tensor, ...]
    readout_terms: Terms


def activations(
    network: Network, spectrum: Tensor, baselines: Tensor, halos: list[tuple[int, int]], dtype: torch.dtype
) -> Activations:
    """Run baselines (M, N) and donors ``spectrum`` (M, N) through the network, both float64.

    ``halos`` holds the padding before and after the positions of the input and of every stage.
    """
    b, x = network.lift(baselines), network.lift(spectrum)
    stages: list[StageArrays] = []
    for number, stage in enumerate(network.stages):
        low, high = halos[number + 1]

        def padded(values: Tensor, low: int = low, high: int = high) -> Tensor:
            # Terms of the nearest position: there no rule divides by zero, and no change stays none.
            ends = values[:, :1].expand(-1, low, -1), values[:, -1:].expand(-1, high, -1)
            return torch.cat((ends[0], values, ends[1]), dim=1)

        mixing = stage.mixing
        suffix = base = change = None
        mixed_b = mixing.value(b)
        if isinstance(mixing, Sum):
            sums = mixing.suffixes(x - b)
            mixed_change = sums[0]
            suffix = sums.new_zeros(len(b), low + stage.positions + high, *sums.shape[::3], dtype=dtype)
            suffix[:, low : low + stage.positions] = sums.permute(1, 2, 0, 3)
        else:
            around = halos[number]
            base = nn.functional.pad(b, (0, 0, *around), value=-torch.inf)
            change = nn.functional.pad(x - b, (0, 0, *around))
            mixed_change = mixing.value(x) - mixed_b
        stages.append(
            StageArrays(
                halo=low,
                suffix=suffix,
                base=base,
                change=change,
                input_halo=halos[number][0],
                mixed_base=None if base is None else padded(mixed_b),
                mixed_change=nn.functional.pad(mixed_change.to(dtype), (0, 0, low, high)),
                terms=map_terms(padded, stage.pointwise.terms(mixed_b, dtype)),
            )
        )
        b, x = stage.pointwise.value(mixed_b), stage.pointwise.value(mixed_b + mixed_change)
    of_b = network.pooling.contributions(b)
    more = network.pooling.contributions(x) - of_b
    sums = of_b.sum(dim=1, keepdim=True)
    pooled = network.pooling.pooled(sums)
    tables: tuple[Tensor, ...] = ()
    readout_terms: Terms = ()
    if network.readout is not None:
        module = network.readout.module
        tables = module.tables(spectrum - baselines, dtype)
        of_baselines = module.of_flux(baselines)[:, None]
        readout_terms = network.readout.rule.terms(network.head.value(pooled), of_baselines, dtype)
    return Activations(
        stages=tuple(stages),
        pooling_terms=map_terms(padded, network.pooling.terms(b, dtype)),
        total=nn.functional.pad(more.cumsum(dim=1), (0, 0, 1, 0)),
        sums=sums.to(dtype),
        head_terms=network.head.terms(pooled, dtype),
        tables=tables,
        readout_terms=readout_terms,
    )
