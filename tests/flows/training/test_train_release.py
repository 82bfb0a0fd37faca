"""Training from the command line: native files in, a model that scores out."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from flows.commands.release import train
from models.errors import ConfigurationError
from models.weights import load_model
from tests.small_run import environment, small_release, whyspec


@pytest.fixture(scope="module")
def larger_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_release(tmp_path_factory.mktemp("training") / "release", 220, seed=8, per_file=110)


def test_train_writes_a_model_that_run_accepts(larger_release: Path, tmp_path: Path) -> None:
    model, store = tmp_path / "mine", tmp_path / "odd.zarr"
    done = whyspec("train", larger_release, "-o", model, "--epochs", 1, "--seed", 4)
    assert done.returncode == 0, done.stderr
    assert "chi2 per pixel" in done.stderr + done.stdout
    card = load_model(str(model)).card
    assert card.name == "mine"
    assert card.classes == ("GALAXY",)
    assert card.training["settings"]["seed"] == 4
    there = sorted(path.name for path in model.iterdir())
    assert there == ["card.json", "model.safetensors", "training.json", "training.png"]
    options = ["--windows", "1024", "--baselines", "1", "--preset", "reference-code", "--executor", "serial"]
    done = whyspec("run", larger_release, "--store", store, "--model", model, "--threshold", "0.1", *options)
    assert done.returncode == 0, done.stderr


def test_a_directory_with_other_things_is_not_written_to(larger_release: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    done = whyspec("train", larger_release, "-o", tmp_path)
    assert done.returncode == 66
    assert "holds something that is not a model" in " ".join(done.stderr.split())


@pytest.fixture(scope="module")
def little_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of so few galaxies that an epoch is one step."""
    return small_release(tmp_path_factory.mktemp("little") / "release", 90, seed=9, per_file=45)


def train_command(release: Path, model: Path, epochs: int, *options: object) -> list[str]:
    tokens = ("train", release, "-o", model, "--epochs", epochs, "--seed", 5, "--threads", 1)
    options = ("--validation", 0.15, "--calibration", 0.25, *options)
    return [sys.executable, "-m", "flows.command_line", *map(str, (*tokens, *options))]


def told_epochs(model: Path) -> list[tuple[str, int]]:
    """Stage and number of every epoch in the history; none while there is no history."""
    try:
        content = json.loads((model / "training.json").read_text())
    except FileNotFoundError:
        return []
    return [(each["stage"], each["epoch"]) for each in content["epochs"]]


def reached(model: Path, moment: tuple[str, int]) -> bool:
    return moment in told_epochs(model)


def kill_when(command: list[str], so: Callable[[], bool]) -> None:
    """Start a command and SIGKILL it as soon as something is so; fails if it ends before."""
    with subprocess.Popen(
        command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as run:
        deadline = time.monotonic() + 120
        while not so():
            assert run.poll() is None, run.communicate()[1].decode()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        run.kill()
        assert run.wait() == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.timeout(900)  # six processes that import torch
def test_killed_again_and_again_it_ends_with_the_same_bytes(little_release: Path, tmp_path: Path) -> None:
    """Killed while it prepares, after its first epoch, and while it fits the density."""
    whole, mine = tmp_path / "whole" / "mine", tmp_path / "killed" / "mine"
    done = subprocess.run(
        train_command(little_release, whole, 3),
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    command = train_command(little_release, mine, 3)
    kill_when(command, (mine / "training-set" / "spectra.zarr" / "ivar").exists)
    assert not (mine / "training-set" / "prepared.json").exists()
    for moment in (("autoencoder", 1), ("density", 3)):
        kill_when(command, partial(reached, mine, moment))
        assert (mine / "checkpoint.safetensors").exists()
        assert not (mine / "model.safetensors").exists()
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "prepared spectra are used again" in done.stderr
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
        done = subprocess.run(
            train_command(little_release, model, 1, *options),
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        kept.append((model / "model.safetensors").read_bytes())
        for path in model.iterdir():
            path.unlink()
    assert kept[0] == kept[1]
    assert "prepared spectra are used again" in done.stderr
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
