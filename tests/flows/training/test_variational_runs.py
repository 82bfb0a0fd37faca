"""A run with a variational model: scored, selected and explained like with any other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.query.query import QuerySettings, query
from engine.store.reading import StoreView
from engine.store.verify import verify
from flows.run.request import RunRequest, RunSummary
from flows.run_release import run_release
from infra.settings import Settings
from models.score_kinds import RECONSTRUCTION_SCORES
from models.variational.model import VariationalModel
from models.weights import load_model
from tests.forked_commands import forked_whyspec
from tests.small_run import SPECTRA, small_release, small_request


@pytest.fixture(scope="module")
def variational(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a variational model, hardly trained."""
    base = tmp_path_factory.mktemp("variational")
    release = small_release(base / "release", 120, seed=4, per_file=60)
    options = ("--epochs", 2, "--validation", 0.15, "--calibration", 0.25, "--seed", 4, "--threads", 1)
    trained = forked_whyspec("train", release, "-o", base / "vae", "--kind", "variational", *options)
    assert trained.returncode == 0, trained.stderr
    assert "chi2 per pixel" in trained.stderr + trained.stdout
    return base / "vae"


def asked(release: Path, store: Path, variational: Path) -> RunRequest:
    """A run of few passes: every window takes one of the whole model."""
    return replace(small_request(release, store, variational), threshold=0.15, windows=(512, 1024))


@pytest.fixture(scope="module")
def done(release: Path, variational: Path, tmp_path_factory: pytest.TempPathFactory) -> RunSummary:
    """The small release, run in this process; ``done.store`` is not to be changed."""
    store = tmp_path_factory.mktemp("done") / "odd.zarr"
    return run_release(asked(release, store, variational), Settings())


def test_the_card_says_how_it_was_trained(variational: Path) -> None:
    card = load_model(str(variational)).card
    assert (card.name, card.kind, card.classes) == ("vae", "variational", ("GALAXY",))
    assert card.architecture["form"] == "ivar"
    assert card.training["settings"]["seed"] == 4
    there = sorted(path.name for path in variational.iterdir())
    assert there == ["card.json", "model.safetensors", "training.json", "training.png"]


def test_a_run_leaves_a_complete_store(done: RunSummary, variational: Path) -> None:
    assert done.spectra == done.store_spectra == SPECTRA
    assert done.outliers == done.explained > 4
    assert done.quarantined == ()
    assert verify(done.store).ok
    view = StoreView.open(done.store)
    model = load_model(str(variational))
    assert isinstance(model, VariationalModel)
    assert view.read("scores/latents").shape[1] == model.card.latents == model.architecture.latents
    scored = np.isfinite(view.read("scores/score"))
    column = RECONSTRUCTION_SCORES.index("ivar_chi2_all_100")
    np.testing.assert_array_equal(
        view.read("scores/score")[scored], view.read("scores/reconstruction")[scored, column]
    )


def test_explanations_are_those_of_the_models_likelihood(done: RunSummary, variational: Path) -> None:
    view, model = StoreView.open(done.store), load_model(str(variational)).double()
    flux, ivar = (view.read(f"outliers/{name}") for name in ("flux", "ivar"))
    maps, score = view.read("outliers/combined"), view.read("outliers/explained_score")
    redshift = view.read("spectra/redshift")[view.read("outliers/row")]
    assert np.isfinite(maps).all()
    assert (maps[ivar == 0] == 0).all()
    assert (np.abs(maps).max(axis=1) > 0).all()
    for row in range(len(maps)):
        spectrum = torch.from_numpy(flux[row])
        ask = model.conditioned(spectrum, torch.from_numpy(ivar[row]).double(), float(redshift[row]))
        expected = -float(ask(spectrum[None]))
        assert score[row] == pytest.approx(expected, rel=1e-3)
    assert len(query(done.store, QuerySettings())) == done.outliers
