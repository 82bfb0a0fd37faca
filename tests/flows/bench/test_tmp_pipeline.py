"""``whyspec bench pipeline`` as a user meets it, and what its numbers mean."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from engine.spectra.rows import Rows
from engine.surveys.listing import list_release
from engine.surveys.reading import read_spectra
from flows.bench.devices import Machine
from flows.bench.pipeline_release import pipeline_release
from flows.bench.pipeline_results import PipelineBench, PipelineRun
from flows.bench.read_ahead import ReadAhead
from flows.bench.start_up import StartUp
from flows.command_line import run_command
from flows.run.part_seconds import PartSeconds
from tests.small_run import whyspec


def bench() -> PipelineBench:
    """A run of 100 s on two workers, of which the parts take 190 core-seconds."""
    run = PipelineRun(1000, 50, 40, 10, 20, 4.0, 70.0, 25.0, 1.0, 100.0, 0, 2**30)
    parts = PartSeconds(400, 0.01, 0.005, 0.095, 2.0)
    small = replace(run, spectra=250, files=3, driver_bytes=2**30 - 2**20)
    machine = Machine("cpu", 2, 1, "cpu", "cpu", "", "", "", None, None)
    ahead, start = ReadAhead(500, 4, 0.1, 2.0, 4.0, 4.5), StartUp(2.5, 5.5, 0.9)
    return PipelineBench("m", 2, 100, parts, small, run, ahead, start, machine)


def test_what_is_derived_follows_from_what_was_measured() -> None:
    found = bench()
    assert found.ideal_seconds == pytest.approx((1000 * 0.11 + 40 * 2.0) / 2)
    assert found.overhead == pytest.approx(100 / 95 - 1)
    assert found.stage_overhead == pytest.approx(95 / 95 - 1)
    assert found.bottleneck == "score"
    assert found.shares == pytest.approx(
        {"decode": 0.05, "normalise": 0.025, "score": 0.475, "explain": 0.4, "the rest": 0.05}
    )
    assert found.driver_growth_bytes == 2**20
    assert found.read_ahead.hidden == pytest.approx((2 + 4 - 4.5) / 2)


def test_the_release_has_as_many_keys_as_rows_and_is_made_once(tmp_path: Path) -> None:
    told: list[str] = []
    release = pipeline_release(tmp_path / "r", 100, 40, 30, told.append)
    listing = list_release([str(release)])
    assert (listing.spectra, len(listing.files), len(listing.refused)) == (100, 3, 0)
    rows = Rows.concatenate([read_spectra(file).rows for file in listing.files])
    keys = [key for key in Rows.keys(rows) if "#" not in key]
    assert len(set(keys)) == len(keys) > 90
    told.clear()
    pipeline_release(tmp_path / "r", 100, 40, 30, told.append)
    assert told == []


def test_a_directory_with_something_else_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "release").mkdir()
    (tmp_path / "release" / "precious.txt").write_text("mine")
    assert run_command(["bench", "pipeline", "--directory", str(tmp_path), "--spectra", "10"]) == 66
    assert "does not write over what is there" in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_one_json_document_and_the_table_beside_it(tmp_path: Path) -> None:
    done = whyspec(
        "bench", "pipeline", "--directory", tmp_path / "b", "--spectra", 64, "--spectra-per-file", 8,
        "--distinct", 8, "--workers", 1, "--sample", 1, "--delay", 0.02, "--threshold", 0.001,
        "--windows", "1024", "--json",
        timeout=1500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["small"]["spectra"], found["small"]["files"]) == (16, 2)
    assert (found["run"]["spectra"], found["run"]["files"], found["run"]["retries"]) == (64, 8, 0)
    assert found["parts"]["spectra"] == 16
    assert min(found["parts"][name] for name in ("decode", "normalise", "score", "explain")) > 0
    assert found["derived"]["spectra_per_second"] == pytest.approx(64 / found["run"]["seconds"])
    assert sum(found["derived"]["shares"].values()) == pytest.approx(1.0)
    assert found["start_up"]["serial"] > 0
    assert 0 < found["start_up"]["nothing"] < found["start_up"]["ray"]
    assert "bottleneck" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "b").glob("stores-*")), "stores are cleaned up"
