"""Poolings as sums over positions: value, contributions, and change of both."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from models.local.additive_pooling import (
    AdditivePooling,
    AttentionPooling,
    JointPooling,
    LogSumExpPooling,
    Part,
)
from models.local.differences import map_terms
from models.local.local_layers import Bounded, PositionBias
from tests.models.local.own_layers import MeanPooling

CHANNELS, POSITIONS, BATCH = 6, 9, 3
NAMES = ("mean", "attention", "one head", "log-sum-exp", "joint", "joint of joints")


def pooling(name: str) -> AdditivePooling:
    torch.manual_seed(4)
    weight = PositionBias(torch.randn(1, POSITIONS))
    made: dict[str, AdditivePooling] = {
        "mean": MeanPooling(POSITIONS),
        "attention": AttentionPooling([nn.Conv1d(CHANNELS, 3, 1), Bounded(4.0), weight], 3),
        "one head": AttentionPooling([nn.Conv1d(CHANNELS, 1, 1)], 1),
        "log-sum-exp": LogSumExpPooling([nn.Conv1d(CHANNELS, 4, 1), nn.SiLU(), nn.Conv1d(4, 2, 1)], 2),
    }
    made["joint"] = JointPooling([made["attention"], made["log-sum-exp"]])
    made["joint of joints"] = JointPooling([made["mean"], made["joint"], made["one head"]])
    return made[name].requires_grad_(False).double()


def positions_first(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, CHANNELS, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("name", NAMES)
def test_pooled_sums_of_contributions_are_the_forward_pass(name: str) -> None:
    pool = pooling(name)
    rule, hidden = pool.rule(CHANNELS), positions_first(BATCH, POSITIONS)
    contributions = rule.contributions(hidden)
    assert contributions.shape == (BATCH, POSITIONS, pool.size(CHANNELS))
    torch.testing.assert_close(
        rule.pooled(contributions.sum(dim=1)), pool(hidden.transpose(1, 2)), rtol=1e-12, atol=1e-14
    )


@pytest.mark.parametrize("heads", [1, 2, 3, 6])
def test_each_head_weights_every_so_many_channels(heads: int) -> None:
    """Channel c belongs to head c % heads; written out as the plain softmax it is."""
    torch.manual_seed(heads)
    logits = nn.Conv1d(CHANNELS, heads, 1).double().requires_grad_(False)
    hidden = positions_first(1, POSITIONS).transpose(1, 2)
    weight = torch.softmax(logits(hidden)[0], dim=-1)
    wanted = [float((hidden[0, c] * weight[c % heads]).sum()) for c in range(CHANNELS)]
    assert AttentionPooling([logits], heads)(hidden)[0].tolist() == pytest.approx(wanted, rel=1e-13)


PARTS = (
    Part(slice(None), range(POSITIONS)),
    Part(slice(0, 2), range(2, 7)),
    Part(slice(2, None), range(1)),
    Part(slice(1, 3), range(POSITIONS - 2, POSITIONS)),
    Part(slice(0, 4), range(3, 3)),
    Part(slice(4, 4), range(POSITIONS)),
    Part(slice(0, 4, 3), range(0, POSITIONS, 2)),
)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", NAMES)
def test_changes_of_sums_are_those_of_recomputed_contributions(name: str, dtype: torch.dtype) -> None:
    """Over each part's rows and positions, whatever was in the tensors that are written to."""
    pool = pooling(name)
    rule, rows, size = pool.rule(CHANNELS), 4, pool.size(CHANNELS)
    base = positions_first(BATCH, POSITIONS)
    for scale in (3.0, 1e-3, 1e-9):
        change = (scale * positions_first(BATCH, rows, POSITIONS, seed=1)).to(dtype)
        terms = map_terms(lambda term: term[:, None], rule.terms(base, dtype))
        sums = [
            torch.full((BATCH, len(range(*part.rows.indices(rows))), size), torch.nan, dtype=dtype)
            for part in PARTS
        ]
        kept = change.clone()
        rule.change(change, terms, PARTS, sums)
        torch.testing.assert_close(change, kept, rtol=0, atol=0)
        moved = (base[:, None] + change.double()).reshape(-1, POSITIONS, CHANNELS)
        more = rule.contributions(moved).unflatten(0, (BATCH, rows)) - rule.contributions(base)[:, None]
        # Recomputing loses the last digits of a small change: its own rounding, not the rule's.
        lost = 1e-14 * float(rule.contributions(base).abs().max())
        rounding = 1e-11 if dtype == torch.float64 else 3e-6
        for part, have in zip(PARTS, sums, strict=True):
            want = more[:, part.rows][:, :, list(part.positions)].sum(dim=2)
            assert have.dtype == dtype
            largest = float(want.abs().max()) if want.numel() else 0.0
            torch.testing.assert_close(
                have.double(), want, rtol=rounding, atol=rounding * largest + 20 * lost
            )
        assert (sums[4] == 0).all()
        assert sums[5].shape == (BATCH, 0, size)


