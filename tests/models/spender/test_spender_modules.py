"""Encoder, decoder and flow against spender itself, on weights of the released shapes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from models.spender.encoder import SpenderEncoder
from models.spender.files import SpenderFile, read_spender_file
from models.spender.flow import SpenderFlow
from models.spender.gap_filling import GapFilling
from models.spender.quick import QuickEncoder
from models.spender.weights import autoencoder_of, flow_of
from tests.models.spender.spender_made import (
    FLOW_FILE,
    desi_wavelength,
    made_autoencoder,
    made_flow,
    noisy_spectra,
    spender_package,
)

FROZEN = Path(__file__).with_name("spender_flow_log_prob.json")
"""Latents and nflows 0.14's float64 log densities of them under the released flow."""

SAMPLE = 10_000
NOTED = {0.0005: -10.8, 0.01: -2.5, 0.05: 1.7, 0.5: 8.45, 0.95: 12.65}
"""Quantiles of ln p in a sample of SAMPLE latents that spender drew from the released flow."""


def as_file(state: dict[str, torch.Tensor]) -> SpenderFile:
    return SpenderFile(Path("made.pt"), "", dict(state))


@pytest.fixture(scope="module")
def released(real_data: Path) -> Path:
    return real_data / "spender" / FLOW_FILE


@pytest.fixture(scope="module")
def released_flow(released: Path) -> SpenderFlow:
    return flow_of(read_spender_file(released))


