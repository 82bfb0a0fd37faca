"""What the plan benchmark found, and the JSON that it is written as."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from engine.run.plan import begin
from engine.store.store import Store
from flows.bench.devices import Machine, describe_machine, load_average
from flows.bench.memory import PeakMemory
from flows.bench.plan_tree import finished, publish_sums, withdraw_sums, write_plan_tree
from flows.run.preparation import PreparedRun, prepare
from flows.run.run_request import RunRequest
from infra.settings import load_settings

SCHEMA = 1


@dataclass(frozen=True)
class PlanCase:
    """One way to plan the same release.

    Attributes
    ----------
    name : what was planned; counts : files by state.
    seconds : of the quickest run: listing, looking into files, reading the ledger, comparing.
    peak_bytes : peak memory of an uncounted run above what was in use before; None if unknown.
    """

    name: str
    counts: dict[str, int]
    seconds: float
    peak_bytes: int | None


@dataclass(frozen=True)
class PlanBench:
    """All that was measured.

    Attributes
    ----------
    files, spectra : of the release; blocks : of the store.
    repeats : timed runs of each case, of which the quickest counts.
    ledger_bytes : size of the saved plan.
    """

    files: int
    spectra: int
    blocks: int
    repeats: int
    ledger_bytes: int
    cases: tuple[PlanCase, ...]
    machine: Machine

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description, with the rate of each case."""
        rates = {case.name: self.files / case.seconds for case in self.cases}
        return {"schema": SCHEMA, **asdict(self), "derived": {"files_per_second": rates}}


_BLOCK_ROWS = 256


_CHANGED = 100  # one file in so many gets other checksums


_GONE = 1000  # one in so many vanishes, and one in so many is in the catalogue alone


def bench_plan(
    directory: Path | None, files: int, repeats: int, progress: Callable[[str], None]
) -> PlanBench:
    """Plan a release that is new, in the store already, partly changed, and without published checksums.

    Parameters
    ----------
    directory : where the release and the store are made, and deleted afterwards; None for the system's.
    """
    load_before = load_average()
    with TemporaryDirectory(prefix="whyspec-bench-plan-", dir=directory) as made:
        place = Path(made)
        progress(f"write {files:,} files")
        folders = write_plan_tree(place, files, max(1, files // _GONE))
        request = RunRequest((str(place / "iron"),), str(place / "store.zarr"), block_rows=_BLOCK_ROWS)

        def measured(name: str) -> PlanCase:
            progress(f"{name}: memory")
            with PeakMemory(torch.device("cpu")) as memory:
                prepared = _prepare(request)
            seconds = []
            for repeat in range(repeats):
                progress(f"{name}: run {repeat + 1} of {repeats}")
                begun = time.perf_counter()
                _prepare(request)
                seconds.append(time.perf_counter() - begun)
            counts: dict[str, int] = {state: count for state, count in prepared.plan.counts.items() if count}
            return PlanCase(name, counts, min(seconds), memory.bytes)

        cases = [measured("all new")]
        prepared = _prepare(request)
        progress("fill the ledger")
        store = Store.create(request.store, prepared.configuration)
        begin(store, prepared.plan, prepared.snapshot)
        for block in prepared.plan.blocks:
            store.ledger.commit(finished(block))
        cases.append(measured("all in the store"))
        for folder in folders[::_CHANGED]:
            publish_sums(folder, "2")
        for folder in folders[1::_GONE]:
            for path in folder.iterdir():
                path.unlink()
        cases.append(measured("some changed, some gone"))
        for folder in folders:
            withdraw_sums(folder)
        cases.append(measured("no checksums published"))
        saved = sum(path.stat().st_size for path in (place / "store.zarr" / "ledger" / "plans").iterdir())
        return PlanBench(
            files=files,
            spectra=prepared.listing.spectra,
            blocks=len(prepared.plan.blocks),
            repeats=repeats,
            ledger_bytes=saved,
            cases=tuple(cases),
            machine=describe_machine(torch.device("cpu"), load_before),
        )


def _prepare(request: RunRequest) -> PreparedRun:
    return prepare(request, load_settings())
