"""The command line as a user meets it: a process of its own, its exit status, its two streams."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from engine.attribution.cautions import Caution
from engine.store.verify import verify
from flows.command_line import run_command
from models.model_files import CARD, WEIGHTS, digest, read_model
from tests.forked_commands import begin_server, forked_whyspec
from tests.small_run import SPECTRA, environment, small_options, small_release, tree_bytes, whyspec
from tests.synthetic_store import synthetic_store

COMMANDS = (
    "demo", "plan", "run", "status", "cluster", "report", "query", "match", "export", "show", "explain",
    "methods", "verify", "simulate", "train", "import-spender", "evaluate", "ablation", "settings", "bench",
)  # fmt: skip
"""In the order in which they are used."""

NOISE = ("ray", "prefect", "dask", "Traceback", "Warning", "raylet", "uvicorn", "distributed")


@pytest.fixture(scope="module", autouse=True)
def forking() -> None:
    begin_server("flows.store", "flows.spectrum.explain_spectrum", "matplotlib.pyplot")


@pytest.fixture(scope="module")
def finished(release: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store made by the real command with Ray; what it printed lies beside it."""
    directory = tmp_path_factory.mktemp("finished")
    store = directory / "odd.zarr"
    # Warnings are of libraries: where they are to be errors, as in many a CI, they end no run and no worker.
    strict = {"PYTHONWARNINGS": "error"}
    done = whyspec("run", release, *small_options(store, model, "ray"), "--workers", 2, "--json", **strict)
    assert done.returncode == 0, done.stderr
    (directory / "stdout").write_text(done.stdout)
    (directory / "stderr").write_text(done.stderr)
    return store


