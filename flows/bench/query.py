"""Benchmark of queries: a catalogue of simulated rows, asked by whyspec and by DuckDB alone."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import torch

from engine.attribution.occlusion.settings import OcclusionSettings
from engine.catalogue.building import CatalogueUpdate, update_catalogue
from engine.catalogue.connection import literal
from engine.catalogue.reading import Catalogue
from engine.query.conditions.near import parse_cone
from engine.query.query import COLUMNS, QuerySettings, answer
from engine.query.query_columns import joined
from engine.spectra.source_file import SourceFile
from engine.store.blocks import AttributionBlock, BlockResult, ScoreBlock
from engine.store.configuration import RunConfiguration
from engine.store.reading import StoreView
from engine.store.routing import ModelReference
from engine.store.saved_plans import AttributionPlan, ScorePlan
from engine.store.snapshot import Snapshot
from engine.store.store import Store
from flows.bench.devices import Machine, describe_machine, load_average
from flows.bench.files import bench_directory
from flows.bench.memory import PeakMemory
from flows.bench.simulated_arrays import SimulatedArrays, positions, target_ids
from flows.bench.timing import work_seconds
from models.grid import WavelengthGrid

SCHEMA = 1
_BLOCK_ROWS = 16384
_OUTLIER_BLOCK_ROWS = 256
_MANY = 100_000
_FILTER = "z between 0.1 and 0.3 and zwarn = 0 and tail < 5e-3"
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class TimedQuestion:
    """One question.

    Attributes
    ----------
    name : what is asked.
    found : rows of the answer.
    seconds : of whyspec's quickest answer, the store opened anew, in a process that has answered before.
    cpu_seconds : of all threads, in that answer.
    duckdb_seconds, duckdb_cpu_seconds : of DuckDB's quickest answer to the same in SQL, files opened anew.
    peak_bytes : memory of whyspec's first answer above what was in use before; None if unknown.
    """

    name: str
    found: int
    seconds: float
    cpu_seconds: float
    duckdb_seconds: float
    duckdb_cpu_seconds: float
    peak_bytes: int | None


@dataclass(frozen=True)
class QueryBench:
    """All that was measured.

    Attributes
    ----------
    rows, outliers : of the catalogue; bytes : of its files; parts : of it.
    build_seconds, build_cpu_seconds : of making it, simulation of the values included.
    questions : in turn.
    cold_seconds, cold_cpu_seconds : of the quickest whole command that asks for one TARGETID.
    repeats : timed answers of each, of which the quickest counts.
    """

    rows: int
    outliers: int
    bytes: int
    parts: int
    build_seconds: float
    build_cpu_seconds: float
    questions: tuple[TimedQuestion, ...]
    cold_seconds: float
    cold_cpu_seconds: float
    repeats: int
    machine: Machine

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description, with the ratios to DuckDB alone."""
        ratios = {each.name: each.cpu_seconds / each.duckdb_cpu_seconds for each in self.questions}
        return {"schema": SCHEMA, **asdict(self), "derived": {"cpu_over_duckdb": ratios}}


