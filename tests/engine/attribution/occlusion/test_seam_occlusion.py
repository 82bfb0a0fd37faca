"""Occlusion at the cost of its seams equals full forward passes, whatever the local network."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import Tensor, nn

from engine.attribution.baselines import drawn_calibration
from engine.attribution.memory import DEFAULT_MEMORY
from engine.attribution.occlusion.dense import DenseOccluder
from engine.attribution.occlusion.request import OcclusionRequest
from engine.attribution.occlusion.seams import SeamOccluder
from engine.attribution.occlusion.settings import OcclusionSettings, PresetName, Spacing, of_preset
from engine.attribution.occlusion.windows import Scale, dense_scales, scales_of
from models.errors import ConfigurationError, InputError
from models.local.additive_pooling import (
    AdditivePooling,
    AttentionPooling,
    JointPooling,
    LogSumExpPooling,
)
from models.local.local_layers import Bounded, PositionBias
from models.local.local_score import LocalScore
from models.scoring.density import ConditionedDensity, LatentDensity
from models.scoring.joint_score import JointScore
from models.scoring.scan_readout import ScanReadout
from models.scoring.searches import Searches
from models.weights import load_model
from tests.models.local.own_layers import AddChannel, ChannelNorm, MeanPooling, Pointwise, PositionScale

MEMORY = 2**26

EXACT = 1e-10
"""Largest error in float64, in units of 1 + the largest effect.

Both sides, the full passes too, round numbers of about 1 at 1e-16. Among 11000 random scales half
agreed to 1e-16 and all to 2.4e-12, the worst in steep densities; a wrong tap is an error of about 1.
"""

ROUNDED, SEAM_ROUNDED, HEAD_ROUNDED = 1e-4, 1e-5, 1e-7
"""Largest error in float32: so much of the effects' root mean square, of the largest effect of all that
lies on one side of a seam, and of 1.

float32 rounds at 6e-8, and half of 20000 random scales were right to 3e-7 of their root mean square. The
rest is cancellation: at the ends of the spectrum a seam's zone is subtracted again, and with heads that
are flat by chance features move a lot to little effect (then rounding of the features counts, hence a
share of 1). All of the 20000 kept within half of this.
"""

REAL_SIZE = 1e-4
"""For the shipped model, in units of the map's standard deviation: 2e-5 is usual at W = 1, 5e-6 beyond."""


class TwoChannels(nn.Module):
    """Flux, and flux in units that differ from pixel to pixel, squashed."""

    factor: Tensor

    def __init__(self, factor: Tensor) -> None:
        super().__init__()
        self.register_buffer("factor", factor)

    def forward(self, flux: Tensor) -> Tensor:
        return torch.stack((flux, torch.asinh(flux * self.factor)), dim=1)


@dataclass(frozen=True)
class Network:
    """What hypothesis draws and shows; :meth:`build` makes it in float64, with weights from ``seed``."""

    pixels: int
    seed: int
    lift: str
    layers: tuple[tuple[str, dict[str, object]], ...]
    positions: tuple[int, ...]
    pooling: tuple[str, ...]
    head: str

    def build(self) -> LocalScore:
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            return self._build().double().requires_grad_(False).eval()

    def _build(self) -> LocalScore:
        lift: Callable[[Tensor], Tensor] = AddChannel()
        channels = 1
        if self.lift == "two channels":
            lift, channels = TwoChannels(3 * torch.rand(self.pixels) + 0.1), 2
        elif self.lift == "function":
            lift = _one_channel
        layers: list[nn.Module] = []
        for (name, options), positions in zip(self.layers, self.positions, strict=True):
            layers.append(_layer(name, options, channels, positions))
            channels = int(str(options.get("channels", channels)))
        last = self.positions[-1] if self.positions else self.pixels
        features, parts = 0, []
        for name in self.pooling:
            pooling, size = _pooling(name, channels, last)
            parts.append(pooling)
            features += size
        pooling = parts[0] if len(parts) == 1 else JointPooling(parts)
        if self.head == "scan":
            return LocalScore(lift, layers, pooling, (nn.Linear(features, 4),), _scan(self.pixels))
        return LocalScore(lift, layers, pooling, _head(self.head, features))


def _one_channel(flux: Tensor) -> Tensor:
    return flux[:, None]