def refused(status: int, *tokens: object, **environment: str) -> str:
    """Standard error of a command that must fail with this status, as one line without frame."""
    done = forked_whyspec(*tokens, **environment)
    assert done.returncode == status, (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr
    return " ".join(done.stderr.replace("│", " ").split())


def test_run_prints_one_json_document_and_keeps_the_rest_off_it(finished: Path) -> None:
    summary = json.loads((finished.parent / "stdout").read_text())
    assert summary["spectra"] == SPECTRA
    assert sum(summary["status_counts"].values()) == SPECTRA
    assert summary["explained"] == summary["outliers"] > 0
    shown = (finished.parent / "stderr").read_text()
    assert "4 new" in shown
    assert "sky_fibre" in shown
    assert f"whyspec cluster {finished}" in shown.replace("\n", "")


def test_nothing_of_the_machinery_is_seen(finished: Path) -> None:
    shown = (finished.parent / "stderr").read_text()
    assert [word for word in NOISE if word in shown] == []


def test_a_second_run_says_so_and_starts_nothing(finished: Path, release: Path) -> None:
    before = tree_bytes(finished)
    # With these addresses, starting Ray or a flow would fail.
    nowhere = {"WHYSPEC_RAY_ADDRESS": "127.0.0.1:1", "PREFECT_API_URL": "http://127.0.0.1:1/api"}
    done = whyspec("run", release, "--store", finished, **nowhere)
    assert done.returncode == 0, done.stderr
    assert "Nothing to do: 4 files unchanged" in " ".join(done.stdout.split())
    assert tree_bytes(finished) == before


def test_the_commands_after_a_run(finished: Path, tmp_path: Path) -> None:
    clustered = forked_whyspec("cluster", finished, "--json")
    assert clustered.returncode == 0, clustered.stderr
    assert json.loads(clustered.stdout)["name"] == "default"

    verified = forked_whyspec("verify", finished, "--json")
    assert verified.returncode == 0, verified.stderr
    assert json.loads(verified.stdout)["ok"] is True

    page = tmp_path / "page.html"
    assert forked_whyspec("report", finished, "-o", page, "--top", 1).returncode == 0
    assert "<html" in page.read_text()

    found = forked_whyspec("query", finished, "--top", 3, "--json")
    rows = json.loads(found.stdout)
    assert len(rows) == 3
    assert found.stderr == ""
    assert "False discovery rate" in forked_whyspec("query", finished, "--top", 3).stderr
    one = forked_whyspec("query", finished, "--target-id", rows[0]["target_id"], "--format", "json")
    assert json.loads(one.stdout) == rows[:1]
    clean = forked_whyspec("query", finished, "--without-caution", "any", "--json")
    assert {row["cautions"] for row in json.loads(clean.stdout)} <= {""}
    table = tmp_path / "odd.csv"
    assert forked_whyspec("query", finished, "--z", "0:9", "-o", table).returncode == 0
    assert table.read_text().startswith("key,target_id,redshift")


def test_a_damaged_object_is_found(finished: Path, tmp_path: Path) -> None:
    store = tmp_path / "damaged.zarr"
    shutil.copytree(finished, store)
    shard = store / "scores" / "score" / "c" / "0"
    shard.write_bytes(shard.read_bytes()[:-1] + b"\0")
    done = forked_whyspec("verify", store, "--json")
    assert done.returncode == 65
    faults = json.loads(done.stdout)["faults"]
    assert [fault["where"] for fault in faults] == ["scores/score/c/0"]


def test_plan_writes_nothing(release: Path, model: Path, tmp_path: Path) -> None:
    done = forked_whyspec(
        "plan", release, "--store", tmp_path / "s.zarr", "--model", model, "--threshold", 0.2, "--json"
    )
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert plan["files"]["new"] == 4
    assert plan["spectra"] == SPECTRA
    assert plan["store_exists"] is False
    assert not list(tmp_path.iterdir())


def test_explain_needs_no_store(release: Path, model: Path, tmp_path: Path) -> None:
    file = min(release.rglob("coadd-*.fits"))
    quick = ["--preset", "reference-code", "--windows", "64,512", "--baselines", 2, "--model", model]
    figure = tmp_path / "why.png"
    done = forked_whyspec("explain", file, "--row", 3, *quick, "-o", figure, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert len(told["places"]) <= 8
    assert ("uniform" in told["cautions"]) == (told["places"] == [])
    assert set(told["cautions"]) <= {caution.label for caution in Caution}
    assert all(f"{name}: " in done.stderr for name in told["cautions"])
    assert figure.read_bytes().startswith(b"\x89PNG")
    target = told["key"].rpartition("/")[2]
    assert f"{told['model']} ({told['model_digest'][:12]})" in done.stderr
    again = forked_whyspec("explain", file, "--target-id", target, *quick, "--json")
    assert json.loads(again.stdout) == told


def test_explain_warns_of_a_model_that_is_for_other_spectra(
    release: Path, model: Path, tmp_path: Path
) -> None:
    files = read_model(str(model))
    card = replace(files.card, classes=("QSO",), snr_min=900.0, snr_max=1000.0)
    quasars = tmp_path / "quasars"
    quasars.mkdir()
    (quasars / WEIGHTS).write_bytes(files.weights)
    (quasars / CARD).write_text(json.dumps(card.with_digest(digest(card, files.weights)).to_dict()))
    file = min(release.rglob("coadd-*.fits"))
    done = forked_whyspec(
        "explain", file, "--row", 3, "--windows", "512", "--baselines", 1, "--model", quasars, "--json"
    )
    assert done.returncode == 0, done.stderr
    classes, noise = json.loads(done.stdout)["warnings"]
    assert "small is for QSO, and the class of this spectrum is GALAXY" in classes
    assert "is outside 900 to 1e+03, the range on which small was calibrated" in noise
    assert classes in done.stderr
    assert noise in done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example_and_every_option(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    from flows.command_line import run_command

    assert run_command([command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"whyspec {command} " in shown.replace("\n", " ")
    assert ("Commands" if command == "bench" else "Parameters") in shown
    # What belongs to all commands stands in `whyspec --help`; defaults that say nothing are left out.
    for noise in ("Exit status", "A first run", "╭", "[default: ()]", '[default: ""]', "[default: False]"):
        assert noise not in shown


def test_help_is_quick_and_names_every_command_and_exit_status() -> None:
    done = whyspec("--help")
    assert done.returncode == 0
    listed = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ") and line.strip()]
    assert [name for name in listed if name in COMMANDS] == list(COMMANDS)
    for status in ("3", "64", "65", "66", "70", "75", "130"):
        assert f"    {status} " in done.stdout


HEAVY = ("torch", "ray", "prefect", "dask", "astropy", "scipy", "pandas", "zarr", "matplotlib", "sympy")


def imported_by(*tokens: object, status: int = 0) -> set[str]:
    """What takes long to import and was imported by a command that ended with this status."""
    code = (
        "import sys; from flows.command_line import run_command;"
        f"assert run_command({[str(token) for token in tokens]}) == {status};"
        f"print(*set({HEAVY}) & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


def test_help_imports_nothing_heavy() -> None:
    assert imported_by("run", "--help") == set()


def test_a_run_imports_what_it_needs_and_no_more(finished: Path, release: Path, tmp_path: Path) -> None:
    # A start takes as long as its imports: torch alone more than a second.
    # A plan reads redshifts of a sample, which are in tables.
    assert imported_by("plan", release, "--store", tmp_path / "none.zarr") <= {"zarr", "astropy"}
    assert imported_by("run", release, "--store", finished) <= {"zarr"}
    # A mistake is told before anything is imported for the work.
    assert imported_by("explain", tmp_path / "none.fits", status=66) == set()
    assert imported_by("explain", tmp_path / "none.fits", "-o", "why.jpg", status=66) == set()
    assert not imported_by("show", finished, 7, status=66) & {"torch", "matplotlib", "astropy"}
    file = min(release.rglob("coadd-*.fits"))
    assert imported_by("explain", file, "--row", 3, "--windows", 512, "--baselines", 1) == {
        "scipy",  # finds the peaks of places
        "torch",
    }


def test_without_a_server_a_run_needs_no_prefect(release: Path, model: Path, tmp_path: Path) -> None:
    file = min(release.rglob("coadd-*.fits"))
    needed = imported_by("run", file, *small_options(tmp_path / "odd.zarr", model))
    # pyarrow imports pandas, at the very end, when it writes the catalogue.
    assert not needed & {"prefect", "ray", "dask"}


def test_a_release_that_is_not_there(model: Path, tmp_path: Path) -> None:
    text = refused(66, "run", tmp_path / "nowhere", "--store", tmp_path / "s.zarr", "--model", model)
    assert "A path of the release does not exist." in text
    assert f"where {tmp_path}/nowhere" in text
    assert not (tmp_path / "s.zarr").exists()


def test_an_empty_directory(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    text = refused(66, "plan", tmp_path / "empty", "--store", tmp_path / "s.zarr")
    assert "There is no FITS file in the directory." in text
    assert "desi-healpix" in text


def test_an_unknown_layout(release: Path, tmp_path: Path) -> None:
    text = refused(66, "plan", release, "--store", tmp_path / "s.zarr", "--layout", "desi-dr9")
    assert "There is no such layout." in text
    assert "got desi-dr9" in text
    assert "allowed" in text
    assert "sdss-spec" in text


def test_a_truncated_file_ends_with_status_3(release: Path, model: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(release, damaged)
    victim = min(damaged.rglob("coadd-*.fits"))
    os.truncate(victim, victim.stat().st_size // 2)
    text = refused(3, "run", damaged, *small_options(tmp_path / "s.zarr", model), "--json")
    assert "1 file quarantined" in text
    assert str(victim) in text
    report = verify(str(tmp_path / "s.zarr"))
    assert report.ok


def test_a_model_of_the_other_survey(model: Path, tmp_path: Path) -> None:
    sdss = small_release(tmp_path / "sdss", 3, survey="sdss")
    text = refused(64, "run", sdss, "--store", tmp_path / "s.zarr", "--model", model)
    assert "The model is for another instrument than the release's spectra." in text
    assert "desi grid (7781 pixels" in text
    assert "sdss grid (4801 pixels" in text


def test_a_store_of_another_schema_version(finished: Path, release: Path, tmp_path: Path) -> None:
    store = tmp_path / "old.zarr"
    shutil.copytree(finished, store)
    root = json.loads((store / "zarr.json").read_text())
    root["attributes"]["schema_version"] = 999
    (store / "zarr.json").write_text(json.dumps(root))
    text = refused(65, "run", release, "--store", store)
    assert "The store's schema has a version that this whyspec does not read." in text
    assert "schema version 999" in text


def test_a_place_that_cannot_be_written(release: Path, model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    options = small_options(tmp_path / "file" / "s.zarr", model)
    text = refused(66, "run", release, *options)
    assert str(tmp_path / "file") in text


@pytest.mark.parametrize("threshold", ["0", "1.5", "-0.1", "nan"])
def test_a_threshold_that_is_no_tail_probability(
    threshold: str, release: Path, model: Path, tmp_path: Path
) -> None:
    text = refused(
        64, "plan", release, "--store", tmp_path / "s.zarr", "--model", model, f"--threshold={threshold}"
    )
    assert "The threshold is not a tail probability." in text
    assert "greater than 0, at most 1" in text


def test_a_threshold_beyond_the_calibration_spectra(release: Path, model: Path, tmp_path: Path) -> None:
    asked = ("plan", release, "--store", tmp_path / "s.zarr", "--model", model, "--json")
    inside, beyond, far = (forked_whyspec(*asked, "--threshold", each) for each in ("0.2", "0.01", "1e-12"))
    assert json.loads(inside.stdout)["warnings"] == []
    (warning,) = json.loads(beyond.stdout)["warnings"]
    size = read_model(str(model)).calibration_size
    assert f"The threshold 0.01 is below 1/{size + 1}" in warning["text"]
    assert re.search(r"known to a factor of \d+\.\d \(one standard deviation\)", warning["text"])
    assert warning["text"] in beyond.stderr
    assert far.returncode == 64
    assert "beyond the end of the tail that was fitted" in far.stderr
    assert f"{size} calibration spectra" in far.stderr
    (least,) = re.findall(r"(\S+) to 1 \(", far.stderr)
    below = f"{float(least) * 0.99:.17g}"
    assert [forked_whyspec(*asked, "--threshold", each).returncode for each in (least, below)] == [0, 64]


@pytest.mark.parametrize(("threshold", "most"), [("0.0003", 3.0), ("0.0001", 10.0), ("1e-05", 1000.0)])
def test_a_shipped_model_takes_thresholds_far_out_and_says_how_well_they_are_known(
    threshold: str, most: float, release: Path, tmp_path: Path
) -> None:
    store = tmp_path / "s.zarr"
    asked = ("plan", release, "--store", store, "--threshold", threshold, "--model", "desi-galaxy", "--json")
    done = forked_whyspec(*asked)
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert plan["configuration"]["threshold"] == float(threshold)
    (factor,) = plan["threshold_factors"].values()
    assert 1 < factor <= most
    assert f"tail probability {threshold}, known to a factor of {factor:.1f}" in done.stderr
    beyond = float(threshold) * (read_model("desi-galaxy").calibration_size + 1) < 1
    assert [f"known to a factor of {factor:.1f}" in each["text"] for each in plan["warnings"]] == [
        True
    ] * beyond


def test_options_that_make_no_sense(release: Path, finished: Path, tmp_path: Path) -> None:
    text = refused(64, "run", release, "--store", tmp_path / "s.zarr", "--windows", "4,x")
    assert "--windows" in text
    assert "4,x" in text
    text = refused(64, "run", release)
    assert "--store" in text
    text = refused(64, "query", finished, "--place", "Halfa")
    assert "Did you mean Hα" in text
    text = refused(64, "run", release, "--store", finished, WHYSPEC_WORKERS="many")
    assert "WHYSPEC_WORKERS" in text


def test_a_prefect_server_that_is_down(release: Path, model: Path, tmp_path: Path) -> None:
    options = small_options(tmp_path / "s.zarr", model)
    text = refused(75, "run", release, *options, PREFECT_API_URL="http://127.0.0.1:1/api")
    assert "The Prefect server does not answer." in text
    assert "http://127.0.0.1:1/api" in text


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        (("query", "s.zarr", "--place="), "An option is given and empty."),
        (("run", "r", "--store", "s.zarr", "--classes", ","), "An option is given and empty."),
        (("run", "r", "--store", "s.zarr", "--model="), "An option is given and empty."),
        (("run", "r", "--store", "s.zarr", "--wait", "nan"), "A time to wait is 0 or more."),
        (("run", "r", "--store", "s.zarr", "--wait", "-1"), "A time to wait is 0 or more."),
        (
            ("run", "r", "--store", "s.zarr", "--threads-per-worker", "100000"),
            "threads_per_worker does not fit",
        ),
        (("query", "s.zarr", "--nonsense"), "See whyspec query --help."),
    ],
)
def test_options_that_mean_nothing_are_refused(
    tokens: tuple[str, ...], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(list(tokens)) == 64
    assert text in " ".join(capsys.readouterr().err.split())


def test_no_output_goes_into_a_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = synthetic_store(tmp_path / "odd.zarr")
    before = tree_bytes(tmp_path)
    for command, name in (("query", "zarr.json"), ("query", "spectra/x.csv"), ("report", "x.html")):
        assert run_command([command, store.url, "-o", str(tmp_path / "odd.zarr" / name)]) == 66
        assert "a place in the store" in " ".join(capsys.readouterr().err.split())
    assert run_command(["report", store.url, "-o", str(tmp_path / "coadd.fits")]) == 64
    assert "A report is one HTML file." in " ".join(capsys.readouterr().err.split())
    assert tree_bytes(tmp_path) == before


def test_an_error_is_also_json_where_json_was_asked_for(tmp_path: Path) -> None:
    done = forked_whyspec("plan", tmp_path / "nowhere", "--store", tmp_path / "s.zarr", "--json")
    assert done.returncode == 66
    error = json.loads(done.stdout)["error"]
    assert error["kind"] == "missing-path"
    assert error["remedy"]


def test_a_traceback_is_shown_on_request_only(tmp_path: Path) -> None:
    done = whyspec("plan", tmp_path / "nowhere", "--store", tmp_path / "s.zarr", "--traceback")
    assert done.returncode == 66
    assert "Traceback" in done.stderr


def test_memory_that_does_not_do_is_refused_with_the_numbers(
    release: Path, model: Path, tmp_path: Path
) -> None:
    options = small_options(tmp_path / "s.zarr", model)
    text = refused(64, "run", release, *options, WHYSPEC_MEMORY_PER_WORKER=str(2**20))
    assert "The run does not fit the memory of its workers." in text
    assert "1 MiB each" in text
    assert not (tmp_path / "s.zarr").exists()
