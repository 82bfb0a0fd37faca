"""Spender's modules as a scoring model of whyspec."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models.errors import ConfigurationError, InputError
from models.spender.files import read_spender_file
from models.spender.importing import import_spender
from models.spender.model import SpenderModel
from models.training.calibrating import calibrate_on
from models.weights import load_local_model, load_model, save_model
from tests.models.spender.spender_made import (
    desi_wavelength,
    made_autoencoder,
    made_files,
    made_flow,
    noisy_spectra,
)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An imported model, saved."""
    directory = tmp_path_factory.mktemp("spender")
    files = [read_spender_file(path) for path in made_files(directory)]
    save_model(import_spender(files, "imported", ("GALAXY",)), directory / "model")
    return directory / "model"


@pytest.fixture(scope="module")
def model(directory: Path) -> SpenderModel:
    model = load_model(str(directory))
    assert isinstance(model, SpenderModel)
    return model


def observed(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    flux = noisy_spectra(count, 7781)
    ivar = torch.full_like(flux, 25.0)
    ivar[:, 300:340] = 0
    ivar[0, 7000:] = 0
    return flux, ivar, torch.linspace(0.05, 0.6, count, dtype=torch.float64)


def test_scores_are_spenders(model: SpenderModel) -> None:
    flux, _, redshift = observed(5)
    theirs, flow = made_autoencoder(desi_wavelength()), made_flow()
    outputs = model.outputs(flux, torch.ones_like(flux), redshift)
    latents, _, reconstruction, _ = theirs._forward(flux, z=redshift)
    torch.testing.assert_close(outputs.latents, latents, rtol=0, atol=1e-5)
    torch.testing.assert_close(outputs.reconstruction, reconstruction, rtol=0, atol=1e-5)
    torch.testing.assert_close(outputs.score, -flow.log_prob(latents), rtol=1e-5, atol=1e-5)


def test_masked_pixels_have_no_influence(model: SpenderModel) -> None:
    flux, ivar, redshift = observed(3)
    other = torch.where(ivar > 0, flux, torch.full_like(flux, 1e6))
    one, two = (model.outputs(values, ivar, redshift) for values in (flux, other))
    assert torch.equal(one.score, two.score)
    assert not torch.equal(one.score, model.outputs(flux, torch.ones_like(flux), redshift).score)


def test_conditioned_is_minus_the_score_in_either_precision(directory: Path, model: SpenderModel) -> None:
    flux, ivar, redshift = observed(3)
    shared = ivar[0].expand_as(flux)
    expected = -model.outputs(flux, shared, redshift).score
    torch.testing.assert_close(model.conditioned(flux[0], ivar[0], 0.2)(flux), expected, rtol=1e-6, atol=1e-6)
    # As the explainer holds it: in float64, asked for both.
    double = load_model(str(directory)).double()
    log_prob = double.conditioned(flux[0], ivar[0].double(), 0.2)
    assert log_prob(flux).dtype == torch.float32
    torch.testing.assert_close(log_prob(flux), expected, rtol=1e-6, atol=1e-6)
    exact = log_prob(flux.double())
    assert exact.dtype == torch.float64
    torch.testing.assert_close(exact.float(), expected, rtol=1e-4, atol=1e-4)


def test_baselines_are_decoded_latents_at_the_redshift(model: SpenderModel) -> None:
    chosen = np.array([5, 17, 3])
    theirs = made_autoencoder(desi_wavelength())
    redshift = torch.full((3,), 0.31, dtype=torch.float64)
    expected = theirs.decoder(model.calibration_latents[chosen], theirs.encoder.instrument, redshift)
    torch.testing.assert_close(model.baselines(0.31, chosen), expected, rtol=0, atol=1e-5)


def test_tail_probabilities_are_those_of_the_flow(model: SpenderModel) -> None:
    fresh = model.flow.sample(4000, seed=99)
    score = -model.flow(fresh).numpy()
    ones = np.ones(len(score))
    tail = np.sort(model.tail_probability(score, ones, ones))
    # Kolmogorov & Smirnov at one in a thousand, for two samples of which one is five times larger.
    assert np.abs(tail - (np.arange(4000) + 0.5) / 4000).max() < 1.95 * np.sqrt(1 / 4000 + 1 / 20_000)
    assert np.isnan(model.tail_probability(np.array([np.nan]), ones[:1], ones[:1]))


def test_the_card_says_where_it_may_be_used(model: SpenderModel) -> None:
    card = model.card
    assert (card.kind, card.classes, card.grid.name, card.latents) == ("spender", ("GALAXY",), "desi", 6)
    assert (card.redshift_min, card.redshift_max) == pytest.approx((0.0, 0.8), abs=1e-9)
    assert set(card.training["files"]) == {"autoencoder.pt", "flow.pt"}
    everywhere = model.decode(model.calibration_latents[:1], torch.tensor([0.4], dtype=torch.float64))
    assert bool((everywhere != 0).all())


def test_calibration_on_spectra_replaces_the_flows(directory: Path) -> None:
    model = load_model(str(directory))
    assert isinstance(model, SpenderModel)
    random = np.random.default_rng(3)
    score, snr, z = random.normal(50, 2, 1000), random.uniform(2, 20, 1000), random.uniform(0, 0.8, 1000)
    calibrate_on(model, torch.randn(1000, 6), score, snr, z)
    assert model.calibration_size == 1000
    assert model.tail_probability(np.array([50.0]), np.array([8.0]), np.array([0.3]))[0] == pytest.approx(
        0.5, abs=0.08
    )
    assert 2 < model.card.snr_min < model.card.snr_max < 20
    save_model(model, directory.parent / "again")
    assert load_model(str(directory.parent / "again")).calibration_size == 1000


def test_flow_and_autoencoder_must_have_the_same_latents(tmp_path: Path) -> None:
    autoencoder, flow = made_files(tmp_path)
    torch.save(made_flow(latents=4).state_dict(), flow)
    with pytest.raises(InputError, match="do not belong together") as caught:
        import_spender([read_spender_file(path) for path in (autoencoder, flow)], "x", ())
    assert "6 latents and 4" in caught.value.got


def test_it_cannot_be_taken_apart(directory: Path) -> None:
    with pytest.raises(ConfigurationError, match="local layers"):
        load_local_model(str(directory))
