"""The noise of residuals: errors that are wrong as a whole are put right, and nothing else is noise."""

from __future__ import annotations

import pytest
import torch

from models.scoring.noise_floor import SCALES, noise_scale, weights
from models.scoring.scoring_model import ScoringModel

PIXELS = 6000


def residual(scale: float = 1.0, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise ``scale`` times what unequal inverse variances say, (1, N) each; some pixels are masked."""
    generator = torch.Generator().manual_seed(seed)
    ivar = 4 * (0.2 + torch.rand(1, PIXELS, generator=generator))
    ivar[:, torch.rand(PIXELS, generator=generator) < 0.05] = 0
    noise = torch.randn(1, PIXELS, generator=generator)
    return torch.where(ivar > 0, scale * noise * ivar.clamp_min(1e-9).rsqrt(), 77.0), ivar


@pytest.mark.parametrize("scale", [0.8, 1.0, 1.3])
def test_the_scale_of_the_noise_is_found_to_three_per_cent(scale: float) -> None:
    found = [float(noise_scale(*residual(scale, seed))) for seed in range(5)]
    assert found == pytest.approx([scale] * 5, rel=0.03)


def test_lines_steps_and_continua_hardly_move_it() -> None:
    noise, ivar = residual()
    place = torch.arange(PIXELS)
    odd = noise + 3 * torch.sin(place / 200) + 5.0 * (place > 3000)
    odd = odd + 40 * torch.exp(-0.5 * ((place[:, None] - torch.arange(300, 5000, 900)) / 3) ** 2).sum(dim=1)
    assert float(noise_scale(odd, ivar)) == pytest.approx(float(noise_scale(noise, ivar)), rel=0.03)


def test_what_is_beyond_usual_errors_of_errors_stays_odd() -> None:
    assert float(noise_scale(*residual(5.0))) == pytest.approx(SCALES[1])
    assert float(noise_scale(*residual(0.1))) == pytest.approx(SCALES[0])


def test_few_good_pixels_say_nothing_of_the_noise() -> None:
    values, ivar = residual(1.3)
    ivar[:, 80:] = 0
    assert float(noise_scale(values, ivar)) == 1.0
    assert float(noise_scale(values, 0 * ivar)) == 1.0


def test_of_wrong_errors_the_weights_are_those_of_the_true_ones() -> None:
    values, ivar = residual()
    reconstruction = torch.ones_like(values)
    torch.testing.assert_close(
        weights(values, ivar, reconstruction), weights(values, 1.2 * ivar, reconstruction), rtol=1e-5, atol=0
    )


def test_errors_wrong_as_a_whole_leave_what_is_searched(tiny_model: ScoringModel) -> None:
    """But for what the encoder sees of them, and the depth."""
    model = tiny_model
    generator = torch.Generator().manual_seed(3)
    flux = 1 + 0.3 * torch.randn(3, model.card.grid.size, generator=generator)
    ivar = torch.full_like(flux, 11.0)
    redshift = torch.full((3,), 0.2, dtype=torch.float64)
    drawn = torch.ones_like(flux)
    latents, depth = model.encode(flux, ivar, redshift), torch.full((3,), 5.0)
    right = model.raw_parts(latents, drawn, flux, ivar, redshift, depth)
    wrong = model.raw_parts(latents, drawn, flux, 1.2 * ivar, redshift, depth)
    torch.testing.assert_close(wrong, right, rtol=1e-3, atol=1e-3)
