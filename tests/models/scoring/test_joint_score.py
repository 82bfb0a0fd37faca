"""The joined score: near the most significant part, smooth, blind to flux in its depth."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from models.scoring.joint_score import LATENTS, JointScore, shares

WIDTHS = 2
SHARES = shares(WIDTHS)


@cache
def fitted(count: int = 2000) -> tuple[JointScore, torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    scales = torch.logspace(-1, 1, len(SHARES))
    raw = torch.randn(count, len(SHARES), generator=generator) * scales
    depth = torch.exp(torch.randn(count, generator=generator)) * 5
    redshift = 0.5 * torch.rand(count, generator=generator, dtype=torch.float64)
    joint = JointScore(WIDTHS)
    joint.fit(raw, depth, redshift)
    return joint, raw, depth, redshift


def test_score_is_the_harmonic_mean_of_the_parts_tails() -> None:
    joint, raw, depth, redshift = fitted()
    medians, widths = joint.strata(depth, redshift)
    standard = (raw - medians) / widths
    alike = joint.widening(standard, standard[:, LATENTS.index("misfit")])
    tails = [np.exp(-part.tail_of_all(alike[:, k]).numpy()) for k, part in enumerate(joint.parts)]
    expected = np.log(sum(share / tail for share, tail in zip(SHARES, tails, strict=True)))
    np.testing.assert_allclose(joint(raw, depth, redshift).numpy(), expected, rtol=1e-10)
    assert sum(SHARES) == pytest.approx(1.0)


@pytest.mark.parametrize("part", range(len(SHARES)))
def test_any_part_alone_raises_the_score(part: int) -> None:
    joint, raw, depth, redshift = fitted()
    odd = raw.clone()
    odd[:, part] = raw[:, part].max() * 3 + 10
    before, after = joint(raw, depth, redshift), joint(odd, depth, redshift)
    assert (after > before).all()
    # Its tail is far below 1 in 2000.
    assert float(after.min()) > np.log(2000) + np.log(min(SHARES))


def test_parts_are_comparable_whatever_their_scale() -> None:
    joint, raw, depth, redshift = fitted()
    score = joint(raw, depth, redshift)
    scaled = JointScore(WIDTHS)
    scaled.fit(raw * 100 - 7, depth, redshift)
    np.testing.assert_allclose(scaled(raw * 100 - 7, depth, redshift), score, rtol=1e-6, atol=1e-6)