def _layer(name: str, options: dict[str, object], channels: int, positions: int) -> nn.Module:
    numbers = {key: int(str(value)) for key, value in options.items() if key != "channels"}
    after = int(str(options.get("channels", channels)))
    if name == "Conv1d":
        return nn.Conv1d(
            channels, after, bias=bool(numbers.pop("bias")), kernel_size=numbers.pop("kernel"), **numbers
        )
    if name == "AvgPool1d":
        include = bool(numbers.pop("count_include_pad"))
        return nn.AvgPool1d(numbers.pop("kernel"), count_include_pad=include, **numbers)
    if name == "MaxPool1d":
        return nn.MaxPool1d(numbers.pop("kernel"), **numbers)
    if name == "BatchNorm1d":
        norm = nn.BatchNorm1d(channels).eval()
        for values in (norm.running_var, norm.weight):
            values.data.uniform_(0.3, 2.0)
        for values in (norm.running_mean, norm.bias):
            values.data.normal_()
        return norm
    return {
        "ReLU": nn.ReLU,
        "LeakyReLU": lambda: nn.LeakyReLU(0.1),
        "PReLU": lambda: _per_channel_slope(channels),
        "Tanh": nn.Tanh,
        "Sigmoid": nn.Sigmoid,
        "GELU": nn.GELU,
        "SiLU": nn.SiLU,
        "ELU": nn.ELU,
        "Softplus": nn.Softplus,
        "ChannelNorm": lambda: ChannelNorm(channels, eps=0.1),
        "PositionBias": lambda: PositionBias(torch.randn(channels, positions)),
        "PositionScale": lambda: PositionScale(torch.rand(positions) + 0.5),
        "Bounded": lambda: Bounded(2.0),
        "Pointwise": lambda: Pointwise(nn.Sequential(nn.Conv1d(channels, after, 1), nn.Mish())),
    }[name]()


def _per_channel_slope(channels: int) -> nn.PReLU:
    slopes = nn.PReLU(channels)
    nn.init.uniform_(slopes.weight, -0.5, 1.5)
    return slopes


def _pooling(name: str, channels: int, positions: int) -> tuple[AdditivePooling, int]:
    if name == "mean":
        return MeanPooling(positions), channels
    if name == "attention":
        heads = 2 if channels % 2 == 0 else 1
        logits = nn.Conv1d(channels, heads, 1)
        bias = PositionBias(torch.randn(heads, positions))
        return AttentionPooling((logits, Bounded(3.0), bias), heads), channels
    features = (nn.Conv1d(channels, 4, 1), nn.LeakyReLU(0.2), nn.Conv1d(4, 3, 1), Bounded(3.0))
    return LogSumExpPooling(features, 3), 3


def _density() -> ConditionedDensity:
    density = LatentDensity(3, transforms=2, hidden=(8,))
    density.centre.normal_(0, 0.3)
    density.scale.uniform_(0.2, 1.0)
    return density.given(torch.randn(1, 2))


def _scan(pixels: int) -> ScanReadout:
    """Cells of any place and width, some of them without a good pixel, and templates of every cause."""
    sizes = (7, 5, 1, 3, 2, 1, 1, 2, 1, 1, 2, 1, 1, 1, 1, 2)
    cells, modes, templates = sum(sizes[:2]), 2, sum(sizes[2:])
    ends = torch.randint(0, pixels + 1, (2, cells)).sort(dim=0).values
    shares = torch.rand(cells + templates) * (torch.rand(cells + templates) > 0.2)
    for first in np.cumsum((0, *sizes[:-1])).tolist():
        shares[first] = 0.3
    joint = JointScore(2)
    # Tails that differ, of the exponential law that is there before anything is fitted.
    for number, part in enumerate(joint.parts):
        part.median.coefficients[:5] = 0.3 * number
        part.log_width.coefficients[:5] = 1.0
    joint.widening.log_widening[2:] = torch.linspace(-1.0, 1.5, joint.widening.log_widening.shape[1])
    return ScanReadout(
        density=_density(),
        hidden=nn.Sequential(nn.Linear(3, 5), nn.LeakyReLU(0.1)),
        drawn=torch.randn(cells + templates + modes, 5),
        offset=torch.randn(cells + templates + modes),
        scale=0.5 + torch.rand(cells),
        template_scale=0.3 * torch.randn(templates),
        mixing=0.3 * torch.randn(modes, cells + templates + modes),
        searches=Searches(
            sizes,
            torch.log(shares),
            torch.where(torch.rand(len(sizes)) > 0.5, torch.randn(len(sizes)), -torch.inf),
            (1.0, 1.0, 3.0, *(1.0,) * 13),
            (0, 0, *(0, 1) * 7),
        ),
        joint=joint,
        depth=torch.tensor(3.0),
        redshift=torch.tensor(0.2),
        misfit=torch.tensor(3.0),
        weight=torch.rand(pixels) * (torch.rand(pixels) > 0.1),
        starts=ends[0],
        stops=ends[1],
        profiles=torch.randn(pixels, modes + templates),
    )


def _head(name: str, features: int) -> tuple[nn.Module, ...]:
    if name == "density":
        return nn.Linear(features, 3), _density()
    curve = nn.Tanh() if name == "tanh" else nn.LeakyReLU(0.1)
    return nn.Linear(features, 6), curve, nn.Linear(6, 1), nn.Flatten(0)


