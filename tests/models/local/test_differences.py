"""Rules of differences: what a change does, however small, without subtracting nearly equal numbers."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from models.local.differences import Chain, Difference, difference, evaluated, linear, map_terms, scale, shift
from models.local.local_layers import Bounded, PositionBias
from models.scoring.density import ConditionedDensity, LatentDensity
from models.scoring.encoder import EncoderHead, EncoderSettings
from tests.models.local.own_layers import ChannelNorm, Pointwise, PositionScale

CHANNELS, POSITIONS = 4, 50


def random_slopes() -> nn.PReLU:
    slopes = nn.PReLU(CHANNELS)
    slopes.weight.data = torch.tensor([0.25, -0.5, 1.5, 0.0])
    return slopes


def norm(affine: bool = True) -> nn.BatchNorm1d:
    layer = nn.BatchNorm1d(CHANNELS, affine=affine).eval()
    layer.running_mean.normal_()
    layer.running_var.uniform_(0.2, 3)
    if affine:
        nn.init.normal_(layer.weight)
        nn.init.normal_(layer.bias)
    return layer


def encoder_head() -> nn.Module:
    settings = EncoderSettings(latents=2, novelty=1, channels=(CHANNELS - 1,), kernels=(1,), strides=(1,))
    perceptron = nn.Sequential(nn.Linear(CHANNELS - 1, 5), nn.LeakyReLU(0.1), nn.Linear(5, 3))
    return EncoderHead(perceptron, settings)


def density() -> ConditionedDensity:
    flow = LatentDensity(CHANNELS, transforms=3, hidden=(16, 16))
    flow.standardise(torch.randn(200, CHANNELS) * 1.5 + 0.3, torch.rand(200) + 1, torch.rand(200))
    return flow.given(flow.context(torch.tensor([1.3]), torch.tensor([0.4])))


@dataclass(frozen=True)
class Layer:
    """A module, and whether it takes (B, C, P) rather than (n, C)."""

    make: Callable[[], nn.Module]
    channels_first: bool = False


ACTIVATIONS = (
    nn.Identity, nn.ReLU, nn.LeakyReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Tanh,
    nn.Sigmoid, nn.LogSigmoid, nn.Softplus, nn.Softsign, nn.Tanhshrink, nn.Hardtanh, nn.Hardswish,
    nn.Hardsigmoid, nn.Softshrink, nn.ReLU6, nn.PReLU,
)  # fmt: skip
LAYERS = {
    **{kind.__name__: Layer(kind) for kind in ACTIVATIONS},
    "RReLU": Layer(lambda: nn.RReLU().eval()),
    "Dropout": Layer(lambda: nn.Dropout(0.5).eval()),
    "LeakyReLU negative": Layer(lambda: nn.LeakyReLU(-0.3)),
    "PReLU per channel": Layer(random_slopes, channels_first=True),
    "Linear": Layer(lambda: nn.Linear(CHANNELS, 3)),
    "Linear without bias": Layer(lambda: nn.Linear(CHANNELS, 3, bias=False)),
    "Conv1d of one pixel": Layer(lambda: nn.Conv1d(CHANNELS, 6, 1), channels_first=True),
    "Conv1d in groups": Layer(lambda: nn.Conv1d(CHANNELS, 6, 1, groups=2), channels_first=True),
    "BatchNorm1d": Layer(norm, channels_first=True),
    "BatchNorm1d plain": Layer(lambda: norm(affine=False), channels_first=True),
    "Bounded": Layer(lambda: Bounded(2.5)),
    "ChannelNorm": Layer(lambda: ChannelNorm(CHANNELS), channels_first=True),
    "PositionBias": Layer(lambda: PositionBias(torch.randn(CHANNELS, POSITIONS)), channels_first=True),
    "PositionScale": Layer(lambda: PositionScale(torch.randn(POSITIONS)), channels_first=True),
    "Pointwise": Layer(
        lambda: Pointwise(nn.Sequential(nn.Conv1d(CHANNELS, 3, 1), nn.Softplus())), channels_first=True
    ),
    "Sequential": Layer(
        lambda: nn.Sequential(nn.Linear(CHANNELS, 5), nn.Tanh(), nn.Linear(5, 2), nn.SiLU()),
    ),
    "EncoderHead": Layer(encoder_head),
    "ConditionedDensity": Layer(density),
}
SQUASHING = ("Tanh", "Sigmoid", "Bounded")


def made(name: str) -> tuple[nn.Module, Difference, Callable[[nn.Module, Tensor], Tensor]]:
    """The module in float64, its rule, and how to run a module on (..., P, C)."""
    torch.manual_seed(11)
    layer = LAYERS[name]
    module = layer.make().requires_grad_(False).double()

    def run(of: nn.Module, values: Tensor) -> Tensor:
        if layer.channels_first:
            flat = values.reshape(-1, *values.shape[-2:]).transpose(1, 2)
            out: Tensor = of(flat).transpose(1, 2)
        else:
            out = of(values.reshape(-1, values.shape[-1]))
        return out.reshape(*values.shape[:-1], -1)

    return module, difference(module), run


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("name", LAYERS)
def test_value_is_the_module(name: str) -> None:
    module, rule, run = made(name)
    base = 2 * normal(2, POSITIONS, CHANNELS, seed=0)
    torch.testing.assert_close(rule.value(base), run(module, base), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("size", [10.0, 1.0, 1e-2])
@pytest.mark.parametrize("name", LAYERS)
def test_change_is_the_difference_of_values(name: str, size: float) -> None:
    """In float64, where plain subtraction can be trusted to 1e-13 or so of the values."""
    module, rule, run = made(name)
    base, change = 2 * normal(2, POSITIONS, CHANNELS, seed=0), size * normal(2, POSITIONS, CHANNELS, seed=1)
    have = rule.change(change, rule.terms(base, torch.float64))
    before, after = run(module, base), run(module, base + change)
    limit = 1e-12 * (1 + float(before.abs().max()) + float(after.abs().max()))
    assert have.shape == before.shape
    assert (have - (after - before)).abs().max() <= limit


@pytest.mark.parametrize("size", [1.0, 1e-3, 1e-6, 1e-9])
@pytest.mark.parametrize("name", LAYERS)
def test_small_changes_keep_their_digits_in_float32(name: str, size: float) -> None:
    """Relative to the largest change; the exact answer is a float64 rule's, checked above and below."""
    module, rule, run = made(name)
    base = 2 * normal(2, POSITIONS, CHANNELS, seed=0)
    change = (size * normal(2, POSITIONS, CHANNELS, seed=1)).float()
    have = rule.change(change, rule.terms(base, torch.float32))
    assert have.dtype == torch.float32
    want = run(module, base + change.double()) - run(module, base)
    # Subtracting in float64 leaves 1e-16 of the values, which is 1e-5 of a change a 1e-11 their size.
    known_to = 1e-15 * float(run(module, base).abs().max())
    error = float((have.double() - want).abs().max())
    assert error <= 1e-5 * float(want.abs().max()) + 10 * known_to


