"""Surroundings of a user's commands: no home, no standard output, warnings as errors, a folder of traps."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.small_run import environment, small_options

# Commands of one process, whose imports take long; the exit status of each goes to standard error.
SHELL = """
import shlex, sys
from flows.command_line import main

for line in sys.stdin.read().splitlines():
    sys.argv = ["whyspec", *shlex.split(line)]
    try:
        main()
    except SystemExit as ended:
        sys.stderr.write(f"{ended.code} {sys.argv[1]}\\n")
"""


@pytest.mark.slow
def test_every_command_works_where_nothing_can_be_written(
    release: Path, model: Path, trapped: Path, tmp_path: Path
) -> None:
    store, options = tmp_path / "odd.zarr", " ".join(small_options(tmp_path / "odd.zarr", model))
    file = min(release.rglob("coadd-*.fits"))
    quick = f"--model {model} --preset reference-code --windows 512 --baselines 2"
    lines = [
        "--help",
        "settings",
        f"simulate {tmp_path}/simulated --spectra 3",
        f"plan {release} --store {store} --model {model} --threshold 0.5",
        f"run {release} {options}",
        f"status {store}",
        f"cluster {store}",
        f"verify {store}",
        f"query {store} -o {tmp_path}/odd.parquet",
        f"report {store} -o {tmp_path}/odd.html",
        f"explain {file} --row 3 {quick} -o {tmp_path}/why.png",
    ]
    done = subprocess.run(
        ["bash", "-c", f'"{sys.executable}" -P -c "$0" >&-', SHELL],
        input="\n".join(lines),
        cwd=trapped,
        env=environment(HOME="/dev/null/home", TMPDIR="/dev/null/temporary", PYTHONWARNINGS="error"),
        stderr=subprocess.PIPE,
        text=True,
        timeout=200,
        check=False,
    )
    assert not (trapped / "sprung").exists(), (trapped / "sprung").read_text()
    assert [line for line in lines if f"0 {line.split()[0]}" not in done.stderr.splitlines()] == [], (
        done.stderr
    )
    assert "Warning" not in done.stderr
