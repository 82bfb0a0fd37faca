"""Methods of attribution on the command line: listed, chosen and refused, for one spectrum and for a run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import whyspec
from engine.attribution.methods import METHODS
from engine.attribution.repair import RepairSettings
from engine.attribution.residual import ResidualSettings
from engine.store.reading import StoreView
from engine.surveys.desi.grid import DESI_GRID
from flows.command_line import run_command
from models.weights import save_model
from tests.conftest import random_model


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A spectrum of one's own; a model lies beside it."""
    directory = tmp_path_factory.mktemp("own")
    wavelength = DESI_GRID.wavelength()
    flux = 5 + 3 * np.exp(-0.5 * np.square((wavelength - 6200) / 20))
    flux += 0.5 * np.random.default_rng(2).normal(size=DESI_GRID.size)
    columns = {"wavelength": wavelength, "flux": flux, "ivar": np.full(DESI_GRID.size, 4.0)}
    pd.DataFrame(columns).to_csv(directory / "mine.csv", index=False)
    save_model(random_model(), directory / "model")
    return directory / "mine.csv"


def explain(table: Path, *options: str) -> int:
    model = str(table.parent / "model")
    return run_command(
        ["explain", str(table), "--redshift", "0.2", "--class", "GALAXY", "--model", model, *options]
    )


def told(capsys: pytest.CaptureFixture[str]) -> str:
    """Standard error as one line."""
    return " ".join(capsys.readouterr().err.split())


def test_explain_takes_any_method_and_says_which(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figure = tmp_path / "why.svg"
    options = ["--method", "lime", "--setting", "samples=60", "--setting", "width=1024", "--json"]
    assert explain(table, *options, "-o", str(figure)) == 0
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    assert (found["method"], found["windows"]) == ("lime", [1024])
    assert "explained by lime" in " ".join(shown.err.split())
    spectrum = whyspec.read(str(table), redshift=0.2, spectral_class="GALAXY")
    explanation = whyspec.load_model(str(table.parent / "model")).explain(
        spectrum, method="lime", samples=60, width=1024
    )
    assert explanation.method == "lime"
    assert explanation.to_dict() == found  # Python and the command give the same
    assert figure.read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (("--method", "guess"), ("method of attribution", "got guess", "occlusion, plain-occlusion")),
        (("--method", "repair", "--setting", "samples=3"), ("repair settings", "got samples", "usual=0.02")),
        (("--method", "lime", "--setting", "samples=few"), ("settings, samples", "got few", "an integer")),
        (("--setting", "windows"), ("--setting", "got windows", "NAME=VALUE")),
        (("--setting", "seed=1", "--setting", "seed=2"), ("--setting", "got seed=2", "each name once")),
        (("--method", "lime", "--windows", "4"), ("--windows", "got method lime", "by --setting NAME=VALUE")),
        # Only the model tells that these do not do; nothing is computed before.
        (("--setting", "baselines=201"), ("occlusion settings, baselines", "got 201", "1 to 200 of tiny")),
        (
            ("--method", "sobol", "--setting", "width=9000"),
            ("settings, width", "got 9000", "1 to 7781 pixels"),
        ),
        (
            ("--method", "plain-occlusion", "--setting", "windows=8000"),
            ("plain-occlusion settings, windows", "got 8000", "1 to 7781 pixels"),
        ),
    ],
)
def test_what_does_not_do_is_told(
    table: Path, options: tuple[str, ...], parts: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(table, *options) == 64
    text = told(capsys)
    for part in (*parts, "remedy"):
        assert part in text


def test_a_run_explains_by_the_method_that_it_is_given(
    release: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = str(tmp_path / "odd.zarr")
    where = ["run", str(release), "--store", store, "--executor", "serial"]
    first = ["--model", str(model), "--threshold", "0.1"]
    chosen = ["--method", "residual", "--setting", "windows=64,512"]
    assert run_command([*where, *first, *chosen, "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["explained"] == summary["outliers"] > 0
    view = StoreView.open(store)
    assert view.configuration.attribution == ResidualSettings((64, 512))
    assert view.outlier(0).maps.shape == (2, DESI_GRID.size)
    assert run_command(["show", store, view.outlier(0).key]) == 0
    assert "explained by residual" in " ".join(capsys.readouterr().out.split())
    # What is left out is the store's, also from Python.
    assert not whyspec.run(str(release), store, executor="serial", progress=False).did_something
    again = whyspec.run(
        str(release),
        store,
        executor="serial",
        method="residual",
        settings={"windows": (64, 512)},
        progress=False,
    )
    assert not again.did_something
    for other, parts in (
        (["--method", "repair"], ("repair: {'usual': 0.02, 'rounds': 4, 'steps': 6} here, none there",)),
        (["--setting", "windows=64"], ("residual: {'windows': [64]} here, {'windows': [64, 512]} there",)),
        (["--windows", "64"], ("Options of occlusion", "got method residual", "windows=1,4,16")),
    ):
        assert run_command([*where, *other]) == 64
        text = told(capsys)
        assert all(part in text for part in parts), text


def test_a_plan_counts_the_passes_of_the_method(
    release: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def seconds(*options: str) -> float:
        tokens = ["plan", str(release), "--store", str(tmp_path / "none.zarr"), "--model", str(model)]
        assert run_command([*tokens, "--threshold", "0.1", *options, "--json"]) == 0
        explaining: float = json.loads(capsys.readouterr().out)["forecast"]["rates"]["explaining"]
        return explaining

    assert seconds() == 6.5
    # Full passes: a local model's seams, by which occlusion is so much quicker, do nothing for it.
    assert seconds("--method", "lime", "--setting", "samples=890") == pytest.approx(1.5)
    assert seconds("--method", "aggregate") > 6.5
    assert run_command(["plan", str(release), "--store", str(tmp_path / "s"), "--method", "guess"]) == 64


def test_methods_are_listed_with_what_they_take(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["methods", "--json", "--pixels", "4000"]) == 0
    listed = {each["name"]: each for each in json.loads(capsys.readouterr().out)}
    assert list(listed) == list(METHODS)
    assert listed["lime"]["passes"] == 2000
    assert listed["exact-shapley"]["passes"] == 2**4
    assert listed["repair"]["needs"] == ["forward", "gradient", "decoder", "anew"]
    assert [each["name"] for each in listed["repair"]["settings"]] == list(RepairSettings.names())
    assert all(each["reference"] for each in listed.values())
    assert run_command(["methods", "sobol", "repair"]) == 0
    text = capsys.readouterr().out
    assert "3,968 for 7,781 pixels" in text
    assert "replacement=reconstruction (reconstruction, nearest" in text
    assert "lime" not in text
    assert run_command(["methods", "guess"]) == 64
    assert run_command(["methods", "--pixels", "0"]) == 64