POINTWISE = (
    "ReLU", "LeakyReLU", "PReLU", "Tanh", "Sigmoid", "GELU", "SiLU", "ELU", "Softplus", "BatchNorm1d",
    "ChannelNorm", "PositionBias", "PositionScale", "Bounded", "Pointwise",
)  # fmt: skip
MIXING = ("Conv1d", "Conv1d", "AvgPool1d", "MaxPool1d")


def count(positions: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """How many positions a mixing layer leaves; 0 if there is no room for its kernel."""
    return max((positions + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1, 0)


def positions_looked_at(
    positions: int, outputs: int, kernel: int, stride: int, padding: int, dilation: int
) -> list[list[int]]:
    """For every output, which of the real inputs it looks at."""
    first = [output * stride - padding for output in range(outputs)]
    taps = [[start + dilation * tap for tap in range(kernel)] for start in first]
    return [[tap for tap in own if 0 <= tap < positions] for own in taps]


@st.composite
def mixing_layers(
    draw: st.DrawFn, channels: int, positions: int, kinds: Sequence[str], gaps: bool
) -> tuple[str, dict[str, object], int]:
    name = draw(st.sampled_from(kinds))
    kernel = draw(st.integers(1, 9))
    stride = draw(st.integers(1, 4 if gaps else min(kernel, 4)))
    dilation = draw(st.integers(1, 2)) if gaps and name != "AvgPool1d" else 1
    padding = draw(st.integers(0, kernel if name == "Conv1d" else kernel // 2))
    left = count(positions, kernel, stride, padding, dilation)
    looked_at = positions_looked_at(positions, left, kernel, stride, padding, dilation)
    # A maximum over padding alone is minus infinity: nobody's network has one.
    if left < 1 or (name == "MaxPool1d" and not all(looked_at)):
        kernel, stride, padding, dilation, left = 1, 1, 0, 1, positions
    options: dict[str, object] = {"kernel": kernel, "stride": stride, "padding": padding}
    if name != "AvgPool1d":
        options["dilation"] = dilation
    if name == "AvgPool1d":
        options["count_include_pad"] = int(draw(st.booleans()))
    if name == "Conv1d":
        options["channels"] = draw(st.sampled_from((2, 3, 4, 6)))
        both_even = channels % 2 == 0 and int(str(options["channels"])) % 2 == 0
        options["groups"] = draw(st.integers(1, 2)) if both_even else 1
        options["bias"] = int(draw(st.booleans()))
    return name, options, left


@st.composite
def networks(
    draw: st.DrawFn,
    first: str | None = None,
    most_layers: int = 4,
    least_pixels: int = 5,
    gaps: bool = True,
) -> Network:
    """``gaps`` between the pixels that neighbouring positions look at: strides beyond kernels, dilation."""
    pixels = draw(st.one_of(st.integers(least_pixels, 40), st.integers(least_pixels, 150)))
    lift = draw(st.sampled_from(("one channel", "two channels", "function")))
    channels, positions = (2 if lift == "two channels" else 1), pixels
    layers: list[tuple[str, dict[str, object]]] = []
    counts: list[int] = []

    def pointwise(most: int) -> None:
        nonlocal channels
        for name in draw(st.lists(st.sampled_from(POINTWISE), max_size=most)):
            options: dict[str, object] = {}
            if name == "Pointwise":
                options["channels"] = channels = draw(st.integers(1, 4))
            layers.append((name, options))
            counts.append(positions)

    if first is None:
        pointwise(1)
    for number in range(draw(st.integers(0 if first is None else 1, most_layers))):
        kinds = (first,) if first is not None and number == 0 else MIXING
        name, options, positions = draw(mixing_layers(channels, positions, kinds, gaps))
        channels = int(str(options.get("channels", channels)))
        layers.append((name, options))
        counts.append(positions)
        pointwise(2)
    return Network(
        pixels=pixels,
        seed=draw(st.integers(0, 2**16)),
        lift=lift,
        layers=tuple(layers),
        positions=tuple(counts),
        pooling=tuple(
            draw(st.lists(st.sampled_from(("mean", "attention", "log-sum-exp")), min_size=1, max_size=2))
        ),
        head=draw(st.sampled_from(("tanh", "leaky", "density", "scan", "scan"))),
    )


@st.composite
def masks(draw: st.DrawFn, pixels: int) -> np.ndarray:
    """True where a pixel is good: any share, in single pixels and in blocks."""
    kind = draw(st.sampled_from(("none masked", "none masked", "scattered", "blocks", "all masked")))
    good = np.full(pixels, kind != "all masked")
    if kind == "scattered":
        random = np.random.default_rng(draw(st.integers(0, 2**16)))
        good = random.random(pixels) >= draw(st.floats(0.0, 0.5))
    if kind == "blocks":
        for _ in range(draw(st.integers(1, 3))):
            start = draw(st.integers(0, pixels - 1))
            good[start : start + draw(st.integers(1, max(pixels // 4, 1)))] = False
    return good


def make_request(
    pixels: int, good: np.ndarray, seed: int, baselines: int, dtype: torch.dtype = torch.float64
) -> OcclusionRequest:
    """A spectrum that differs everywhere from smooth baselines; masked pixels hold nothing finite."""
    random = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random, dtype=torch.float64)

    wave = torch.linspace(0, 3, pixels, dtype=torch.float64)
    typical = 1 + 0.5 * normal(baselines, 1) + 0.3 * torch.sin(3 * wave + 2 * normal(baselines, 1))
    spectrum = typical[0] + 0.4 * normal(pixels)
    spectrum[int(torch.randint(pixels, (), generator=random))] += 4
    mask = torch.from_numpy(good)
    return OcclusionRequest(torch.where(mask, spectrum, torch.nan).to(dtype), typical.to(dtype), mask)


@st.composite
def requests(draw: st.DrawFn, network: Network, dtype: torch.dtype) -> OcclusionRequest:
    good = draw(masks(network.pixels))
    return make_request(network.pixels, good, draw(st.integers(0, 2**16)), draw(st.integers(1, 4)), dtype)


def ranges(start: Sequence[int] | np.ndarray, stop: Sequence[int] | np.ndarray, pixels: int) -> Scale:
    """A scale of just these half-open ranges, which speaks for no pixel."""
    first, last = np.asarray(start, dtype=np.int64), np.asarray(stop, dtype=np.int64)
    return Scale(0, first, last, np.full(pixels, -1))


@st.composite
def scale_lists(draw: st.DrawFn, request: OcclusionRequest) -> list[Scale]:
    pixels = request.pixels
    kind = draw(st.sampled_from((*get_args(Spacing), "ranges")))
    if kind == "ranges":
        pair = st.lists(st.integers(0, pixels), min_size=2, max_size=2, unique=True).map(sorted)
        pieces = draw(st.lists(st.lists(pair, max_size=12), min_size=1, max_size=3))
        return [ranges([p[0] for p in piece], [p[1] for p in piece], pixels) for piece in pieces]
    widths = st.one_of(st.integers(1, 12), st.integers(1, 60), st.integers(1, 200))
    windows = sorted(draw(st.sets(widths, min_size=1, max_size=4)))
    scales = scales_of(OcclusionSettings(spacing=kind, windows=tuple(windows)), pixels)
    if draw(st.booleans()):
        return [scale.pasting(request.good.numpy()) for scale in scales]
    return list(scales)


def dense(score: LocalScore, request: OcclusionRequest, scales: Sequence[Scale]) -> list[Tensor]:
    """Whole passes of a score in float64, one for each baseline and distinct window; (M, n) per scale."""
    pixels = torch.arange(request.pixels)
    table = np.concatenate([np.stack((scale.start, scale.stop), axis=1) for scale in scales])
    distinct, inverse = np.unique(table, axis=0, return_inverse=True)
    start, stop = torch.from_numpy(distinct).T[:, :, None]
    inside = (pixels >= start) & (pixels < stop) & request.good
    rows = []
    with torch.no_grad():
        for baseline in request.baselines.double():
            pasted = torch.where(inside, request.spectrum.double(), baseline)
            values = [score(piece) for piece in pasted.split(512) if len(piece)]
            rows.append(score(baseline[None]) - torch.cat([baseline.new_zeros(0), *values]))
    every = torch.stack(rows)[:, torch.from_numpy(inverse.reshape(-1))]
    return list(every.split([len(scale) for scale in scales], dim=1))


@dataclass(frozen=True)
class Case:
    """A network, a request, and windows; shown as far as it takes to tell cases apart."""

    network: Network
    score: LocalScore = field(repr=False)
    request: OcclusionRequest = field(repr=False)
    scales: list[Scale] = field(repr=False)
    masked: list[int]
    windows: list[list[tuple[int, int]]]

    def occluded(self, memory_bytes: int = MEMORY) -> list[Tensor]:
        return SeamOccluder(self.score, memory_bytes).differences(self.request, self.scales)


@st.composite
def cases(
    draw: st.DrawFn,
    dtype: torch.dtype = torch.float64,
    first: str | None = None,
    most_layers: int = 4,
    least_pixels: int = 5,
) -> Case:
    network = draw(networks(first, most_layers, least_pixels))
    request = draw(requests(network, dtype))
    score = network.build()
    scales = draw(scale_lists(request))
    masked = (~request.good).nonzero()[:, 0].tolist()
    windows = [list(zip(scale.start.tolist(), scale.stop.tolist(), strict=True))[:8] for scale in scales]
    return Case(network, score, request, scales, masked, windows)


def convolution(
    kernel: int, stride: int, padding: int, channels: int, dilation: int = 1, groups: int = 1
) -> dict[str, object]:
    shape = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    return {**shape, "channels": channels, "groups": groups, "bias": 1}


def pooled(kernel: int, stride: int, padding: int = 0) -> dict[str, object]:
    return {"kernel": kernel, "stride": stride, "padding": padding}


def every_piece(pixels: int) -> list[Scale]:
    """Two scales: all prefixes and all suffixes, the pieces on either side of every seam."""
    seams = np.arange(pixels + 1)
    return [ranges(0 * seams, seams, pixels), ranges(seams, 0 * seams + pixels, pixels)]


def check_exact(case: Case) -> None:
    wanted = dense(case.score, case.request, case.scales)
    found = case.occluded()
    assert [part.shape for part in found] == [part.shape for part in wanted]
    for have, want in zip(found, wanted, strict=True):
        assert have.dtype == torch.float64
        assert (have - want).abs().amax() <= EXACT * (1 + want.abs().amax()) if want.numel() else True


def check_rounded(case: Case) -> None:
    count = len(case.scales)
    wanted = dense(case.score, case.request, [*case.scales, *every_piece(case.request.pixels)])
    of_a_seam = torch.cat(wanted[count:], dim=1).abs().amax(dim=1)
    for have, want in zip(case.occluded(), wanted[:count], strict=True):
        assert have.dtype == torch.float32
        if want.numel():
            error = (have.double() - want).abs().amax(dim=1)
            assert (
                error <= ROUNDED * want.square().mean(dim=1).sqrt() + SEAM_ROUNDED * of_a_seam + HEAD_ROUNDED
            ).all()


@given(cases())
@hypothesis_settings(max_examples=150)
def test_equals_whole_passes(case: Case) -> None:
    check_exact(case)


@given(cases(torch.float32))
@hypothesis_settings(max_examples=60)
def test_float32_equals_whole_passes_to_rounding(case: Case) -> None:
    check_rounded(case)


@pytest.mark.slow
@given(cases(most_layers=5, least_pixels=40))
@hypothesis_settings(max_examples=80)
def test_equals_whole_passes_in_many_more_cases(case: Case) -> None:
    check_exact(case)


@pytest.mark.slow
@given(cases(torch.float32, most_layers=5, least_pixels=40))
@hypothesis_settings(max_examples=50)
def test_float32_equals_whole_passes_to_rounding_in_many_more_cases(case: Case) -> None:
    check_rounded(case)


@given(cases(first="MaxPool1d"))
@hypothesis_settings(max_examples=40)
def test_a_maximum_may_come_first(case: Case) -> None:
    check_exact(case)


@given(cases(most_layers=0))
@hypothesis_settings(max_examples=30)
def test_no_layer_need_look_at_neighbours(case: Case) -> None:
    assert not any(name in MIXING for name, _ in case.network.layers)
    check_exact(case)


def stack(*layers: tuple[str, dict[str, object]], head: str = "density") -> Network:
    """Layers on 50 pixels, with everything else as rich as it gets."""
    counts, positions = [], 50
    for name, options in layers:
        if name in MIXING:
            n = {key: int(str(value)) for key, value in options.items()}
            positions = count(positions, n["kernel"], n["stride"], n["padding"], n.get("dilation", 1))
        counts.append(positions)
    return Network(50, 1, "two channels", layers, tuple(counts), ("attention", "log-sum-exp"), head)


STACKS = {
    "of many kinds": stack(
        ("Conv1d", convolution(5, 2, 2, 4, groups=2)),
        ("GELU", {}),
        ("MaxPool1d", pooled(3, 1, 1)),
        ("BatchNorm1d", {}),
        ("Conv1d", convolution(3, 2, 2, 4, dilation=2)),
        ("PositionBias", {}),
        ("LeakyReLU", {}),
        ("AvgPool1d", {**pooled(2, 1, 1), "count_include_pad": 0}),
    ),
    "of stride 1": stack(
        ("Conv1d", convolution(5, 1, 2, 4)), ("SiLU", {}), ("Conv1d", convolution(3, 1, 1, 4)), ("Tanh", {})
    ),
    "of stride 2": stack(
        ("Conv1d", convolution(4, 2, 1, 4)), ("Tanh", {}), ("Conv1d", convolution(5, 1, 0, 4)), ("ELU", {})
    ),
    "of stride 3": stack(
        ("Conv1d", convolution(2, 1, 1, 4)), ("ReLU", {}), ("Conv1d", convolution(6, 3, 4, 6)), ("GELU", {})
    ),
    "of stride 6": stack(
        ("AvgPool1d", {**pooled(3, 3, 1), "count_include_pad": 1}),
        ("Tanh", {}),
        ("Conv1d", convolution(4, 2, 3, 4)),
        ("Softplus", {}),
    ),
    "of one layer": stack(("Conv1d", convolution(7, 1, 3, 4)), ("Bounded", {})),
    "with holes": stack(
        ("Conv1d", convolution(2, 3, 2, 4)), ("GELU", {}), ("Conv1d", convolution(3, 1, 2, 4, dilation=2))
    ),
    "with a maximum last": stack(
        ("Conv1d", convolution(4, 2, 2, 4)), ("ChannelNorm", {}), ("MaxPool1d", pooled(3, 2, 1))
    ),
    "with a readout": stack(
        ("Conv1d", convolution(5, 2, 2, 4)), ("SiLU", {}), ("Conv1d", convolution(3, 1, 1, 4)), head="scan"
    ),
    "of maxima": stack(("MaxPool1d", pooled(3, 2, 1)), ("Tanh", {}), ("MaxPool1d", pooled(2, 1))),
}


@pytest.mark.parametrize("name", STACKS)
def test_every_window_there_is(name: str) -> None:
    """All 1275 of them, so that no width or place is left out that a rule might be off by one at."""
    good = np.ones(50, dtype=np.bool_)
    good[[7, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 49]] = False
    scales = [ranges(*np.triu_indices(51, k=1), 50)]
    network = STACKS[name]
    for dtype in (torch.float64, torch.float32):
        case = Case(network, network.build(), make_request(50, good, 3, 2, dtype), scales, [], [])
        (check_exact if dtype == torch.float64 else check_rounded)(case)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_more_baselines_than_are_worked_on_at_once(dtype: torch.dtype) -> None:
    network = example_network(61)
    request = make_request(61, np.ones(61, dtype=np.bool_), 0, 19, dtype)
    scales = list(dense_scales((1, 5, 32), 61))
    case = Case(network, network.build(), request, scales, [], [])
    (check_exact if dtype == torch.float64 else check_rounded)(case)


def example_network(pixels: int, head: str = "density") -> Network:
    half = count(pixels, 5, 2, 2, 1)
    quarter = count(half, 4, 2, 2, 1)
    first, second = convolution(5, 2, 2, 4), convolution(4, 2, 2, 6)
    return Network(
        pixels=pixels,
        seed=5,
        lift="one channel",
        layers=(("Conv1d", first), ("SiLU", {}), ("Conv1d", second), ("LeakyReLU", {})),
        positions=(half, half, quarter, quarter),
        pooling=("attention", "log-sum-exp"),
        head=head,
    )


@given(cases(torch.float32))
@hypothesis_settings(max_examples=15)
def test_baselines_do_not_know_of_each_other(case: Case) -> None:
    double = replace(
        case.request, spectrum=case.request.spectrum.double(), baselines=case.request.baselines.double()
    )
    for request, tolerance in ((case.request, 1e-5), (double, 1e-11)):
        together = SeamOccluder(case.score, MEMORY).differences(request, case.scales)
        for number in range(len(request.baselines)):
            alone = replace(request, baselines=request.baselines[number : number + 1])
            for whole, own in zip(
                together, SeamOccluder(case.score, MEMORY).differences(alone, case.scales), strict=True
            ):
                largest = float(whole.abs().max()) if whole.numel() else 0.0
                torch.testing.assert_close(
                    own[0], whole[number], rtol=tolerance, atol=tolerance * (largest + 0.1), equal_nan=True
                )


@given(cases(torch.float32))
@hypothesis_settings(max_examples=15)
def test_memory_changes_no_more_than_rounding(case: Case) -> None:
    plenty = case.occluded(2**40)
    for budget in (1, 2**14, 2**18, 2**22):
        try:
            tight = case.occluded(budget)
        except ConfigurationError as error:
            assert str(budget) in str(error)  # noqa: PT017
            continue
        for some, more in zip(tight, plenty, strict=True):
            largest = float(more.abs().max()) if more.numel() else 0.0
            torch.testing.assert_close(some, more, rtol=1e-5, atol=1e-5 * (largest + 0.1), equal_nan=True)


def seen(network: Network) -> np.ndarray:
    """Which pixels any position looks at, layer by layer from the last."""
    inputs, steps = network.pixels, []
    for (name, options), outputs in zip(network.layers, network.positions, strict=True):
        if name in MIXING:
            n = {key: int(str(value)) for key, value in options.items()}
            shape = (n["kernel"], n["stride"], n["padding"], n.get("dilation", 1))
            steps.append((inputs, positions_looked_at(inputs, outputs, *shape)))
            inputs = outputs
    looked_at = np.ones(inputs, dtype=np.bool_)
    for before, taps in reversed(steps):
        below = np.zeros(before, dtype=np.bool_)
        below[[tap for own, used in zip(taps, looked_at, strict=True) if used for tap in own]] = True
        looked_at = below
    return looked_at


@given(networks(first="Conv1d", gaps=False), st.data())
@hypothesis_settings(max_examples=60)
def test_what_the_model_cannot_see_has_no_effect_at_all(network: Network, data: st.DataObject) -> None:
    """Not even of rounding: a few pixels at the end, where one more position would not fit."""
    if network.head == "scan":
        network = replace(network, head="tanh")  # a scan sees every pixel
    request = data.draw(requests(network, torch.float32))
    before = np.concatenate(([0], np.cumsum(seen(network))))
    start, stop = np.triu_indices(network.pixels + 1, k=1)
    idle = before[stop] == before[start]
    # Some that are seen too, so that zones of many kinds are there.
    start, stop = (np.concatenate((ends[idle], ends[~idle][::7])) for ends in (start, stop))
    found = SeamOccluder(network.build(), MEMORY).differences(request, [ranges(start, stop, request.pixels)])
    assert (found[0][:, : int(idle.sum())] == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_pixels_after_the_last_position_have_no_effect_at_all(dtype: torch.dtype) -> None:
    network = Network(
        pixels=31,
        seed=0,
        lift="two channels",
        layers=(("Conv1d", convolution(4, 4, 0, 4)), ("GELU", {}), ("MaxPool1d", pooled(2, 1)), ("SiLU", {})),
        positions=(7, 7, 6, 6),
        pooling=("attention", "log-sum-exp"),
        head="density",
    )
    assert np.flatnonzero(~seen(network)).tolist() == [28, 29, 30]
    request = make_request(31, np.ones(31, dtype=np.bool_), 0, 3, dtype)
    windows = [(28, 29), (29, 30), (30, 31), (28, 30), (29, 31), (28, 31), (27, 28), (20, 31)]
    scales = [ranges([start for start, _ in windows], [stop for _, stop in windows], 31)]
    found = SeamOccluder(network.build(), MEMORY).differences(request, scales)[0]
    assert (found[:, :6] == 0).all()
    assert (found[:, 6:] != 0).all()


@given(cases(torch.float32))
@hypothesis_settings(max_examples=30)
def test_a_spectrum_equal_to_its_baseline_has_no_effect_at_all(case: Case) -> None:
    same = replace(
        case.request,
        spectrum=case.request.baselines[0],
        baselines=case.request.baselines[:1].repeat(3, 1),
        good=torch.ones_like(case.request.good),
    )
    for request in (same, replace(same, spectrum=same.spectrum.double(), baselines=same.baselines.double())):
        for part in SeamOccluder(case.score, MEMORY).differences(request, case.scales):
            assert (part == 0).all()


@given(cases(torch.float32))
@hypothesis_settings(max_examples=20)
def test_what_masked_pixels_hold_does_not_matter(case: Case) -> None:
    request = case.request
    other = replace(request, spectrum=torch.where(request.good, request.spectrum, -torch.inf))
    for some, same in zip(
        case.occluded(), SeamOccluder(case.score, MEMORY).differences(other, case.scales), strict=True
    ):
        torch.testing.assert_close(same, some, rtol=0, atol=0, equal_nan=True)


def test_one_occluder_serves_spectra_of_many_lengths_and_keeps_its_hands_off_them() -> None:
    score = LocalScore(
        AddChannel(),
        [nn.Conv1d(1, 4, 5, 2, padding=2), nn.GELU(), nn.Conv1d(4, 4, 3, padding=1), nn.Tanh()],
        AttentionPooling([nn.Conv1d(4, 2, 1)], 2),
        (nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 1), nn.Flatten(0)),
    )
    weights, double = copy.deepcopy(score.state_dict()), copy.deepcopy(score).double()
    occluder = SeamOccluder(score, MEMORY)
    for pixels in (40, 7, 93, 40):
        for dtype in (torch.float32, torch.float64):
            request = make_request(pixels, np.arange(pixels) % 5 != 0, pixels, 2, dtype)
            kept = copy.deepcopy(request)
            scales = list(dense_scales((1, 6, 20), pixels))
            for have, want in zip(
                occluder.differences(request, scales), dense(double, request, scales), strict=True
            ):
                assert have.dtype == dtype
                assert not have.requires_grad
                torch.testing.assert_close(have.double(), want, rtol=1e-5, atol=1e-7)
            for name in ("spectrum", "baselines", "good"):
                torch.testing.assert_close(
                    getattr(request, name), getattr(kept, name), rtol=0, atol=0, equal_nan=True
                )
    torch.testing.assert_close(score.state_dict(), weights, rtol=0, atol=0)


def test_a_score_without_parameters_is_still_taken_to_float64() -> None:
    """Its numbers are in buffers, which are float32 as they come."""
    norm = nn.BatchNorm1d(1, affine=False).eval()
    norm.running_mean.fill_(0.3)
    norm.running_var.fill_(0.7)
    softly = LogSumExpPooling([nn.Identity()], 1)
    score = LocalScore(AddChannel(), [nn.AvgPool1d(3, 2, 1), norm, nn.Softsign()], softly, (nn.Flatten(0),))
    request = make_request(30, np.ones(30, dtype=np.bool_), 0, 2)
    scales = list(dense_scales((1, 4), 30))
    found = SeamOccluder(score, MEMORY).differences(request, scales)
    assert norm.running_var.dtype == torch.float32
    for have, want in zip(found, dense(score.double(), request, scales), strict=True):
        torch.testing.assert_close(have, want, rtol=0, atol=1e-12)


def test_a_spectrum_too_short_is_refused() -> None:
    score = LocalScore(
        AddChannel(),
        [nn.Conv1d(1, 3, 5), nn.ReLU(), nn.MaxPool1d(8)],
        MeanPooling(1),
        (nn.Linear(3, 1), nn.Flatten(0)),
    )
    request = make_request(9, np.ones(9, dtype=np.bool_), 0, 2)
    with pytest.raises(InputError) as caught:
        SeamOccluder(score, MEMORY).differences(request, dense_scales((1,), 9))
    assert caught.value.kind == "spectrum-too-short"
    for piece in (
        "The spectrum is too short for the encoder's layers.",
        "MaxPool1d(kernel_size=8",
        "9 pixels, of which 5 positions reach this layer",
        "at least one position after every layer",
        "Use spectra on the grid that the model was made for.",
    ):
        assert piece in str(caught.value)


def test_no_windows_give_no_differences() -> None:
    network = example_network(30)
    request = make_request(30, np.ones(30, dtype=np.bool_), 0, 3, torch.float32)
    occluder = SeamOccluder(network.build(), MEMORY)
    assert occluder.differences(request, []) == []
    empty = occluder.differences(request, [ranges([], [], 30), ranges([], [], 30)])
    assert [part.shape for part in empty] == [(3, 0), (3, 0)]
    assert all(part.dtype == torch.float32 for part in empty)
    some = occluder.differences(request, [ranges([], [], 30), ranges([3], [9], 30), ranges([], [], 30)])
    assert [part.shape for part in some] == [(3, 0), (3, 1), (3, 0)]
    fully_masked = replace(request, good=torch.zeros_like(request.good))
    scales = [scale.pasting(fully_masked.good.numpy()) for scale in dense_scales((1, 8), 30)]
    assert [part.shape for part in occluder.differences(fully_masked, scales)] == [(3, 0), (3, 0)]


def test_agrees_with_the_dense_occluder_on_the_same_scales() -> None:
    """The two can stand in for each other: same shapes, same types, same order of windows."""
    score = example_network(80).build().float()
    request = make_request(80, np.arange(80) % 11 != 3, 4, 3, torch.float32)
    for spacing in get_args(Spacing):
        settings = OcclusionSettings(spacing=spacing, windows=(1, 4, 16, 64))
        scales = [scale.pasting(request.good.numpy()) for scale in scales_of(settings, 80)]
        fast = SeamOccluder(score, MEMORY).differences(request, scales)
        slow = DenseOccluder(score, MEMORY).differences(request, scales)
        for have, want in zip(fast, slow, strict=True):
            assert (have.shape, have.dtype, have.device) == (want.shape, want.dtype, want.device)
            torch.testing.assert_close(have, want, rtol=0, atol=1e-4 * float(want.abs().max()))


@pytest.mark.parametrize(("preset", "masked"), [("nearest", 0.1), ("paper", 0.1), ("reference-code", 0.0)])
def test_the_shipped_model_at_real_size(preset: PresetName, masked: float) -> None:
    """Windows here and there, at the ends too; W = 1, whose effects are smallest, is no exception."""
    model = load_model("desi-galaxy").requires_grad_(False)
    redshift, pixels = 0.2, 7781
    settings = of_preset(preset, baselines=2)
    random = torch.Generator().manual_seed(0)
    baselines = model.baselines(
        redshift, drawn_calibration(model.calibration_size, settings.baselines, settings.seed)
    )
    ivar = 25 * (0.5 + torch.rand(pixels, generator=random))
    ivar[5000:5040] /= 400  # errors beyond those that the encoder sees
    spectrum = (
        model.baselines(redshift, np.array([700]))[0] + torch.randn(pixels, generator=random) / ivar.sqrt()
    )
    spectrum[3000:3010] += 2
    good = torch.rand(pixels, generator=random) >= masked
    request = OcclusionRequest(spectrum, baselines, good)
    score = model.conditioned(spectrum, ivar * good, redshift)
    scales = [scale.pasting(good.numpy()) for scale in scales_of(settings, pixels)]
    found = SeamOccluder(score, DEFAULT_MEMORY).differences(request, scales)

    chosen = []
    for scale in scales:
        ends = [0, 1, 2, len(scale) - 2, len(scale) - 1]
        middle = np.random.default_rng(1).integers(0, len(scale), 12)
        index = np.unique(np.clip([*ends, *middle], 0, len(scale) - 1))
        chosen.append(index)
    some = [ranges(s.start[index], s.stop[index], pixels) for s, index in zip(scales, chosen, strict=True)]
    wanted = dense(copy.deepcopy(score).double(), request, some)
    for have, want, index in zip(found, wanted, chosen, strict=True):
        error = (have[:, torch.from_numpy(index)].double() - want).abs().amax(dim=1)
        assert (error < REAL_SIZE * have.double().std(dim=1)).all()