@pytest.mark.parametrize("name", NAMES)
def test_no_change_changes_nothing_at_all(name: str) -> None:
    pool = pooling(name)
    rule, base = pool.rule(CHANNELS), positions_first(BATCH, POSITIONS)
    for dtype in (torch.float64, torch.float32):
        into = torch.full((BATCH, 2, pool.size(CHANNELS)), torch.nan, dtype=dtype)
        terms = map_terms(lambda term: term[:, None], rule.terms(base, dtype))
        rule.change(torch.zeros(BATCH, 2, POSITIONS, CHANNELS, dtype=dtype), terms, [PARTS[0]], [into])
        assert (into == 0).all()
        sums = rule.contributions(base).sum(dim=1, keepdim=True).to(dtype)
        assert (rule.pooled_change(into, sums) == 0).all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", NAMES)
def test_changes_of_pooled_features(name: str, dtype: torch.dtype) -> None:
    rule = pooling(name).rule(CHANNELS)
    sums = rule.contributions(positions_first(BATCH, POSITIONS)).sum(dim=1, keepdim=True)
    random = torch.Generator().manual_seed(2)
    for scale in (0.3, 1e-3, 1e-9):
        relative = scale * (torch.rand(BATCH, 5, sums.shape[-1], generator=random, dtype=torch.float64) - 0.5)
        change = (sums * relative).to(dtype)
        have = rule.pooled_change(change, sums.to(dtype)).double()
        want = rule.pooled(sums + change.double()) - rule.pooled(sums)
        rounding = 1e-11 if dtype == torch.float64 else 3e-6
        largest = float(want.abs().max())
        lost = 1e-15 * float(rule.pooled(sums).abs().max())
        torch.testing.assert_close(have, want, rtol=rounding, atol=rounding * largest + 20 * lost)


def test_float32_keeps_what_subtraction_would_lose() -> None:
    """The smallest change above, with whole sums in float32: nothing of it is left."""
    pool = pooling("joint")
    single = copy.deepcopy(pool).float()
    base = positions_first(1, POSITIONS)
    moved = base + 1e-9 * positions_first(1, POSITIONS, seed=1)
    exact = pool(moved.transpose(1, 2)) - pool(base.transpose(1, 2))
    naive = single(moved.float().transpose(1, 2)) - single(base.float().transpose(1, 2))
    assert (naive.double() - exact).abs().max() > 0.5 * exact.abs().max()


def test_rules_take_the_parameters_as_they_are() -> None:
    pool = pooling("log-sum-exp")
    hidden = positions_first(2, POSITIONS)
    before = pool(hidden.transpose(1, 2))
    assert isinstance(pool, LogSumExpPooling)
    pool.features[0].weight += 0.1
    rule = pool.rule(CHANNELS)
    after = rule.pooled(rule.contributions(hidden).sum(dim=1))
    torch.testing.assert_close(after, pool(hidden.transpose(1, 2)))
    assert (after - before).abs().min() > 1e-6
