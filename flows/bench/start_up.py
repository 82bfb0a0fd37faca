"""Start-up: seconds from ``whyspec run`` to its first block under way, and of one with nothing to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from flows.run.request import ExecutorName
from models.errors import ErrorKind, RetryError


@dataclass(frozen=True)
class StartUp:
    """Wall-clock seconds of the command, without a Prefect server.

    Attributes
    ----------
    serial, ray : from the command to its first block under way, by executor.
    nothing : of a whole command that has nothing to do.
    """

    serial: float
    ray: float
    nothing: float


def measure_start_up(release: str, directory: Path) -> StartUp:
    """Run ``release`` into stores below ``directory`` with either executor, then once more.

    Raises
    ------
    RetryError : a run failed, with what it said.
    """
    with TemporaryDirectory(prefix="start-up-", dir=directory) as stores:
        serial, ray = (_to_first_block(release, Path(stores), name) for name in ("serial", "ray"))
        begun = time.time()
        _run(release, Path(stores), "ray")
        return StartUp(serial, ray, time.time() - begun)


def _to_first_block(release: str, stores: Path, executor: ExecutorName) -> float:
    """The log says when the first stage began; before that the workers are ready."""
    begun, log = time.time(), stores / f"{executor}.log"
    _run(release, stores, executor, WHYSPEC_LOG_FILE=str(log), WHYSPEC_LOG_FORMAT="json")
    records = map(json.loads, log.read_text(encoding="utf-8").splitlines())
    first = next(record["time"] for record in records if record.get("event") == "stage-begun")
    return datetime.fromisoformat(first).timestamp() - begun


def _run(release: str, stores: Path, executor: ExecutorName, **variables: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    whyspec = [sys.executable, "-P", "-m", "flows.command_line"]
    command = [*whyspec, "run", release, "--store", f"{stores}/{executor}.zarr"]
    done = subprocess.run(  # noqa: S603 - our own
        [
            *command,
            "--executor",
            executor,
            "--preset",
            "reference-code",
            "--baselines",
            "2",
            "--windows",
            "64",
        ],
        env={**environment, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 3):
        raise RetryError(
            "The run that was to be measured failed.",
            where=release,
            got=done.stderr[-2000:],
            remedy="Run `whyspec run` on the same release to see why.",
            kind=ErrorKind.BENCH_RUN_FAILED,
        )