@pytest.mark.parametrize("name", [name for name in LAYERS if name not in ("Identity", "Dropout")])
def test_plain_subtraction_in_float32_does_lose_them(name: str) -> None:
    """So that the test above can fail at all."""
    module, _, run = made(name)
    single = copy.deepcopy(module).float()
    base, change = 2 * normal(2, POSITIONS, CHANNELS, seed=0), 1e-9 * normal(2, POSITIONS, CHANNELS, seed=1)
    want = run(module, base + change) - run(module, base)
    naive = run(single, base.float() + change.float()) - run(single, base.float())
    assert (naive.double() - want).abs().max() > 0.3 * want.abs().max()


@pytest.mark.parametrize("name", LAYERS)
def test_no_change_is_none_at_all(name: str) -> None:
    """Exactly, however the arrays lie in memory: zones are views of every so many positions."""
    _, rule, _ = made(name)
    base = 2 * normal(2, POSITIONS, CHANNELS, seed=0)
    for dtype in (torch.float32, torch.float64):
        terms = rule.terms(base, dtype)
        for step in (1, 2, 3):
            some = map_terms(lambda term, step=step: term[:, None, ::step], terms)
            count = len(range(0, POSITIONS, step))
            have = rule.change(torch.zeros(2, 3, count, CHANNELS, dtype=dtype), some)
            assert (have == 0).all()


