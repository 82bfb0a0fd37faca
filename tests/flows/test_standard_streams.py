"""Output that nobody takes: closed streams, readers that went away, full disks, places that refuse."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from flows.command_line import run_command
from tests.small_run import environment
from tests.synthetic_store import synthetic_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = synthetic_store(tmp_path_factory.mktemp("streams") / "odd.zarr").url
    assert run_command(["catalogue", url]) == 0
    return url


def shell(command: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which ``whyspec`` is the command; any command of a pipe may fail it."""
    line = command.replace("whyspec", f"{shlex.quote(sys.executable)} -m flows.command_line")
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "line",
    [
        "whyspec --help | head -1",
        "whyspec --help >&-",
        "whyspec settings --json >&-",
        "whyspec status {store} 2>&- >&- <&-",
        "whyspec status {store} 2>/dev/full",
        "whyspec query {store} --format csv | head -1",
    ],
)
def test_output_that_nobody_wants_is_no_fault(line: str, store: str) -> None:
    done = shell(line.format(store=store))
    assert (done.returncode, done.stderr) == (0, "")


def test_the_exit_status_stays_that_of_the_command(tmp_path: Path) -> None:
    assert shell(f"whyspec status {tmp_path}/none.zarr 2>&1 | head -1").returncode == 66
    assert shell(f"whyspec status {tmp_path}/none.zarr --json 2>&1 >&-").returncode == 66


@pytest.mark.parametrize("line", ["--help", "status {store}", "status {store} --json", "settings --page"])
def test_results_that_do_not_fit_on_the_disk_fail_the_command(line: str, store: str) -> None:
    done = shell(f"whyspec {line.format(store=store)} > /dev/full")
    assert done.returncode == 66
    assert "The results cannot be written to standard output." in done.stderr
    assert "No space left on device" in done.stderr


def test_names_that_the_terminal_cannot_show_are_escaped(tmp_path: Path) -> None:
    done = shell(f"PYTHONIOENCODING=ascii whyspec status {tmp_path}/é.zarr")
    assert done.returncode == 66
    assert f"{tmp_path}/\\xe9.zarr" in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        *(f"query {{store}} -o {place}/x.csv" for place in ("/proc", "file", "missing")),
        "query {store} -o /proc/x.parquet",
        "query {store} -o /proc/x.fits",
        "report {store} -o missing/x.html",
        "simulate /proc/x --spectra 1",
        "simulate file/x --spectra 1",
        "train no-release -o file/x",
        "import-spender no-file -o file/x",
        "evaluate desi-galaxy -o file/x",
        "bench seams -o missing/x.png",
        "bench pipeline --directory file/x --spectra 10",
        "bench plan --directory file/x --files 100",
        "explain no-such-file -o missing/x.png",
        "explain no-such-file -o file/x.png",
    ],
)
def test_a_place_that_cannot_be_written(
    command: str,
    store: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("not a directory")
    tokens = command.format(store=store).split()
    assert run_command(tokens) == 66
    error = capsys.readouterr().err
    assert "output-unwritable" in error
    assert next(token for token in tokens if "/x" in token) in error
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_file_on_a_full_disk(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    for form in ("csv", "json", "parquet", "fits"):
        assert run_command(["query", store, "--format", form, "-o", "/dev/full"]) == 66
        assert "No space left on device" in capsys.readouterr().err
    assert run_command(["query", store, "--json", "-o", "/dev/full"]) == 66
    assert json.loads(capsys.readouterr().out)["error"]["kind"] == "output-unwritable"
