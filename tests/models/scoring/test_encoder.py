"""The encoder: what it sees, what it must not see, and how far each pixel reaches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.grid import WavelengthGrid
from models.scoring.encoder import Encoder, EncoderSettings

GRID = WavelengthGrid("test", "linear", 4000.0, 4.0, 601)
SETTINGS = EncoderSettings(latents=2, novelty=1, channels=(4, 8, 8), heads=4, hidden=6)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    torch.manual_seed(1)
    return Encoder(GRID, 0.5, SETTINGS).double().requires_grad_(False)


def batch(seed: int, count: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    flux = torch.from_numpy(rng.normal(1.0, 0.5, (count, GRID.size)))
    ivar = torch.from_numpy(rng.uniform(1, 50, (count, GRID.size)) * (rng.random((count, GRID.size)) > 0.2))
    return flux, ivar, torch.from_numpy(rng.uniform(0, 0.5, count))


@given(seed=st.integers(0, 2**31), value=st.floats(-1e6, 1e6))
def test_masked_pixels_have_no_influence_whatever_their_flux(seed: int, value: float) -> None:
    torch.manual_seed(1)
    encoder = Encoder(GRID, 0.5, SETTINGS).double().requires_grad_(False)
    flux, ivar, redshift = batch(seed)
    changed = torch.where(ivar > 0, flux, torch.full_like(flux, value))
    assert torch.equal(encoder(flux, ivar, redshift), encoder(changed, ivar, redshift))


def test_a_masked_zero_is_not_a_measured_zero(encoder: Encoder) -> None:
    flux, ivar, redshift = batch(5)
    ivar[:] = 9.0
    flux[:, 200:260] = 0.0
    masked = ivar.clone()
    masked[:, 200:260] = 0.0
    assert (encoder(flux, ivar, redshift) - encoder(flux, masked, redshift)).abs().max() > 1e-6


def test_batched_equals_single(encoder: Encoder) -> None:
    flux, ivar, redshift = batch(2, count=5)
    together = encoder(flux, ivar, redshift)
    for row in range(5):
        alone = encoder(flux[row : row + 1], ivar[row : row + 1], redshift[row : row + 1])
        torch.testing.assert_close(together[row : row + 1], alone, rtol=0, atol=1e-12)


def test_every_pixel_is_seen_and_reaches_only_its_neighbourhood(encoder: Encoder) -> None:
    """Changing one pixel changes the last layer at some positions, all within the receptive field."""
    flux = torch.ones(1, GRID.size, dtype=torch.float64)
    ivar = torch.full_like(flux, 4.0)

    def last(x: torch.Tensor) -> torch.Tensor:
        h = encoder.channels(x, ivar)
        for convolution in encoder.convolutions:
            h = torch.nn.functional.leaky_relu(convolution(h), 0.1)
        return h

    reference = last(flux)
    stride, field = 4 * 4 * 2, 8 + 4 * 7 + 16 * 3
    for pixel in (0, 1, 299, 300, GRID.size - 1):
        changed = flux.clone()
        changed[0, pixel] = 3.0
        moved = torch.nonzero((last(changed) - reference).abs().amax(dim=(0, 1)) > 1e-12)[:, 0]
        assert len(moved) >= 1, f"pixel {pixel} is not seen"
        first_seen = moved[0] * stride
        assert abs(int(first_seen) - pixel) <= field
        assert int(moved[-1] - moved[0]) + 1 <= field // stride + 1


def test_rest_frame_embedding_follows_the_redshift(encoder: Encoder) -> None:
    """A position at z looks up the same embedding as the position of the same rest wavelength at 0."""
    centres = encoder.log_wavelength.double()
    shift = float(centres[5] - centres[4])
    at_zero = encoder.embedding(torch.zeros(1, dtype=torch.float64))[0]
    moved = encoder.embedding(torch.tensor([np.expm1(shift)], dtype=torch.float64))[0]
    torch.testing.assert_close(moved[:, 5], at_zero[:, 4], rtol=0, atol=1e-6)


def test_positions_are_centred_where_the_receptive_field_is(encoder: Encoder) -> None:
    """Each centre's wavelength lies in the middle of the pixels that the position sees."""
    wavelength = GRID.wavelength()
    first_pixel = -(4 + 4 * 4 + 16 * 2)
    width = 8 + 4 * 7 + 16 * 3
    for position in (3, 7):
        pixels = np.arange(width) + first_pixel + 32 * position
        expected = np.log(np.interp(pixels.mean(), np.arange(GRID.size), wavelength))
        assert float(encoder.log_wavelength[position]) == pytest.approx(expected, abs=1e-6)


def test_positions_without_evidence_get_no_weight(encoder: Encoder) -> None:
    good = torch.ones(1, GRID.size, dtype=torch.bool)
    good[:, 300:] = False
    coverage = encoder.coverage(good)[0]
    assert coverage[0] == 1.0
    assert coverage[-1] == 0.0


def test_settings_survive_json() -> None:
    assert EncoderSettings.from_dict(SETTINGS.to_dict()) == SETTINGS