def test_encoder_is_spenders() -> None:
    theirs = made_autoencoder(desi_wavelength())
    ours = autoencoder_of(as_file(theirs.state_dict())).encoder
    flux = noisy_spectra(3, 7781)
    expected = theirs.encode(flux)
    assert expected.std(dim=0).min() > 1e-4  # the latents tell spectra apart
    torch.testing.assert_close(ours(flux), expected, rtol=0, atol=1e-5)
    # Random weights give small latents: compared at their own size too.
    torch.testing.assert_close(
        ours.double()(flux.double()), theirs.double().encode(flux.double()), rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("leaky", [True, False])
@pytest.mark.parametrize("kernel", [None, torch.tensor([0.1, 0.5, 1.0, 0.4, 0.2])])
def test_decoder_is_spenders(leaky: bool, kernel: torch.Tensor | None) -> None:
    theirs = made_autoencoder(desi_wavelength(), leaky=leaky, kernel=kernel)
    ours = autoencoder_of(as_file(theirs.state_dict())).decoder
    latents = torch.randn(5, 6, generator=torch.Generator().manual_seed(1))
    # The last lies beyond what the rest-frame grid covers, the first has its last pixel at the very end.
    redshift = torch.tensor([0.0, 0.05, 0.3217, 0.8, 1.1], dtype=torch.float64)
    torch.testing.assert_close(ours.rest(latents), theirs.decoder.decode(latents))
    expected = theirs.decoder(latents, theirs.encoder.instrument, redshift)
    assert expected.std() > 1e-2
    if kernel is None:
        assert expected[0, -1] == 0
        assert bool((expected[4, :700] == 0).all())
    torch.testing.assert_close(ours(latents, redshift), expected, rtol=0, atol=1e-5)


def test_sdss_is_a_part_of_our_grid() -> None:
    wavelength = 10 ** torch.arange(3.578, 3.97, 0.0001)  # as spender writes it, in float32
    theirs = made_autoencoder(wavelength, torch.linspace(2359.0, 9332.0, 7000))
    ours = autoencoder_of(as_file(theirs.state_dict()))
    place = ours.instrument
    assert (place.grid.name, place.first, place.pixels) == ("sdss", 380, len(wavelength))
    latents = torch.randn(2, 6, generator=torch.Generator().manual_seed(1))
    redshift = torch.tensor([0.11, 0.4], dtype=torch.float64)
    expected = theirs.decoder(latents, theirs.encoder.instrument, redshift)
    got = ours.decoder(latents, redshift)[:, place.first : place.first + place.pixels]
    # Spender's wavelengths are those of powers taken in float32: they miss the grid by some 0.005 Angstrom.
    exact = place.grid.wavelength()[place.first : place.first + place.pixels]
    missed = float(np.abs(wavelength.double().numpy() - exact).max())
    steepest = float(ours.decoder.rest(latents).diff(dim=1).abs().max()) * 7000 / (9332 - 2359)
    assert missed < 0.01
    torch.testing.assert_close(got[:, 2:-2], expected[:, 2:-2], rtol=0, atol=1.1 * missed * steepest)


@pytest.mark.parametrize("pixels", [7781, 3921, 4686])
@pytest.mark.parametrize("negative", [True, False])
def test_the_quick_encoder_is_the_encoder(pixels: int, negative: bool) -> None:
    torch.manual_seed(5)
    encoder = SpenderEncoder(6).requires_grad_(requires_grad=False)
    if negative:
        for block in (encoder.conv1, encoder.conv2, encoder.conv3):
            block[2].weight.uniform_(-0.3, 0.6)
    flux = noisy_spectra(6, pixels)
    flux[3:] = flux[3:].cumsum(dim=1) / pixels  # smooth, as baselines are
    got = QuickEncoder(encoder)(flux)
    exact = encoder.double()(flux.double())
    # No worse than the plain passes in float32 are.
    error = (encoder.float()(flux) - exact).abs().max()
    assert (got - exact).abs().max() < 3 * error
    assert exact.std(dim=0).min() > 1e4 * error


def test_flow_is_nflows() -> None:
    theirs = made_flow()
    ours = flow_of(as_file(theirs.state_dict()))
    latents = 0.1 * torch.randn(500, 6, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(ours(latents), theirs.log_prob(latents), rtol=0, atol=1e-5)


def test_flow_of_other_sizes() -> None:
    theirs = made_flow(latents=2)
    latents = 0.1 * torch.randn(50, 2, generator=torch.Generator().manual_seed(2))
    ours = flow_of(as_file(theirs.state_dict()))
    torch.testing.assert_close(ours(latents), theirs.log_prob(latents), rtol=0, atol=1e-5)


@pytest.mark.real_data
def test_released_flow_is_nflows(released: Path, released_flow: SpenderFlow) -> None:
    theirs = made_flow()
    theirs.load_state_dict(torch.load(released, weights_only=True))
    random = torch.Generator().manual_seed(4)
    # Where the data are, and far from them.
    latents = torch.cat([released_flow.sample(2000, 1), 3 * torch.randn(200, 6, generator=random)])
    ours, expected = released_flow(latents), theirs.log_prob(latents)
    near = expected > -20
    assert int(near.sum()) > 1900
    torch.testing.assert_close(ours[near], expected[near], rtol=0, atol=1e-5)
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.real_data
def test_released_flow_gives_the_numbers_that_nflows_gave(released: Path) -> None:
    frozen = json.loads(FROZEN.read_text())
    flow = flow_of(read_spender_file(released)).double()
    latents = torch.tensor(frozen["latents"], dtype=torch.float64)
    expected = torch.tensor(frozen["log_prob"], dtype=torch.float64)
    torch.testing.assert_close(flow(latents), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(flow.float()(latents.float()).double(), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.real_data
def test_samples_of_the_released_flow_have_the_quantiles_noted(released_flow: SpenderFlow) -> None:
    log_prob = released_flow(released_flow.sample(50_000, 0)).numpy()
    for share, value in NOTED.items():
        # Rank errors of the noted sample, three standard deviations; our own sample is five times larger.
        error = 3 * np.sqrt(share * (1 - share) / SAMPLE)
        assert abs((log_prob <= value).mean() - share) < error, (share, value)


@pytest.mark.real_data
def test_samples_invert_the_flow(released_flow: SpenderFlow) -> None:
    """Latents of known normal numbers come back to them."""
    flow = released_flow
    latents = flow.sample(500, 3)
    outputs = latents * flow.scale + flow.shift
    for step in flow.steps:
        outputs, _ = step(outputs)
    normal = torch.randn(500, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    # Far out in the tails float32 loses digits at every step.
    close = (outputs - normal).abs().amax(dim=1) < 1e-3
    assert close.float().mean() > 0.99


def test_gaps_are_filled_by_lines() -> None:
    flux = torch.tensor([[9.0, 1.0, 9.0, float("nan"), 4.0, float("inf")], [7.0] * 6])
    good = torch.tensor([[False, True, False, False, True, False], [False] * 6])
    expected = torch.tensor([[1.0, 1.0, 2.0, 3.0, 4.0, 4.0], [0.0] * 6])
    torch.testing.assert_close(GapFilling(good)(flux), expected)
    assert torch.equal(GapFilling(good[:1])(torch.cat([flux[:1], flux[:1]]))[1], expected[0])


def test_the_package_is_the_version_compared_with() -> None:
    from importlib.metadata import version

    spender_package()
    assert version("spender").startswith("0.3")
    assert version("nflows").startswith("0.14")
