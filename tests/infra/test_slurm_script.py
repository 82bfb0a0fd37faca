"""The batch script: on two nodes of a real Ray, which are both this machine, and out of time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from flows.run_release import run_release
from infra.settings import Settings
from tests.small_run import REPOSITORY, environment, small_options, small_request, tree_bytes

SCRIPT = REPOSITORY / "infra" / "slurm" / "whyspec.sbatch"
FAKES = Path(__file__).parent / "slurm"


def slurm(tmp_path: Path, short: Path, *first: Path, **extra: str) -> dict[str, str]:
    """The environment of a batch job on two nodes of one CPU."""
    paths = [*map(str, first), str(FAKES), str(Path(sys.executable).parent), os.environ["PATH"]]
    own = environment(
        PATH=os.pathsep.join(paths),
        FAKE_SLURM_NOTES=str(tmp_path / "notes"),
        RAY_TMPDIR=str(short),
        SLURM_JOB_ID=str(os.getpid() % 9000),
        SLURM_JOB_NODELIST="node1,node2",
        SLURM_CPUS_PER_TASK="1",
        **extra,
    )
    own.pop("RAY_ADDRESS", None)
    own.pop("PREFECT_API_URL", None)
    return own


def test_the_script_is_bash() -> None:
    subprocess.run(["bash", "-n", str(SCRIPT)], check=True)


@pytest.mark.slow
def test_two_nodes_give_the_bytes_of_one_process(
    release: Path, model: Path, tmp_path: Path, short: Path
) -> None:
    store, log = tmp_path / "slurm.zarr", tmp_path / "log" / "run.log"
    job = subprocess.run(
        ["bash", str(SCRIPT), str(release), *small_options(store, model, "ray", outlier_block_rows=1)],
        env=slurm(tmp_path, short, WHYSPEC_LOG_FILE=str(log), WHYSPEC_LOG_FORMAT="json"),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert job.returncode == 0, job.stderr
    assert (tmp_path / "notes").read_text().split() == ["node1", "node1", "node2"]

    alone = tmp_path / "alone.zarr"
    summary = run_release(replace(small_request(release, alone, model), outlier_block_rows=1), Settings())
    assert tree_bytes(store) == tree_bytes(alone)

    # One worker on each node, each with a log of its own that tells of the same run.
    told = [json.loads(line) for line in log.read_text().splitlines()]
    runs = {record["run"] for record in told}
    done = [
        [json.loads(line) for line in path.read_text().splitlines()]
        for path in log.parent.glob("run.worker-*")
    ]
    assert len(done) == 2
    assert len(runs) == 1
    assert {record["run"] for records in done for record in records} == runs
    blocks = [record for records in done for record in records if record["event"] == "block-done"]
    explained = sum(record["block_kind"] == "attribution" for record in blocks)
    assert explained >= 2
    assert sorted((record["block_kind"], record["block"]) for record in blocks) == [
        *(("attribution", index) for index in range(explained)),
        *(("score", index) for index in range(3)),
    ]
    assert sum(record["outliers"] for record in blocks) == summary.outliers
    assert all(record["seconds"] > 0 and record["bytes"] > 0 for record in blocks)
    assert next(record for record in told if record["event"] == "workers-ready")["workers"] == 2


def test_out_of_time_the_job_is_queued_again_and_the_run_ended(tmp_path: Path, short: Path) -> None:
    fakes = tmp_path / "bin"
    fakes.mkdir()
    for name, text in {
        "ray": "[[ $1 == start ]] && exec sleep 60\nexit 0\n",
        "whyspec": f"echo $$ > {tmp_path}/run\nexec sleep 60\n",
    }.items():
        (fakes / name).write_text(f"#!/bin/bash\n{text}")
        (fakes / name).chmod(0o755)
    own = slurm(tmp_path, short, fakes)
    with subprocess.Popen(
        ["bash", str(SCRIPT), "release"], env=own, stderr=subprocess.PIPE, text=True
    ) as job:
        deadline = time.monotonic() + 60
        while not (tmp_path / "run").is_file() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.2)
        job.send_signal(signal.SIGTERM)
        _, said = job.communicate(timeout=60)
    assert job.returncode == 128 + signal.SIGTERM
    assert "queued again" in said
    assert f"requeue {own['SLURM_JOB_ID']}" in (tmp_path / "notes").read_text()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "run").read_text()), 0)
