"""``whyspec evaluate`` as a user meets it, and the card that is filled from what it wrote."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from engine.evaluation.card_metrics import PREFIX
from engine.evaluation.held_out_spectra import HeldOutSettings
from flows.command_line import run_command
from flows.evaluation.evaluate import (
    FIGURE,
    RESULTS,
    TABLES,
    EvaluationRequest,
    evaluate,
    fill_card,
    load_results,
)
from models.errors import ConfigurationError, InputError
from models.weights import load_model
from tests.small_run import whyspec

OPTIONS = (
    "--spectra",
    24,
    "--strengths",
    "5,1e3",
    "--kinds",
    "cosmic_rays,dead_region",
    "--explain",
    0,
    "--threads",
    1,
)


@pytest.fixture(scope="module")
def evaluated(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that the real command wrote; what it printed lies in it too."""
    out = tmp_path_factory.mktemp("evaluated") / "deep" / "evaluation"
    done = whyspec("evaluate", model, "--out", out, *OPTIONS, "--json")
    assert done.returncode == 0, done.stderr
    (out / "stdout").write_text(done.stdout)
    (out / "stderr").write_text(done.stderr)
    return out


def test_the_command_writes_results_and_figure_and_shows_them(evaluated: Path) -> None:
    results = load_results(evaluated / RESULTS)
    assert json.loads((evaluated / "stdout").read_text()) == results.to_dict()
    assert results.settings.strengths == (5.0, 1000.0)
    assert results.settings.kinds == ("cosmic_rays", "dead_region")
    assert (evaluated / FIGURE).read_bytes().startswith(b"\x89PNG")
    tables = (evaluated / TABLES).read_text()
    cell = results.cell("cosmic_rays", 5.0)
    assert cell is not None
    assert f"| cosmic rays | {cell.by('tail').auc.value:.2f} " in tables
    shown = " ".join((evaluated / "stderr").read_text().split())
    assert "cosmic rays" in shown
    assert "if just the clean spectrum is known" in shown
    # No dead region is worth a thousand sigma, and the user is told.
    assert results.cell("dead_region", 1000.0) is None
    assert "dead region at 1000 σ: 0 injected, 24 in which the kind cannot be as strong" in shown


def test_the_seed_decides_the_numbers(evaluated: Path, model: Path) -> None:
    kinds, strengths = ("cosmic_rays", "dead_region"), (5.0, 1000.0)
    first, other = (
        evaluate(
            EvaluationRequest(str(model), HeldOutSettings(24, seed), strengths, kinds), 1, Console(quiet=True)
        ).detection
        for seed in (1, 2)
    )
    assert first == load_results(evaluated / RESULTS)
    assert other.detection != first.detection


def test_a_card_is_filled_by_the_results_of_its_own_model_once(
    evaluated: Path, model: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "model"
    shutil.copytree(model, copy)
    before = load_model(str(copy)).card
    results = load_results(evaluated / RESULTS)
    card = fill_card(str(copy), results)
    assert card.digest != before.digest
    after = load_model(str(copy)).card
    assert after == card
    assert after.metrics[f"{PREFIX}spectra"] == 24
    assert {name: after.metrics[name] for name in before.metrics} == dict(before.metrics)
    with pytest.raises(ConfigurationError) as caught:
        fill_card(str(copy), results)
    assert caught.value.kind == "model-digest"


@pytest.mark.parametrize(
    ("option", "value"),
    [("--kinds", "aliens"), ("--strengths", "0"), ("--strengths", "5,x"), ("--spectra", "0")],
)
def test_what_makes_no_sense_is_refused_before_anything_is_computed(
    option: str, value: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run_command(["evaluate", str(model), "--out", str(out), option, value]) == 64
    assert option.lstrip("-") in capsys.readouterr().err
    assert not out.exists()


def test_what_is_not_there_is_refused(model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert run_command(["evaluate", str(model), "--out", str(tmp_path / "file" / "out")]) == 66
    assert run_command(["evaluate", str(tmp_path / "no-model"), "--out", str(tmp_path / "out")]) == 66


def test_results_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no JSON")
    for path in (tmp_path / "text", tmp_path / "nowhere"):
        with pytest.raises(InputError):
            load_results(path)


def test_strengths_and_kinds_are_kept_once_and_in_order() -> None:
    request = EvaluationRequest(
        "m", HeldOutSettings(1, 1), strengths=(10.0, 5.0, 10.0), kinds=("tilt", "arm_step", "tilt")
    )
    assert request.settings.strengths == (5.0, 10.0)
    assert request.settings.kinds == ("tilt", "arm_step")
