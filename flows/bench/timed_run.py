"""A run in a process of its own, with the seconds of its stages and the memory of its coordinator.

``python -m flows.bench.timed_run REQUEST.json RESULT.json``: a process of its own because the peak of
resident memory is a process's, and what else a benchmark does must not be in it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from engine.run.events import BlockDone, BlockFailed, RunEvent, Stage, StageBegun
from flows.bench.pipeline_results import PipelineRun
from flows.run.request import RunRequest
from models.errors import ErrorKind, RetryError


class _Stopwatch:
    """An observer that notes when stages begin and when their last block is done."""

    def __init__(self) -> None:
        self.begun = time.perf_counter()
        self.stages: dict[Stage, float] = {}
        self.last: dict[Stage, float] = {}
        self.blocks = 0
        self.retries = 0
        self._stage: Stage = "scoring"

    def on_event(self, event: RunEvent) -> None:
        """Note the moment."""
        match event:
            case StageBegun(stage, blocks, _):
                self._stage = stage
                self.stages[stage] = self.last[stage] = time.perf_counter()
                self.blocks += blocks
            case BlockDone():
                self.last[self._stage] = time.perf_counter()
            case BlockFailed():
                self.retries += 1
            case _:
                pass


def timed_run(request: RunRequest) -> PipelineRun:
    """Run in a process of its own.

    Raises
    ------
    RetryError : the run failed, with what it said.
    """
    with TemporaryDirectory(prefix="whyspec-bench-") as folder:
        asked, answer = Path(folder) / "request.json", Path(folder) / "result.json"
        asked.write_text(json.dumps(asdict(request)), encoding="utf-8")
        command = [sys.executable, "-P", "-m", "flows.bench.timed_run", str(asked), str(answer)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own
        if done.returncode or not answer.is_file():
            raise RetryError(
                "The run that was to be measured failed.",
                where=request.store,
                got=done.stderr[-2000:],
                remedy="Run `whyspec run` on the same release to see why.",
                kind=ErrorKind.BENCH_RUN_FAILED,
            )
        return PipelineRun(**json.loads(answer.read_text(encoding="utf-8")))


def _measure(request: RunRequest) -> PipelineRun:
    from flows.run_release import run_release
    from infra.settings import load_settings

    watch = _Stopwatch()
    summary = run_release(request, load_settings(), [watch])
    ended = time.perf_counter()
    return PipelineRun(
        spectra=summary.spectra,
        outliers=summary.outliers,
        explained=summary.explained,
        files=summary.files_new,
        blocks=watch.blocks,
        begin_seconds=watch.stages["scoring"] - watch.begun,
        scoring_seconds=watch.stages["explaining"] - watch.stages["scoring"],
        explaining_seconds=watch.last["explaining"] - watch.stages["explaining"],
        end_seconds=ended - watch.last["explaining"],
        seconds=ended - watch.begun,
        retries=watch.retries,
        driver_bytes=_peak_resident(),
    )


def _peak_resident() -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def _request(description: dict[str, object]) -> RunRequest:
    lists = {name: tuple(value) for name, value in description.items() if isinstance(value, list)}
    return RunRequest(**{**description, **lists})  # type: ignore[arg-type]  # written by timed_run


def main() -> None:
    """Entry point of the process."""
    from infra.environment import prepare_environment

    prepare_environment()
    asked, answer = Path(sys.argv[1]), Path(sys.argv[2])
    found = _measure(_request(json.loads(asked.read_text(encoding="utf-8"))))
    answer.write_text(json.dumps(asdict(found)), encoding="utf-8")


if __name__ == "__main__":
    main()
