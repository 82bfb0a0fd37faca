"""Which layers are local, and how the others are refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from models.errors import ConfigurationError
from models.local.additive_pooling import AttentionPooling, JointPooling, LogSumExpPooling
from models.local.local_layers import (
    Bounded,
    PointwiseLayer,
    PositionBias,
    is_mixing,
)
from models.local.local_score import LocalScore
from tests.models.local.own_layers import AddChannel, ChannelNorm, MeanPooling, Pointwise, PositionScale


class Reversed(nn.Module):
    """Nobody has heard of it, and it is anything but local."""

    def forward(self, hidden: Tensor) -> Tensor:
        return hidden.flip(-1)


class Doubled(PointwiseLayer):
    """An own layer that declares itself pointwise."""

    def forward(self, hidden: Tensor) -> Tensor:
        return 2 * hidden


def score(*layers: nn.Module) -> LocalScore:
    return LocalScore(AddChannel(), layers, MeanPooling(8), (nn.Linear(4, 1), nn.Flatten(0)))


def without_statistics() -> nn.BatchNorm1d:
    return nn.BatchNorm1d(4, track_running_stats=False).eval()


REFUSED = [
    (nn.InstanceNorm1d(4), "statistics taken over all positions"),
    (nn.LocalResponseNorm(2), "statistics taken over all positions"),
    (nn.LayerNorm(8), "over channels and positions together"),
    (nn.GroupNorm(2, 4), "over channels and positions together"),
    (nn.RMSNorm(8), "over channels and positions together"),
    (nn.AdaptiveAvgPool1d(4), "intervals that grow with the spectrum"),
    (nn.AdaptiveMaxPool1d(4), "intervals that grow with the spectrum"),
    (nn.Softmax(dim=-1), "over positions or channels"),
    (nn.LogSoftmax(dim=1), "over positions or channels"),
    (nn.MultiheadAttention(4, 2), "every position looks at every other"),
    (nn.TransformerEncoderLayer(4, 2, 8), "every position looks at every other"),
    (nn.GRU(4, 4), "depends on all before it"),
    (nn.LSTM(4, 4), "depends on all before it"),
    (nn.Linear(8, 8), "takes the positions themselves as features"),
    (nn.Flatten(), "takes the positions themselves as features"),
    (Reversed(), "nothing is known about layers of type Reversed"),
    (nn.Conv2d(1, 1, 3), "nothing is known about layers of type Conv2d"),
    (nn.ConvTranspose1d(4, 4, 3), "nothing is known about layers of type ConvTranspose1d"),
    (nn.Sequential(nn.Conv1d(4, 4, 3)), "nothing is known about layers of type Sequential"),
    (nn.BatchNorm1d(4), "statistics of the batch"),
    (without_statistics(), "statistics of the batch"),
    (nn.Dropout(0.1), "drops at random while training"),
    (nn.RReLU(), "random while training"),
    (nn.Conv1d(4, 4, 3, padding=1, padding_mode="circular"), "padding mode 'circular'"),
    (nn.Conv1d(4, 4, 3, padding=1, padding_mode="reflect"), "padding mode 'reflect'"),
    (nn.Conv1d(4, 4, 3, padding="same"), "padding is given as 'same'"),
    (nn.Conv1d(4, 4, 3, padding="valid"), "padding is given as 'valid'"),
    (nn.AvgPool1d(3, ceil_mode=True), "ceil_mode"),
    (nn.MaxPool1d(3, ceil_mode=True), "ceil_mode"),
    (nn.MaxPool1d(3, return_indices=True), "returns indices"),
]


@pytest.mark.parametrize(("layer", "reason"), REFUSED, ids=[f"{type(m).__name__}-{r}" for m, r in REFUSED])
def test_what_is_not_local_is_refused_by_name_and_with_its_reason(layer: nn.Module, reason: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        score(nn.Conv1d(1, 4, 3, padding=1), nn.ReLU(), layer)
    assert caught.value.kind == "layer-not-local"
    assert caught.value.where.startswith("LocalScore, layer 2: ")
    text = str(caught.value)
    for piece in (type(layer).__name__, reason, "not local", "DenseOccluder"):
        assert piece in text


def test_the_first_of_several_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"layer 0: InstanceNorm1d"):
        score(nn.InstanceNorm1d(1), nn.Softmax(dim=-1))


ALLOWED = [
    nn.Conv1d(4, 4, 3, 1, padding=1),
    nn.Conv1d(4, 4, 3, dilation=2, groups=2, padding=2, bias=False),
    nn.AvgPool1d(3, 1, padding=1),
    nn.AvgPool1d(3, 1, padding=1, count_include_pad=False),
    nn.MaxPool1d(3, 1, padding=1),
    nn.BatchNorm1d(4).eval(),
    nn.Dropout(0.1).eval(),
    nn.Dropout(0.0),
    nn.RReLU().eval(),
    *(kind() for kind in (nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU)),
    *(kind() for kind in (nn.Mish, nn.Tanh, nn.Sigmoid, nn.LogSigmoid, nn.Softplus, nn.Softsign)),
    *(kind() for kind in (nn.Tanhshrink, nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.ReLU6, nn.Identity)),
    *(kind() for kind in (nn.Hardshrink, nn.Softshrink)),
    nn.Threshold(0.1, 0.0),
    ChannelNorm(4),
    PositionBias(torch.ones(4, 8)),
    PositionScale(torch.ones(8)),
    Bounded(3.0),
    Doubled(),
    Pointwise(nn.Conv1d(4, 4, 1)),
]


@pytest.mark.parametrize("layer", ALLOWED, ids=str)
def test_local_layers_are_allowed_and_applied_in_order(layer: nn.Module) -> None:
    first = nn.Conv1d(1, 4, 3, padding=1)
    whole = score(first, layer).requires_grad_(False)
    flux = torch.linspace(-1, 2, 16).reshape(2, 8)
    hidden = layer(first(flux[:, None]))
    torch.testing.assert_close(whole(flux), whole.head[0](hidden.sum(dim=-1) / 8)[:, 0])
    assert is_mixing(layer) == isinstance(layer, nn.Conv1d | nn.AvgPool1d | nn.MaxPool1d)


def test_a_module_that_starts_training_again_is_refused() -> None:
    norm = nn.BatchNorm1d(4).eval()
    score(nn.Conv1d(1, 4, 1), norm)
    with pytest.raises(ConfigurationError, match=r"call eval\(\) first"):
        score(nn.Conv1d(1, 4, 1), norm.train())


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv1d(4, 2, 3, padding=1),
        nn.Conv1d(4, 2, 1, stride=2),
        nn.Conv1d(4, 2, 1, padding=1),
        nn.AvgPool1d(1),
        nn.MaxPool1d(3, 1, 1),
    ],
    ids=str,
)
def test_logits_that_look_at_neighbours_are_refused(layer: nn.Module) -> None:
    for build in (
        lambda: AttentionPooling([nn.Tanh(), layer], 2),
        lambda: LogSumExpPooling([nn.Tanh(), layer], 2),
    ):
        with pytest.raises(ConfigurationError) as caught:
            build()
        assert caught.value.kind == "layer-not-pointwise"
        for piece in ("layer 1", type(layer).__name__, "neighbouring positions", "before the pooling"):
            assert piece in str(caught.value)


@pytest.mark.parametrize("layer", [nn.Softmax(dim=-1), nn.InstanceNorm1d(4), nn.Linear(4, 2)], ids=str)
def test_logits_that_are_not_even_local_are_refused(layer: nn.Module) -> None:
    with pytest.raises(ConfigurationError, match=r"the logits of AttentionPooling, layer 0") as caught:
        AttentionPooling([layer], 2)
    assert caught.value.kind == "layer-not-local"
    with pytest.raises(ConfigurationError, match=r"the features of LogSumExpPooling, layer 0"):
        LogSumExpPooling([layer], 2)


def test_pointwise_logits_are_allowed() -> None:
    logits = [
        nn.Conv1d(4, 6, 1),
        nn.Tanh(),
        nn.Conv1d(6, 2, 1),
        Bounded(4.0),
        PositionBias(torch.zeros(2, 8)),
    ]
    joint = JointPooling([AttentionPooling(logits, 2), LogSumExpPooling(logits, 2), MeanPooling(8)])
    assert joint(torch.randn(3, 4, 8)).shape == (3, 4 + 2 + 4)
