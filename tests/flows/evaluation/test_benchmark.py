"""``whyspec benchmark``: what it writes, that it goes on where it was, and functions of strangers."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import whyspec as package
from engine.benchmark.judged_spectra import JudgedSettings
from engine.evaluation.held_out_spectra import HeldOutSettings
from engine.simulation.anomalies import AnomalyKind
from flows.command_line import run_command
from flows.evaluation.benchmark import PLAN, RECORDS, RESULTS, TABLES, BenchmarkRequest, benchmark
from models.errors import ConfigurationError, InputError
from models.weights import save_model
from tests.conftest import random_model
from tests.small_run import whyspec

QUIET = Console(quiet=True)
JUDGED = JudgedSettings(HeldOutSettings(1, 3), (400.0,), 0.001, (AnomalyKind.COSMIC_RAYS,))


def significance(flux: np.ndarray, ivar: np.ndarray, redshift: float) -> np.ndarray:
    """A stranger's method."""
    return np.abs(flux - np.median(flux)) * np.sqrt(ivar)


def brightest(flux: np.ndarray, ivar: np.ndarray, redshift: np.ndarray) -> np.ndarray:
    """A stranger's detector."""
    return (flux * np.sqrt(ivar)).max(axis=1)


def request(model: Path, output: Path, **others: Any) -> BenchmarkRequest:
    asked = BenchmarkRequest(
        JUDGED,
        output,
        (str(model),),
        ("saliency", significance),
        (brightest, "tail"),
        spectra=3,
        hours=math.inf,
    )
    return replace(asked, **others)


def lasting(results: Any) -> dict[str, Any]:
    """All but the seconds."""
    found = results.to_dict() if hasattr(results, "to_dict") else results
    for each in found["methods"]:
        del each["seconds"]
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a model of random weights."""
    directory = tmp_path_factory.mktemp("random-model")
    save_model(random_model(), directory)
    return directory


@pytest.fixture(scope="module")
def finished(model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The directory of a benchmark, and what it found."""
    output = tmp_path_factory.mktemp("benchmark")
    return output, lasting(benchmark(request(model, output), QUIET))


def test_every_method_stands_on_every_spectrum(finished: tuple[Path, dict[str, Any]]) -> None:
    _, found = finished
    assert [each["name"] for each in found["methods"]] == ["saliency", "significance", "random"]
    for each in found["methods"]:
        assert each["estimates"]["located"]["all"]["count"] == 3
        assert each["failures"] == {}
    saliency = found["methods"][0]["estimates"]
    assert saliency["exact_zero"]["all"]["value"] == 1.0
    assert saliency["exact_zero"]["all"]["count"] == 1
    assert found["methods"][1]["estimates"]["exact_zero"]["all"]["count"] == 0
    assert {each["detector"] for each in found["detectors"]} == {"brightest", "tail"}
    assert sum(each["detected"] for each in found["spectra"]) == 3


