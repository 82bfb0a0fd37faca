"""Adapting from the command line: a release and a model in, a model that scores out; bad input told."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.store.store import Store
from engine.surveys.desi.grid import DESI_GRID
from engine.training.request import AdaptingRequest
from flows import adapt as adapting_flow
from flows.adapt import adapt_model
from flows.command_line import run_command
from flows.training.adapted import PICTURE, largest_deviation
from models.errors import ConfigurationError, ErrorKind
from models.training import adapting
from models.weights import load_local_model, save_model
from tests.conftest import random_model
from tests.small_run import small_release


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_release(tmp_path_factory.mktemp("adapt") / "release", 90, seed=9, per_file=45)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("model") / "base"
    save_model(random_model(), directory)
    return directory


def shown(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


def command(release: Path, model: Path | str, output: Path, *more: str) -> int:
    return run_command(
        ["adapt", str(release), "--model", str(model), "-o", str(output), "--threads", "1", *more]
    )


def test_a_small_release_is_refused_with_the_number_that_is_needed(
    release: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(release, model, tmp_path / "mine") == 64
    told = shown(capsys)
    assert "Too few spectra to adapt a model to." in told
    assert "at least 300 for either" in told
    assert not (tmp_path / "mine" / "card.json").exists()


@pytest.mark.slow
def test_adapted_twice_the_bytes_are_equal_and_the_card_says_what_changed(
    release: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once in one go, once killed between the prepared spectra and the model."""
    monkeypatch.setattr(adapting, "LEAST", 8)
    whole, killed = tmp_path / "a" / "mine", tmp_path / "b" / "mine"
    request = AdaptingRequest((str(release),), str(whole), "mine", str(model), threads=1)
    card = adapt_model(request)

    class StoppedError(Exception):
        pass

    def stop(*_: object) -> None:
        raise StoppedError

    again = replace(request, directory=str(killed))
    with monkeypatch.context() as patched:
        patched.setattr(adapting_flow, "adapt", stop)
        with pytest.raises(StoppedError):
            adapt_model(again)
    assert (killed / "training-set" / "prepared.json").exists()
    adapt_model(again)
    for name in ("model.safetensors", "card.json", PICTURE):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
    assert sorted(path.name for path in whole.iterdir()) == [PICTURE, "card.json", "model.safetensors"]
    base = load_local_model(str(model)).card
    assert card == load_local_model(str(whole)).card
    assert card.training["adapted"]["from_digest"] == base.digest
    assert card.training["adapted"]["residual_factors"] in ("fitted anew", "kept: too few spectra")
    assert 0 < card.metrics["adapting_median_tail_after"] < 1
    assert (card.redshift_min, card.normalisation_max) == (base.redshift_min, base.normalisation_max)


@pytest.mark.slow
def test_a_run_adapts_its_models_first_and_only_once(
    release: Path,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A model of stars, of which there are none, stays; the other is adapted, and continues to be used."""
    monkeypatch.setattr(adapting, "LEAST", 8)
    stars = random_model()
    stars.card = replace(stars.card, name="stars", classes=("STAR",))
    save_model(stars, tmp_path / "stars")
    adapted, store = tmp_path / "adapted", tmp_path / "odd.zarr"
    words = ["run", str(release), "--store", str(store), "--adapt", str(adapted), "--executor", "serial"]
    named = ["--model", f"{model},{tmp_path / 'stars'}"]
    more = ["--score-only", "--threshold", "0.1", *named]

    assert run_command([*words, *more]) == 0
    name = load_local_model(str(model)).card.name
    told = shown(capsys)
    assert f"{name}: adapt it to the release." in told
    assert f"{name}: median tail probability " in told
    assert "stars: stays as it is. The release holds no spectra that the model is for." in told
    assert [path.name for path in adapted.iterdir()] == [name]
    references = Store.open(str(store)).configuration.models
    assert [each.name for each in references] == [str(adapted / name), str(tmp_path / "stars")]
    before = (adapted / name / "model.safetensors").stat().st_mtime_ns

    assert run_command([*words, "--score-only"]) == 0  # nothing to do, nothing adapted again
    assert (adapted / name / "model.safetensors").stat().st_mtime_ns == before
    other = [*words[:3], str(tmp_path / "other.zarr"), *words[4:]]
    assert run_command([*other, *more]) == 0  # a second store with the models of the first
    assert f"{name}: adapted before, in {adapted / name}." in shown(capsys)
    assert Store.open(str(tmp_path / "other.zarr")).configuration.models == references


def test_adapted_models_of_others_are_refused(
    release: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "odd.zarr"
    plain = ["run", str(release), "--store", str(store), "--model", str(model), "--executor", "serial"]
    assert run_command([*plain, "--score-only"]) == 0
    capsys.readouterr()
    assert run_command([*plain, "--adapt", str(tmp_path / "adapted")]) == 64
    told = shown(capsys)
    assert "The store keeps the models that it was made with, and none of them is adapted." in told
    assert "Leave --adapt out, or choose another --store." in told
    card = load_local_model(str(model)).card
    save_model(random_model(), tmp_path / "adapted" / card.name)  # made by somebody else
    plain[3] = str(tmp_path / "other.zarr")
    assert run_command([*plain, "--adapt", str(tmp_path / "adapted")]) == 64
    assert "The directory of adapted models holds one of another model." in shown(capsys)
    assert not Path(plain[3]).exists()


def test_a_model_of_another_survey_is_refused(
    release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(release, "sdss-galaxy", tmp_path / "mine") == 64
    told = shown(capsys)
    assert "The model is of another survey than the release." in told
    assert f"a model on grid {DESI_GRID.name}" in told


def test_a_release_without_the_models_class_is_refused(
    release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stars = random_model()
    stars.card = replace(stars.card, name="stars", classes=("STAR",))
    save_model(stars, tmp_path / "stars")
    with pytest.raises(ConfigurationError) as caught:
        adapt_model(AdaptingRequest((str(release),), str(tmp_path / "mine"), "mine", str(tmp_path / "stars")))
    assert caught.value.kind is ErrorKind.NOTHING_TO_ADAPT_TO
    assert "class STAR" in caught.value.allowed
    assert "--model" in caught.value.remedy


def test_a_card_of_an_older_version_is_refused(
    release: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "old"
    shutil.copytree(model, old)
    card = (old / "card.json").read_text()
    (old / "card.json").write_text(card.replace('"card_version": 3', '"card_version": 2'))
    assert command(release, old, tmp_path / "mine") == 64
    assert "Train the model anew, or use the whyspec version that wrote it" in shown(capsys)


def test_shares_of_outliers_that_cannot_be_are_refused(
    release: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(release, model, tmp_path / "mine", "--outliers", "0.2") == 64
    assert "0 to 0.05" in shown(capsys)


def test_the_deviation_of_even_tails_is_small() -> None:
    even = (np.arange(100) + 0.5) / 100
    assert largest_deviation(even) == pytest.approx(0.005)
    assert largest_deviation(even**2) == pytest.approx(0.255, abs=0.005)