def bench_query(
    directory: Path | None, rows: int, repeats: int, progress: Callable[[str], None]
) -> QueryBench:
    """Make a catalogue of so many rows and ask it.

    Parameters
    ----------
    directory : where the store is made, and deleted afterwards; None for the system's.

    Raises
    ------
    InputError : the directory cannot be written to.
    """
    load_before = load_average()
    with bench_directory("query", directory) as made:
        url = str(made / "odd.zarr")
        begun, cpu = time.perf_counter(), time.process_time()
        update, arrays = simulated_store(url, rows, progress)
        built, built_cpu = time.perf_counter() - begun, time.process_time() - cpu
        one = int(target_ids(np.array([rows // 2]))[0])
        questions = []
        for name, (ask, sql, parameters) in _questions(url, rows, one).items():
            progress(name)
            questions.append(_timed(name, ask, sql, parameters, repeats))
        progress("one TARGETID by a command")
        command = [sys.executable, "-m", "flows.command_line", "query", url, "--target-id", str(one)]
        cold = [_seconds_of_command(command) for _ in range(repeats)]
        return QueryBench(
            rows=rows,
            outliers=len(arrays.every_outlier()),
            bytes=update.bytes,
            parts=update.parts,
            build_seconds=built,
            build_cpu_seconds=built_cpu,
            questions=tuple(questions),
            cold_seconds=min(wall for wall, _ in cold),
            cold_cpu_seconds=min(used for _, used in cold),
            repeats=repeats,
            machine=describe_machine(_CPU, load_before),
        )


def simulated_store(
    url: str, rows: int, progress: Callable[[str], None]
) -> tuple[CatalogueUpdate, SimulatedArrays]:
    """A store that has a ledger and a catalogue, and empty arrays."""
    configuration = RunConfiguration(
        models=(ModelReference("simulated", "0" * 32, (), (0.0, 2.0), 10),),
        grid=WavelengthGrid("small", "linear", 6400.0, 2.0, 120),
        reconstruction_scores=("mse_100",),
        threshold=0.01,
        attribution=OcclusionSettings(windows=(1, 8)),
        block_rows=_BLOCK_ROWS,
        outlier_block_rows=_OUTLIER_BLOCK_ROWS,
    )
    store, arrays = Store.create(url, configuration), SimulatedArrays(configuration, rows)
    files = tuple(
        SourceFile(
            f"coadd-{number}.fits", "", "desi-coadd", size, f"{number:032x}", "iron", "main", "dark", ""
        )
        for number, size in enumerate(min(_BLOCK_ROWS, rows - first) for first in range(0, rows, _BLOCK_ROWS))
    )
    plan = ScorePlan("simulated", "desi-healpix", 0, _BLOCK_ROWS, files, ())
    explaining = AttributionPlan(0, _OUTLIER_BLOCK_ROWS, tuple(arrays.every_outlier().tolist()))
    for each in (plan, explaining):
        store.ledger.save_plan(each)
    blocks: list[ScoreBlock | AttributionBlock] = [*plan.blocks, *explaining.blocks]
    for block in blocks:
        store.ledger.commit(_finished(block, arrays))

    def on_written(done: int, total: int) -> None:
        progress(f"write the catalogue: {done:,} of {total:,} rows")

    return update_catalogue(store, Snapshot.read(store.ledger), on_written, arrays=arrays), arrays


def _finished(block: ScoreBlock | AttributionBlock, arrays: SimulatedArrays) -> BlockResult:
    outliers = tuple(arrays.outliers(block.index).tolist()) if block.kind == "score" else ()
    return BlockResult(
        block.kind, block.index, block.plan, block.spectra, (("scored", block.spectra),), outliers, (), ()
    )


_Question = tuple[Callable[[], int], str, tuple[object, ...]]
"""What asks whyspec and gives the number of rows found; the same in SQL, with its parameters."""


def _questions(url: str, rows: int, one: int) -> Mapping[str, _Question]:
    many = tuple(target_ids(np.random.default_rng(3).choice(rows, min(_MANY, rows), replace=False)).tolist())
    (ra,), (dec,) = positions(np.array([rows // 2]))
    cone = parse_cone(str(ra), str(dec), "10arcmin")
    view = StoreView.open(url)
    tables = _Tables(Catalogue.of(view))
    wanted = joined(COLUMNS, view.configuration)
    every = f"SELECT {wanted.selected} FROM {tables.spectra} s LEFT JOIN {tables.explanations} e USING (row)"
    every = f"{every} LEFT JOIN (SELECT 0 AS outlier_row, 0 AS cluster) c USING (outlier_row)"
    outliers = every.replace(tables.spectra, tables.outliers)

    def ask(settings: QuerySettings) -> Callable[[], int]:
        return lambda: len(answer(StoreView.open(url), settings))

    inside = "s.redshift BETWEEN 0.1 AND 0.3 AND s.zwarn = 0"
    top = "ORDER BY tail_probability, score DESC, s.row LIMIT 100"
    near = cone.condition("ra", "dec")
    rate = "SELECT fiber, avg(outlier::DOUBLE) FROM {} GROUP BY fiber"
    return {
        "one TARGETID": (ask(QuerySettings(target_ids=(one,))), f"{every} WHERE s.target_id = ?", (one,)),
        f"{len(many):,} TARGETIDs": (
            ask(QuerySettings(target_ids=many)),
            f"{every} WHERE s.target_id IN (SELECT asked FROM given)",
            (pa.table({"asked": pa.array(many)}),),
        ),
        "the oddest 100 of a filter": (
            ask(QuerySettings(where=_FILTER, top=100)),
            f"{outliers} WHERE {inside} AND s.tail_probability < 5e-3 {top}",
            (),
        ),
        "the oddest 100 of all rows in a filter": (
            ask(QuerySettings(where="z between 0.1 and 0.3 and zwarn = 0", status="scored", top=100)),
            f"{every} WHERE {inside} AND s.status = 1 {top}",
            (),
        ),
        "all rows of a cone": (
            ask(QuerySettings(near=cone, status="any")),
            f"SELECT * FROM ({every}) WHERE {near.sql}",
            near.parameters,
        ),
        "outlier rate per fibre": (lambda: _rates(url, rate), rate.format(tables.spectra), ()),
    }


def _rates(url: str, sql: str) -> int:
    with Catalogue.of(StoreView.open(url)).tables() as tables:
        spectra = tables.spectra(("fiber", "outlier"), outliers_only=False)
        return int(tables.fetch(sql.format(f"({spectra})")).num_rows)


class _Tables:
    """What a FROM of DuckDB takes, for each content of a catalogue's files."""

    def __init__(self, catalogue: Catalogue) -> None:
        root = Path(catalogue.view.objects.root)
        files = [file for part in catalogue.parts for file in part.files]

        def read(*contents: str) -> str:
            paths = (literal(str(root / file.object.path)) for file in files if file.content in contents)
            return f"read_parquet([{', '.join(paths)}])"

        no_flags = "SELECT *, false AS superseded, false AS gone FROM"
        self.spectra = f"({no_flags} {read('outliers', 'others')})"
        self.outliers = f"({no_flags} {read('outliers')})"
        self.explanations = read("explanations")


def _timed(
    name: str, ask: Callable[[], int], sql: str, parameters: tuple[object, ...], repeats: int
) -> TimedQuestion:
    with PeakMemory(_CPU) as memory:
        found = ask()
    ours, theirs = [], []
    for _ in range(repeats):
        ours.append(work_seconds(ask))
        theirs.append(work_seconds(lambda: _duckdb_alone(sql, parameters)))
    return TimedQuestion(
        name,
        found,
        min(wall for _, wall, _ in ours),
        min(cpu for _, _, cpu in ours),
        min(wall for _, wall, _ in theirs),
        min(cpu for _, _, cpu in theirs),
        memory.bytes,
    )


def _duckdb_alone(sql: str, parameters: tuple[object, ...]) -> int:
    with duckdb.connect(":memory:") as connection:
        if parameters and isinstance(parameters[0], pa.Table):
            connection.register("given", parameters[0])
            parameters = ()
        return int(connection.sql(sql, params=list(parameters)).to_arrow_table().num_rows)


def _seconds_of_command(command: list[str]) -> tuple[float, float]:
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - whyspec itself
    wall = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
