"""Spectra carried to another redshift: lines land where they belong, masks go along."""

from __future__ import annotations

import numpy as np
import torch

from models.training.redshift_augmentation import carry, roughen

WAVE = torch.linspace(3600, 9800, 3000, dtype=torch.float64)


def galaxy(redshift: float) -> torch.Tensor:
    return (1 + 5 * torch.exp(-0.5 * ((WAVE / (1 + redshift) - 5008.24) / 8) ** 2)).float()[None]


def test_a_line_lands_at_the_new_redshift() -> None:
    ivar = torch.full((1, 3000), 4.0)
    at, to = torch.tensor([0.1]).double(), torch.tensor([0.35]).double()
    flux, weight = carry(galaxy(0.1), ivar, at, to, WAVE.log())
    seen = weight[0] > 0
    np.testing.assert_allclose(flux[0][seen], galaxy(0.35)[0][seen], atol=0.05)
    # What would come from below the blue end is not known.
    assert (weight[0][WAVE < 3600 * 1.35 / 1.1] == 0).all()
    assert (weight[0][WAVE > 3605 * 1.35 / 1.1] == 4.0).all()


def test_the_same_redshift_changes_nothing() -> None:
    flux = torch.randn(2, 3000, generator=torch.Generator().manual_seed(0))
    ivar = torch.full((2, 3000), 4.0)
    z = torch.tensor([0.1, 0.3]).double()
    carried, weight = carry(flux, ivar, z, z, WAVE.log())
    torch.testing.assert_close(carried, flux, rtol=0, atol=1e-4)
    assert torch.equal(weight, ivar)


def test_masked_pixels_stay_masked_and_do_not_leak() -> None:
    ivar = torch.full((1, 3000), 4.0)
    ivar[0, 1500:1600] = 0
    z, target = torch.tensor([0.1]).double(), torch.tensor([0.2]).double()
    clean = carry(galaxy(0.1), ivar, z, target, WAVE.log())
    dirty = galaxy(0.1)
    dirty[0, 1500:1600] = torch.nan
    leaked = carry(dirty, ivar, z, target, WAVE.log())
    assert torch.equal(leaked[1], clean[1])
    seen = clean[1] > 0
    assert torch.equal(leaked[0][seen], clean[0][seen])
    assert torch.isfinite(leaked[0]).all()
    assert int((clean[1][0, 500:] == 0).sum()) >= 100


def test_added_noise_is_told_to_the_inverse_variance() -> None:
    torch.manual_seed(3)
    flux, ivar = torch.ones(200, 3000), torch.full((200, 3000), 100.0)
    rough, weight = roughen(flux, ivar)
    changed = (rough != flux) & (weight > 0)
    assert 0.03 < float(changed.float().mean()) < 0.07
    pull = (rough - flux)[changed] * (1 / weight[changed] - 1 / 100.0).clamp_min(1e-9).rsqrt()
    assert abs(float(pull.std()) - 1) < 0.05
    masked = (weight == 0).float().mean(dim=1)
    assert (masked[::2] == 0).all()
    assert (masked[1::2] == 0.05).all()