def test_killed_and_resumed_equals_uninterrupted(
    model: Path, finished: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    calls = 0

    def interrupted(flux: np.ndarray, ivar: np.ndarray, redshift: float) -> np.ndarray:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return significance(flux, ivar, redshift)

    interrupted.__name__, interrupted.__qualname__ = significance.__name__, significance.__qualname__
    interrupted.__module__ = significance.__module__
    asked = request(model, tmp_path, methods=("saliency", interrupted))
    with pytest.raises(KeyboardInterrupt):
        benchmark(asked, QUIET)
    records = sorted((tmp_path / RECORDS).rglob("*.json"))
    assert records
    kept = {path: path.stat().st_mtime_ns for path in records[:-1]}
    records[-1].write_bytes(b'{"digest"')  # a damaged one is made anew
    stray = records[0].with_name(".x.json.partial")
    stray.write_bytes(b"")
    assert lasting(benchmark(asked, QUIET)) == finished[1]
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_what_is_finished_is_not_done_again(
    model: Path, finished: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    shutil.copytree(finished[0], tmp_path / "copy")

    def never(flux: np.ndarray, ivar: np.ndarray, redshift: float) -> np.ndarray:
        raise AssertionError("its records are there")

    never.__name__, never.__qualname__ = significance.__name__, significance.__qualname__
    never.__module__ = significance.__module__
    again = benchmark(request(model, tmp_path / "copy", methods=("saliency", never)), QUIET)
    assert lasting(again) == finished[1]
    # Another seed is another benchmark: nothing of the old one counts.
    other = replace(JUDGED, held_out=HeldOutSettings(1, 4))
    anew = benchmark(
        request(model, tmp_path / "copy", judged=other, methods=("saliency", never), spectra=1, detectors=()),
        QUIET,
    )
    assert anew.method("significance").failures == {
        "A method failed. AssertionError: its records are there": 1
    }


@pytest.mark.slow
def test_the_command_in_two_processes_writes_what_one_does(model: Path, tmp_path: Path) -> None:
    def asked(output: Path, workers: int) -> list[object]:
        options = [
            "-o",
            output,
            "--models",
            model,
            "--methods",
            "saliency,residual,saliency/per=flux",
            "--detectors",
            "none",
        ]
        several = ["--spectra", 3, "--strengths", "400", "--threshold", 0.001, "--hours", "inf", "--seed", 3]
        return ["benchmark", *options, *several, "--workers", workers]

    done = whyspec(*asked(tmp_path / "two", 2), "--json")
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "two" / RESULTS).read_text())
    assert json.loads(done.stdout) == written
    assert "Plan" in done.stderr
    assert "Default by the rule of decision 51: `occlusion`" in done.stderr
    for row in ("| saliency | 3 |", "| saliency.per-flux | 3 |"):
        assert row in (tmp_path / "two" / TABLES).read_text()
    assert run_command(list(map(str, asked(tmp_path / "one", 1)))) == 0
    alone = json.loads((tmp_path / "one" / RESULTS).read_text())
    assert lasting(written) == lasting(alone)


def test_a_plan_alone_explains_one_spectrum(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--models", str(model), "--methods", "saliency", "--spectra", "2", "--strengths", "400"]
    settings = ["--threshold", "0.001", "--seed", "3", "--plan"]
    assert run_command(["benchmark", "-o", str(tmp_path), *options, *settings]) == 0
    assert "minutes of one processor" in capsys.readouterr().err
    assert set(json.loads((tmp_path / PLAN).read_text())["quotas"]) == {"saliency", "random"}
    assert len(list((tmp_path / RECORDS).rglob("*.json"))) == 2
    assert not (tmp_path / RESULTS).exists()


def test_the_python_interface_takes_functions_and_gives_a_table(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = package.benchmark(
        [significance],
        [brightest],
        output=tmp_path,
        models=[str(model)],
        spectra=1,
        strengths=[400.0],
        threshold=0.001,
        seed=3,
    )
    assert repr(found) == "Benchmark of significance, random on 1 spectra"
    table = found.table.set_index(["method", "model", "measure"])
    assert table.loc[("significance", "all", "located"), "count"] == 1
    assert found.choice.chosen == "occlusion"
    assert found.markdown() == (tmp_path / TABLES).read_text()


@pytest.mark.parametrize(
    ("wrong", "error", "text"),
    [
        ({"methods": ("no-such",)}, ConfigurationError, "no method of attribution"),
        ({"methods": ("lime/width=-1",)}, ConfigurationError, "width"),
        ({"methods": ("occlusion/baselines=100000",)}, ConfigurationError, "calibration spectra"),
        ({"methods": ("saliency", "saliency")}, ConfigurationError, "saliency"),
        ({"methods": ("no_such_module:method",)}, InputError, "not there to be called"),
        ({"detectors": ("no-such",)}, ConfigurationError, "pca_scan"),
        ({"detectors": (brightest, brightest)}, ConfigurationError, "brightest"),
        ({"models": ("no-such-model",)}, InputError, "no-such-model"),
    ],
)
def test_what_is_not_there_is_refused_before_any_work(
    model: Path, tmp_path: Path, wrong: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error) as caught:
        benchmark(request(model, tmp_path, **wrong), QUIET)
    assert text in str(caught.value)
    assert not (tmp_path / RECORDS).exists()


@pytest.mark.parametrize(
    "wrong", [{"spectra": 0}, {"hours": 0.0}, {"hours": math.nan}, {"rivals": 1}, {"workers": 0}]
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="out of range"):
        request(tmp_path, tmp_path, **wrong)
