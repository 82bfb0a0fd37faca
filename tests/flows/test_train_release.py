"""Training from the command line: native files in, a model that scores out."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.weights import load_model
from tests.small_run import small_release, whyspec


@pytest.fixture(scope="module")
def larger_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_release(tmp_path_factory.mktemp("training") / "release", 220, seed=8, per_file=110)


def test_train_writes_a_model_that_run_accepts(larger_release: Path, tmp_path: Path) -> None:
    model, store = tmp_path / "mine", tmp_path / "odd.zarr"
    done = whyspec("train", larger_release, "--model", model, "--epochs", 1, "--seed", 4)
    assert done.returncode == 0, done.stderr
    assert "chi2 per pixel" in done.stderr + done.stdout
    card = load_model(str(model)).card
    assert card.name == "mine"
    assert card.classes == ("GALAXY",)
    assert card.training["settings"]["seed"] == 4
    assert sorted(path.name for path in model.iterdir()) == ["card.json", "model.safetensors"]
    options = ["--windows", "1024", "--baselines", "1", "--preset", "reference-code", "--executor", "serial"]
    done = whyspec("run", larger_release, "--store", store, "--model", model, "--threshold", "0.1", *options)
    assert done.returncode == 0, done.stderr


def test_a_directory_with_other_things_is_not_written_to(larger_release: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    done = whyspec("train", larger_release, "--model", tmp_path)
    assert done.returncode == 66
    assert "holds something that is not a model" in " ".join(done.stderr.split())
