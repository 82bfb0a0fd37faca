"""Benchmark of planning: a release of many files against the ledger of its store."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.catalogue.building import update_catalogue
from engine.run.plan import begin, begin_attribution
from engine.store.blocks import AttributionBlock, BlockKind, BlockResult, ScoreBlock
from engine.store.configuration import RunConfiguration
from engine.store.reading import StoreView
from engine.store.schema import BY_PATH
from engine.store.status import status_of
from engine.store.store import Store
from flows.bench.devices import Machine, describe_machine, load_average
from flows.bench.files import bench_directory
from flows.bench.ledger_reads import LedgerReads
from flows.bench.memory import PeakMemory
from flows.bench.plan_tree import finished, publish_sums, withdraw_sums, write_plan_tree
from flows.run.preparation import prepare
from flows.run.request import RunRequest
from flows.run_release import run_release
from infra.settings import load_settings

SCHEMA = 2
_BLOCK_ROWS = 256
_CHANGED = 100  # one file in so many gets other checksums
_GONE = 1000  # one in so many vanishes, and one in so many is in the catalogue alone


@dataclass(frozen=True)
class TimedCommand:
    """One command over the release and its store.

    Attributes
    ----------
    name : what was done.
    seconds : of the quickest run, without the start of the program.
    peak_bytes : peak memory of an untimed run above what was in use before; None if unknown.
    ledger_reads : how often that run opened an object of the ledger; ledger_objects : how many it opened.
    """

    name: str
    seconds: float
    peak_bytes: int | None
    ledger_reads: int
    ledger_objects: int


@dataclass(frozen=True)
class PlanCase(TimedCommand):
    """One way to plan the same release: list, look into files, read the ledger, compare.

    Attributes
    ----------
    counts : files by state.
    """

    counts: dict[str, int]


@dataclass(frozen=True)
class PlanBench:
    """All that was measured.

    Attributes
    ----------
    files, spectra : of the release; score_blocks, attribution_blocks : of the store, all finished.
    repeats : timed runs of each case, of which the quickest counts.
    ledger_bytes : size of the saved plans.
    cases : plans; commands : other commands that read the ledger, where all of the release is in the store.
    """

    files: int
    spectra: int
    score_blocks: int
    attribution_blocks: int
    repeats: int
    ledger_bytes: int
    cases: tuple[PlanCase, ...]
    commands: tuple[TimedCommand, ...]
    machine: Machine

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description, with the rate of each case."""
        rates = {case.name: self.files / case.seconds for case in self.cases}
        return {"schema": SCHEMA, **asdict(self), "derived": {"files_per_second": rates}}


def bench_plan(
    directory: Path | None, files: int, repeats: int, progress: Callable[[str], None]
) -> PlanBench:
    """Plan a release that is new, in the store, partly changed, and without published sums of its coadds.

    Where all of it is in the store, other commands that read the ledger are measured, too.

    Parameters
    ----------
    directory : where the release and the store are made, and deleted afterwards; None for the system's.

    Raises
    ------
    InputError : the directory cannot be written to.
    """
    load_before = load_average()
    with bench_directory("plan", directory) as place:
        progress(f"write {files:,} files")
        folders = write_plan_tree(place, files, max(1, files // _GONE))
        url, settings = str(place / "store.zarr"), load_settings()
        request = RunRequest((str(place / "iron"),), url, block_rows=_BLOCK_ROWS, outlier_block_rows=8)

        def measured(name: str, command: Callable[[], object]) -> TimedCommand:
            progress(f"{name}: memory and readings")
            with PeakMemory(torch.device("cpu")) as memory, LedgerReads(place / "store.zarr") as reads:
                command()
            seconds = []
            for repeat in range(repeats):
                progress(f"{name}: run {repeat + 1} of {repeats}")
                begun = time.perf_counter()
                command()
                seconds.append(time.perf_counter() - begun)
            return TimedCommand(name, min(seconds), memory.bytes, reads.counts.total(), len(reads.counts))

        def planned(name: str) -> PlanCase:
            measurement = measured(name, lambda: prepare(request, settings))
            counts = prepare(request, settings).plan.counts
            return PlanCase(
                **asdict(measurement), counts={state: count for state, count in counts.items() if count}
            )

        cases = [planned("all new")]
        prepared = prepare(request, settings)
        progress("fill the ledger")
        store = Store.create(url, prepared.configuration)
        snapshot = begin(store, prepared.plan, prepared.snapshot)
        snapshot = snapshot.with_results(_committed(store, snapshot.unscored_blocks))
        snapshot = begin_attribution(store, snapshot)
        snapshot = snapshot.with_results(_committed(store, snapshot.unexplained_blocks))
        update_catalogue(store, snapshot, arrays=_NoRows(store.configuration))
        cases.append(planned("all in the store"))
        commands = (
            measured("run with nothing to do", lambda: run_release(request, settings)),
            measured("status", lambda: status_of(url)),
            measured("query, before its first array", lambda: StoreView.open(url)),
        )
        for folder in folders[::_CHANGED]:
            publish_sums(folder, "2")
        for folder in folders[1::_GONE]:
            for path in folder.iterdir():
                path.unlink()
        cases.append(planned("some changed, some gone"))
        for folder in folders:
            withdraw_sums(folder)
        cases.append(planned("no checksums of coadds published"))
        saved = sum(path.stat().st_size for path in (place / "store.zarr" / "ledger" / "plans").iterdir())
        return PlanBench(
            files=files,
            spectra=prepared.listing.spectra,
            score_blocks=len(snapshot.scored),
            attribution_blocks=len(snapshot.explained),
            repeats=repeats,
            ledger_bytes=saved,
            cases=tuple(cases),
            commands=commands,
            machine=describe_machine(torch.device("cpu"), load_before),
        )


@dataclass(frozen=True)
class _NoRows:
    """Blocks without a row: a catalogue that is up to date, of a store that holds no data."""

    configuration: RunConfiguration

    def numbers(self, kind: BlockKind, blocks: Sequence[int]) -> NDArray[np.int64]:  # noqa: ARG002
        """None."""
        return np.empty(0, dtype=np.int64)

    def read_blocks(self, path: str, blocks: Sequence[int]) -> NDArray[Any]:  # noqa: ARG002
        """None, of the array's type and shape."""
        spec = BY_PATH[path]
        dtype = np.dtype(object if spec.dtype == "string" else spec.dtype)
        return np.empty((0, *spec.shard_shape(self.configuration)[1:]), dtype=dtype)


def _committed(store: Store, blocks: Sequence[ScoreBlock | AttributionBlock]) -> list[BlockResult]:
    results = [finished(block) for block in blocks]
    for result in results:
        store.ledger.commit(result)
    return results
