"""``whyspec bench occlusion`` and ``whyspec bench plan`` as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flows.command_line import run_command
from models.scoring.scoring_model import ScoringModel
from models.weights import save_model
from tests.small_run import whyspec


@pytest.fixture
def tiny(tiny_model: ScoringModel, tmp_path: Path) -> Path:
    save_model(tiny_model, tmp_path / "tiny")
    return tmp_path / "tiny"


def small(model: Path) -> list[object]:
    return [
        "bench", "occlusion", "--model", model, "--presets", "reference-code", "--windows", "128,512",
        "--baselines", "1,2", "--repeats", 1, "--sample", 3, "--skip", "spender,captum",
    ]  # fmt: skip


def test_one_json_document_and_the_table_beside_it(tiny: Path, tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    done = whyspec(*small(tiny), "--json", "-o", file)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found == json.loads(file.read_text())
    assert (found["model"], found["machine"]["threads"], found["machine"]["device"]) == ("tiny", 1, "cpu")
    assert [case["baselines"] for case in found["cases"]] == [1, 2]
    for case in found["cases"]:
        dense, _, seams = case["measurements"]
        assert [dense["approach"], seams["approach"]] == ["dense", "seams"]
        assert dense["forwards_total"] == case["baselines"] * (1 + case["window_count"])
        assert case["ratios"]["dense"]["seams"] == pytest.approx(dense["seconds"] / seams["seconds"])
        assert seams["extrapolated"] is False
    assert {one["approach"] for one in found["skipped"]} == {"published", "captum"}
    assert "extrapolated from" in done.stderr
    assert "skipped, left out by --skip spender" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    rows = [line.rstrip() for line in done.stderr.splitlines() if "   " in line.strip()]
    assert max(map(len, rows)) <= 80
    assert "…" not in done.stderr


def test_a_picture_of_the_seams(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "seams.png"
    assert run_command(["bench", "seams", "--model", str(tiny), "-o", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "Written" in capsys.readouterr().err
    assert run_command(["bench", "seams", "-o", str(tmp_path / "seams.txt")]) == 66


def test_outputs_that_cannot_be_written_are_refused_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["bench", "occlusion", "-o", str(tmp_path / "nowhere" / "bench.json")]) == 66
    assert "directory does not exist" in " ".join(capsys.readouterr().err.split())
    assert run_command(["bench", "occlusion", "--plot", str(tmp_path / "curves.txt")]) == 66
    assert ".png, .pdf, .svg" in " ".join(capsys.readouterr().err.split())


def test_options_that_make_no_sense_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for options, where in (
        (["--presets", "newspaper"], "--presets"),
        (["--baselines", "many"], "--baselines"),
        (["--skip", "torch"], "--skip"),
        (["--windows", "4,1"], "windows"),
        (["--device", "nonsense"], "--device"),
    ):
        assert run_command(["bench", "occlusion", *options]) == 64
        assert where in capsys.readouterr().err


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["bench", "occlusion", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "whyspec bench occlusion " in shown
    assert "Parameters" in shown


def test_planning_is_measured_on_a_release_of_many_files(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    place = tmp_path / "place"
    place.mkdir()
    done = whyspec(
        "bench", "plan", "--files", 200, "--repeats", 1, "--directory", place, "--json", "-o", file
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found == json.loads(file.read_text())
    assert (found["files"], found["spectra"]) == (200, 800)
    assert [case["counts"] for case in found["cases"]] == [
        {"new": 200, "skipped": 1},
        {"unchanged": 200, "skipped": 1},
        {"changed": 2, "unchanged": 197, "gone": 1, "skipped": 2},
        {"changed": 199, "gone": 1, "skipped": 2},
    ]
    assert all(rate > 0 for rate in found["derived"]["files_per_second"].values())
    # 800 spectra in blocks of 256, one outlier in a hundred in blocks of 8, and a plan of either kind.
    # A query lists the entries and reads those alone that it needs.
    entries = {"all new": 0, "query, before its first array": 0}
    for measured in (*found["cases"], *found["commands"]):
        wanted = entries.get(measured["name"], 4 + 2 + 2)
        assert (measured["ledger_reads"], measured["ledger_objects"]) == (wanted, wanted), measured["name"]
    assert list(place.iterdir()) == []


def test_a_plan_of_few_files_is_not_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["bench", "plan", "--files", "99"]) == 64
    assert "100 or more" in " ".join(capsys.readouterr().err.split())
