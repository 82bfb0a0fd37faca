"""``whyspec import-spender`` as a user meets it, and a run with what it makes."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import zarr

from flows.command_line import run_command
from models.weights import load_model
from tests.models.spender.spender_made import made_files
from tests.small_run import small_release


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return made_files(tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_release(tmp_path_factory.mktemp("release") / "release", spectra=170, per_file=40)


def command(*tokens: object) -> int:
    return run_command([str(token) for token in tokens])


@pytest.mark.slow
def test_calibrate_and_run(
    files: tuple[Path, Path], release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, store = tmp_path / "model", tmp_path / "odd.zarr"
    assert command("import-spender", *files, "-o", model, "--calibrate", release, "--threads", 1) == 0
    assert f"--model {model}" in capsys.readouterr().err.replace("\n", "")
    card = load_model(str(model)).card
    assert "desi" in card.training["calibration"]
    assert card.snr_min > 0
    done = command(
        "run", release, "--store", store, "--model", model, "--preset", "reference-code", "--threshold", 0.02,
        "--windows", "1024", "--baselines", 1, "--executor", "serial", "--json",
    )  # fmt: skip
    assert done == 0
    summary = json.loads(capsys.readouterr().out)
    # The tail that it was calibrated to have on these very spectra.
    scored = summary["status_counts"]["scored"]
    assert 0 < summary["outliers"] <= 2 * 0.02 * scored
    assert summary["explained"] == summary["outliers"]
    combined = zarr.open_group(store, mode="r")["outliers"]["combined"][: summary["explained"]]
    assert np.isfinite(combined).all()
    assert (combined.std(axis=1) > 0).all()


def test_without_spectra_and_with_too_few(files: tuple[Path, Path], release: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    assert command("import-spender", *files, "-o", out, "--name", "mine", "--threads", 1) == 0
    assert load_model(str(out)).card.name == "mine"
    assert "drawn from the flow" in load_model(str(out)).card.training["calibration"]
    # Limited, they are too few, and nothing is written.
    less = tmp_path / "less"
    assert (
        command("import-spender", *files, "-o", less, "--calibrate", release, "--limit", 50, "--threads", 1)
        == 64
    )
    assert not less.exists()


def test_what_cannot_be_imported(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pickle.pt").write_bytes(pickle.dumps({"a": 1}))
    out = tmp_path / "model"
    assert command("import-spender", files[0], tmp_path / "pickle.pt", "-o", out) == 66
    assert "would run code" in " ".join(capsys.readouterr().err.split())
    assert command("import-spender", files[1], "-o", out) == 66
    assert "flow.pt: a flow" in " ".join(capsys.readouterr().err.split())
    assert not out.exists()
    assert command("import-spender", *files, "-o", tmp_path) == 66
    assert "something that is not a model" in " ".join(capsys.readouterr().err.split())
