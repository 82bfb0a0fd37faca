"""Training from the command line: native files in, a model that scores out."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from flows.command_line import run_command
from flows.commands.release import train
from flows.training import kinds
from models.errors import ConfigurationError
from models.weights import load_model
from tests.forked_commands import Command, Death, begin_server, forked_whyspec, start
from tests.small_run import SMALL_TRAINING, small_release

PRELOADED = ("flows.train", "flows.training.progress", "flows.training.figure", "torch._dynamo")

SHARES = ("--validation", 0.15, "--calibration", 0.25)


@pytest.fixture(scope="module", autouse=True)
def forking() -> None:
    begin_server(*PRELOADED)


@pytest.fixture(scope="module")
def little_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of so few galaxies that an epoch is few steps."""
    return small_release(tmp_path_factory.mktemp("little") / "release", 90, seed=9, per_file=45)


def test_train_writes_a_model_that_run_accepts(little_release: Path, tmp_path: Path) -> None:
    model, store = tmp_path / "mine", tmp_path / "odd.zarr"
    done = forked_whyspec("train", little_release, "-o", model, "--epochs", 1, "--seed", 4, *SHARES)
    assert done.returncode == 0, done.stderr
    assert "chi2 per pixel" in done.stderr + done.stdout
    card = load_model(str(model)).card
    assert card.name == "mine"
    assert card.classes == ("GALAXY",)
    assert card.training["settings"]["seed"] == 4
    there = sorted(path.name for path in model.iterdir())
    assert there == ["card.json", "model.safetensors", "training.json", "training.png"]
    options = ["--windows", 1024, "--baselines", 1, "--preset", "reference-code", "--executor", "serial"]
    tokens = ["run", little_release, "--store", store, "--model", model, "--threshold", 0.05, *options]
    ran = start(*tokens, store=store, scratch=tmp_path)
    assert ran.wait() == 0, ran.shown.read_text()


def test_a_directory_with_other_things_is_not_written_to(
    little_release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    assert run_command(["train", str(little_release), "-o", str(tmp_path)]) == 66
    assert "holds something that is not a model" in " ".join(capsys.readouterr().err.split())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def train_small() -> None:
    """What is trained in this process has few weights."""
    kinds.TrainingSettings = partial(replace, SMALL_TRAINING, flow_epochs=6)  # type: ignore[assignment,misc]


def start_training(
    release: Path, model: Path, epochs: int, *options: object, death: Death | None = None
) -> Command:
    """Begin to train a small model in ``model``, beside which files about the command lie."""
    tokens = ("train", release, "-o", model, "--epochs", epochs, "--seed", 5, "--threads", 1)
    return start(
        *tokens, *SHARES, *options, store=model, scratch=model.parent, death=death, before=train_small
    )


def told_epochs(model: Path) -> list[tuple[str, int]]:
    """Stage and number of every epoch in the history."""
    content = json.loads((model / "training.json").read_text())
    return [(each["stage"], each["epoch"]) for each in content["epochs"]]


@pytest.mark.slow
def test_killed_again_and_again_it_ends_with_the_same_bytes(little_release: Path, tmp_path: Path) -> None:
    """Killed while it prepares, after its first epoch, and while it fits the density."""
    whole, mine = tmp_path / "whole" / "mine", tmp_path / "killed" / "mine"
    done = start_training(little_release, whole, 3)
    assert done.wait() == 0, done.shown.read_text()

    def kill_before(change: str, number: int = 0) -> None:
        killed = start_training(little_release, mine, 3, death=Death(number, change))
        assert killed.wait() == -signal.SIGKILL, killed.shown.read_text()

    kill_before("open training-set/spectra.zarr/redshift/c")
    assert (mine / "training-set" / "spectra.zarr" / "ivar").exists()
    assert not (mine / "training-set" / "prepared.json").exists()
    kill_before("open .checkpoint.safetensors", 1)
    assert told_epochs(mine) == [("autoencoder", 1)]
    kill_before("open .training.json", 5)
    assert told_epochs(mine)[-1] == ("density", 3)
    assert (mine / "checkpoint.safetensors").exists()
    assert not (mine / "model.safetensors").exists()
    done = start_training(little_release, mine, 3)
    assert done.wait() == 0, done.shown.read_text()
    assert "prepared spectra are used again" in done.shown.read_text()
    for name in ("model.safetensors", "card.json"):
        assert (mine / name).read_bytes() == (whole / name).read_bytes(), name
    assert told_epochs(mine) == told_epochs(whole)
    assert sorted(path.name for path in mine.iterdir()) == sorted(path.name for path in whole.iterdir())


@pytest.mark.slow
def test_a_named_cache_serves_the_next_training_to_the_same_bytes(
    little_release: Path, tmp_path: Path
) -> None:
    cache, model = tmp_path / "cache", tmp_path / "mine"
    options = ("--cache", cache, "--cache-size", "20MB")
    kept = []
    for _ in range(2):
        done = start_training(little_release, model, 1, *options)
        assert done.wait() == 0, done.shown.read_text()
        kept.append((model / "model.safetensors").read_bytes())
        for path in model.iterdir():
            path.unlink()
    assert kept[0] == kept[1]
    assert "prepared spectra are used again" in done.shown.read_text()
    assert sum(path.stat().st_size for path in cache.rglob("*") if path.is_file()) <= 20_000_000


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"validation": 0.5, "calibration": 0.5}, "together below 1"),
        ({"cache_size": "many"}, "number of bytes"),
        ({"redshift": (0.4, 0.1)}, "low end, then a high end"),
        ({"population": "quasar"}, "no spectra of this kind"),
        ({"limit": 0}, "0(.|\n)*1 or more"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(
    little_release: Path, tmp_path: Path, options: dict[str, Any], text: str
) -> None:
    with pytest.raises(ConfigurationError, match=text):
        train((str(little_release),), output=tmp_path / "mine", **options)
