"""``whyspec evaluate`` as a user meets it, and the card that is filled from what it wrote."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from engine.evaluation.card_metrics import PREFIX, card_metrics
from engine.evaluation.detectors import TAIL
from engine.evaluation.held_out_spectra import HeldOutSettings
from engine.evaluation.results import ALL
from flows.command_line import run_command
from flows.evaluation import labelled_spectra
from flows.evaluation.evaluate import (
    FIGURE,
    RESULTS,
    TABLES,
    EvaluationRequest,
    evaluate,
    fill_card,
)
from models.errors import ConfigurationError
from models.weights import load_model
from tests.forked_commands import forked_whyspec
from tests.small_run import small_release, tree_bytes

OPTIONS = (
    "--spectra",
    24,
    "--strengths",
    "5,1e3",
    "--kinds",
    "cosmic_rays,dead_region",
    "--explain",
    0,
    "--rivals",
    60,
    "--threads",
    1,
)


@pytest.fixture(scope="module")
def evaluated(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that the real command wrote; what it printed lies in it too."""
    out = tmp_path_factory.mktemp("evaluated") / "deep" / "evaluation"
    done = forked_whyspec("evaluate", model, "-o", out, *OPTIONS, "--json")
    assert done.returncode == 0, done.stderr
    (out / "stdout").write_text(done.stdout)
    (out / "stderr").write_text(done.stderr)
    return out


def test_the_command_writes_results_and_figure_and_shows_them(evaluated: Path) -> None:
    results = json.loads((evaluated / RESULTS).read_text())
    assert json.loads((evaluated / "stdout").read_text()) == results
    assert results["settings"]["strengths"] == [5.0, 1000.0]
    assert results["settings"]["kinds"] == ["cosmic_rays", "dead_region"]
    assert (evaluated / FIGURE).read_bytes().startswith(b"\x89PNG")
    tables = (evaluated / TABLES).read_text()
    (cell,) = (
        each
        for each in results["detection"]
        if (each["kind"], each["strength"], each["snr"]) == ("cosmic_rays", 5.0, ALL)
    )
    (tail,) = (each for each in cell["detectors"] if each["detector"] == TAIL)
    assert f"| cosmic rays | {tail['auc']['value']:.2f} " in tables
    shown = " ".join((evaluated / "stderr").read_text().split())
    assert "cosmic rays" in shown
    assert "if just the clean spectrum is known" in shown
    # No dead region is worth a thousand sigma, and the user is told.
    assert ("dead_region", 1000.0) not in {(each["kind"], each["strength"]) for each in results["detection"]}
    assert "dead region at 1000 σ: 0 injected, 24 in which the kind cannot be as strong" in shown


def test_the_seed_decides_the_numbers(evaluated: Path, model: Path) -> None:
    kinds, strengths = ("cosmic_rays", "dead_region"), (5.0, 1000.0)
    first, other = (
        evaluate(
            EvaluationRequest(str(model), HeldOutSettings(24, seed), strengths, kinds, rivals=60),
            1,
            Console(quiet=True),
        ).detection
        for seed in (1, 2)
    )
    assert first.to_dict() == json.loads((evaluated / RESULTS).read_text())
    assert other.detection != first.detection


def test_a_card_is_filled_by_the_results_of_its_own_model_once(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "model"
    shutil.copytree(model, copy)
    before, untouched, filled = load_model(str(copy)).card, tree_bytes(copy), tmp_path / "filled"
    request = EvaluationRequest(str(copy), HeldOutSettings(24, 1), (5.0,), ("cosmic_rays",), rivals=60)
    results = evaluate(request, 1, Console(quiet=True)).detection
    command = ["evaluate", str(copy), "-o", str(tmp_path / "out"), "--explain", "0", "--threads", "1"]
    options = ["--spectra", "24", "--strengths", "5", "--kinds", "cosmic_rays", "--rivals", "60"]
    assert run_command([*command, *options, "--fill-card", str(filled)]) == 0
    assert tree_bytes(copy) == untouched
    after = load_model(str(filled)).card
    assert after.digest != before.digest
    assert f"Card filled: {before.name} in {filled}, now {after.digest}" in " ".join(
        capsys.readouterr().err.split()
    )
    assert after.metrics[f"{PREFIX}spectra"] == 24
    assert {**before.metrics, **card_metrics(results)} == dict(after.metrics)
    assert {name: after.metrics[name] for name in before.metrics} == dict(before.metrics)
    with pytest.raises(ConfigurationError) as caught:
        fill_card(str(filled), results, filled)
    assert caught.value.kind == "model-digest"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--kinds", "aliens"),
        ("--strengths", "0"),
        ("--strengths", "5,x"),
        ("--spectra", "0"),
        ("--rivals", "59"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_computed(
    option: str, value: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run_command(["evaluate", str(model), "-o", str(out), option, value]) == 64
    assert option.lstrip("-") in capsys.readouterr().err
    assert not out.exists()


def test_what_is_not_there_is_refused(model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert run_command(["evaluate", str(model), "-o", str(tmp_path / "file" / "out")]) == 66
    assert run_command(["evaluate", str(tmp_path / "no-model"), "-o", str(tmp_path / "out")]) == 66


def test_labelled_spectra_are_compared_with_ordinary_and_simulated_ones(model: Path, tmp_path: Path) -> None:
    """Of a small simulated release, one file's galaxies are called ordinary, another's odd."""
    release = small_release(tmp_path / "release")
    first, second, *_ = sorted(release.rglob("coadd-*.fits"))
    names = [path.relative_to(release) for path in (first, second)]
    lines = ["file,label", f"{names[0]},ordinary galaxy", f"{names[1]},odd"]
    (release / "manifest.csv").write_text("\n".join(lines))
    out = tmp_path / "out"
    done = forked_whyspec("evaluate", model, "-o", out, *OPTIONS, "--labelled", release)
    assert done.returncode == 0, done.stderr
    found = json.loads((out / labelled_spectra.RESULTS).read_text())
    assert found["model"]["digest"] == load_model(str(model)).card.digest
    groups = {group["label"]: group for group in found["groups"]}
    assert list(groups)[:2] == ["ordinary galaxy", "odd"]
    for group in groups.values():
        assert group["spectra"] == group["scored"] + sum(group["refused"].values())
        assert group["flagged"] <= group["scored"]
    assert groups["ordinary galaxy"]["above_ordinary"] is None
    assert 0 <= groups["odd"]["above_ordinary"]["value"] <= 1
    assert found["distance"]["real"] == groups["ordinary galaxy"]["scored"]
    assert found["distance"]["simulated"] == 24
    assert 0 <= found["distance"]["apart_alike"] <= 1
    assert (out / labelled_spectra.FIGURE).read_bytes().startswith(b"\x89PNG")
    assert "Ordinary galaxies score above simulated spectra" in " ".join(done.stdout.split())


def test_labels_without_a_manifest_are_refused_before_anything_is_simulated(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", str(model), "-o", str(tmp_path / "out"), "--labelled", str(tmp_path)]
    assert run_command(command) == 66
    assert "manifest" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []


def test_strengths_and_kinds_are_kept_once_and_in_order() -> None:
    request = EvaluationRequest(
        "m", HeldOutSettings(1, 1), strengths=(10.0, 5.0, 10.0), kinds=("tilt", "arm_step", "tilt")
    )
    assert request.settings.strengths == (5.0, 10.0)
    assert request.settings.kinds == ("tilt", "arm_step")