@pytest.mark.parametrize("name", LAYERS)
def test_nothing_at_all_may_change(name: str) -> None:
    """A zone may hold no position."""
    _, rule, _ = made(name)
    base = normal(2, POSITIONS, CHANNELS, seed=0)
    terms = map_terms(lambda term: term[:, None, :0], rule.terms(base, torch.float32))
    assert rule.change(torch.zeros(2, 3, 0, CHANNELS), terms).shape == (2, 3, 0, rule.value(base).shape[-1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", [name for name in LAYERS if name != "ConditionedDensity"])
def test_extremes_stay_finite(name: str, dtype: torch.dtype) -> None:
    _, rule, _ = made(name)
    bases = torch.tensor([-50.0, -1.0, 0.0, 1.0, 50.0], dtype=torch.float64)
    changes = torch.tensor([-1e3, -100, -50, 0, 50, 100, 1e3], dtype=dtype)
    base = bases[:, None, None, None].expand(-1, 1, POSITIONS, CHANNELS)
    change = changes[:, None, None].expand(-1, POSITIONS, CHANNELS)
    have = rule.change(change.expand(5, -1, -1, -1).contiguous(), rule.terms(base, dtype))
    assert torch.isfinite(have).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", SQUASHING)
def test_squashing_back_from_saturation(name: str, dtype: torch.dtype) -> None:
    """From where the value has reached its limit to the middle, to the other limit, and not at all."""
    module, rule, run = made(name)
    for start in (3, 5, 8, 10, 14, 20, 50, 200):
        for sign in (-1, 1):
            base = torch.full((1, 1, CHANNELS), sign * float(start), dtype=torch.float64)
            steps = torch.tensor([-2 * start, -1.5 * start, -start, -0.5 * start, -1, -1e-3, 1, start, 1e3])
            change = (sign * steps).to(dtype)[:, None, None].expand(-1, 1, CHANNELS).contiguous()
            have = rule.change(change, rule.terms(base, dtype)).double()
            want = run(module, base + change.double()) - run(module, base)
            limit = 2.5 * (1e-6 if dtype == torch.float32 else 1e-14)
            assert (have - want).abs().max() <= limit, (start, sign)


@pytest.mark.parametrize("name", ["ReLU", "LeakyReLU", "PReLU per channel"])
def test_kinks_are_exact_where_none_is_crossed(name: str) -> None:
    module, rule, run = made(name)
    base = 2 * normal(2, POSITIONS, CHANNELS, seed=0)
    change = (0.9 * base * normal(2, POSITIONS, CHANNELS, seed=1).tanh()).float()
    have = rule.change(change, rule.terms(base, torch.float32))
    slope = run(module, base) / base
    torch.testing.assert_close(have.double(), slope * change, rtol=3e-7, atol=0)


@pytest.mark.parametrize("size", [3.0, 0.1, 1e-4, 1e-7])
def test_the_density_is_as_exact_as_its_forward_pass(size: float) -> None:
    """Against ``forward`` in float64; log scales of both signs, and changes that turn their sign."""
    for seed in range(5):
        torch.manual_seed(seed)
        flow = density().requires_grad_(False).double()
        rule = flow.difference()
        base = 1.5 * normal(7, 1, CHANNELS, seed=seed)
        for dtype, rounding in ((torch.float64, 1e-12), (torch.float32, 3e-6)):
            change = (size * normal(7, 20, CHANNELS, seed=seed + 50)).to(dtype)
            have = rule.change(change, rule.terms(base, dtype))
            assert have.shape == (7, 20, 1)
            before, after = flow(base[:, 0]), flow((base + change.double()).flatten(0, 1)).reshape(7, 20)
            want = after - before[:, None]
            known_to = 1e-15 * float(after.abs().max() + before.abs().max() + 10)
            error = (have[..., 0].double() - want).abs().max()
            assert error <= rounding * want.abs().max() + 10 * known_to


def test_rules_without_a_module() -> None:
    base, change = normal(3, POSITIONS, CHANNELS, seed=0), normal(3, POSITIONS, CHANNELS, seed=1)
    weight, bias, factor = normal(2, CHANNELS, seed=2), normal(2, seed=3), normal(POSITIONS, 1, seed=4)
    rules: list[tuple[Difference, Callable[[Tensor], Tensor]]] = [
        (linear(weight, bias), lambda a: a @ weight.T + bias),
        (linear(weight, None), lambda a: a @ weight.T),
        (scale(factor), lambda a: a * factor),
        (shift(factor), lambda a: a + factor),
        (evaluated(torch.sin), torch.sin),
        (Chain([]), lambda a: a),
        (Chain([scale(factor), linear(weight, bias), evaluated(torch.cos)]),
         lambda a: torch.cos((a * factor) @ weight.T + bias)),
    ]  # fmt: skip
    for rule, function in rules:
        torch.testing.assert_close(rule.value(base), function(base))
        have = rule.change(change, rule.terms(base, torch.float64))
        torch.testing.assert_close(have, function(base + change) - function(base), rtol=1e-12, atol=1e-13)


def test_parameters_are_taken_as_they_are() -> None:
    module = nn.Linear(CHANNELS, 2).requires_grad_(False).double()
    change = normal(5, CHANNELS, seed=0)
    for _ in range(2):
        rule = difference(module)
        have = rule.change(change, rule.terms(change, torch.float64))
        torch.testing.assert_close(have, change @ module.weight.T)
        module.weight *= 3
