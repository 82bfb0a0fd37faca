"""Benchmark of matches: a catalogue of simulated rows and a table of simulated objects, beside astropy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import torch
from astropy.coordinates import SkyCoord
from numpy.typing import NDArray

from engine.match.match import match
from engine.match.settings import MatchSettings
from engine.store.reading import StoreView
from flows.bench.devices import Machine, describe_machine, load_average
from flows.bench.files import bench_directory
from flows.bench.memory import PeakMemory
from flows.bench.query import simulated_store
from flows.bench.simulated_arrays import positions, target_ids
from flows.bench.timing import work_seconds

SCHEMA = 1
RADIUS = 1 / 3600
_JITTER = 0.2 / 3600
_CLASSES = np.array(["changing_look", "lens", "double_peaked", "cataclysmic", "white_dwarf"])
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class TimedMatch:
    """One way to match.

    Attributes
    ----------
    name : how; matched : spectra with an object.
    seconds, cpu_seconds : of the quickest, from the table's file to the summary, or to the matched rows; cpu
        of all threads.
    peak_bytes : memory of the first above what was in use before; None if unknown.
    """

    name: str
    matched: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int | None


@dataclass(frozen=True)
class MatchBench:
    """All that was measured.

    Attributes
    ----------
    rows : of the store; objects : of the table; radius : arcsec.
    matches : by position and by name, to the summary; then to the rows.
    astropy_matched, astropy_seconds, astropy_cpu_seconds : of astropy's search for the nearest object alone,
        of the same positions in memory: no files, classes or ranks.
    repeats : timed matches of each, of which the quickest counts.
    """

    rows: int
    objects: int
    radius: float
    matches: tuple[TimedMatch, ...]
    astropy_matched: int
    astropy_seconds: float
    astropy_cpu_seconds: float
    repeats: int
    machine: Machine

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description."""
        return {"schema": SCHEMA, **asdict(self)}


def bench_match(
    directory: Path | None, rows: int, objects: int, repeats: int, progress: Callable[[str], None]
) -> MatchBench:
    """Make a catalogue and a table of so many rows, and match them.

    Half of the objects lie within a fraction of an arcsec of a spectrum, the others anywhere.

    Parameters
    ----------
    directory : where both are made, and deleted afterwards; None for the system's.

    Raises
    ------
    InputError : the directory cannot be written to.
    """
    load_before = load_average()
    with bench_directory("match", directory) as made:
        url, table = str(made / "odd.zarr"), made / "known.parquet"
        simulated_store(url, rows, progress)
        ra, dec = _write_objects(table, rows, objects)
        matches = []
        for name, radius, rows_too in (
            ("by position", RADIUS, False),
            ("by name", None, False),
            ("by position, with rows", RADIUS, True),
        ):
            progress(name)
            settings = MatchSettings(radius=radius, class_column="class")
            matches.append(_timed(name, _work(url, table, settings, rows_too=rows_too), repeats))
        progress("astropy")
        found, wall, cpu = zip(*(_astropy(rows, ra, dec) for _ in range(repeats)), strict=True)
        return MatchBench(
            rows=rows,
            objects=objects,
            radius=RADIUS * 3600,
            matches=tuple(matches),
            astropy_matched=found[0],
            astropy_seconds=min(wall),
            astropy_cpu_seconds=min(cpu),
            repeats=repeats,
            machine=describe_machine(_CPU, load_before),
        )


def _write_objects(path: Path, rows: int, objects: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    generator = np.random.default_rng(5)
    there = generator.integers(0, rows, objects // 2)
    ra, dec = positions(there)
    elsewhere = objects - len(there)
    ra = np.append(ra + generator.normal(0, _JITTER, len(there)), generator.uniform(0, 360, elsewhere)) % 360
    dec = np.append(dec + generator.normal(0, _JITTER, len(there)), generator.uniform(-20, 40, elsewhere))
    ids = np.append(target_ids(there), np.arange(1, elsewhere + 1))
    classes = _CLASSES[generator.integers(0, len(_CLASSES), objects)]
    columns = {"ra": ra, "dec": dec, "TARGETID": ids, "class": classes}
    pyarrow.parquet.write_table(pa.table(columns), path)
    return ra, dec


def _work(url: str, table: Path, settings: MatchSettings, *, rows_too: bool) -> Callable[[], int]:
    def work() -> int:
        found = match(StoreView.open(url), table, settings)
        return len(found.matched()) if rows_too else found.summary.matched

    return work


def _timed(name: str, work: Callable[[], int], repeats: int) -> TimedMatch:
    with PeakMemory(_CPU) as memory:
        matched = work()
    _, wall, cpu = zip(*(work_seconds(work) for _ in range(repeats)), strict=True)
    return TimedMatch(name, matched, min(wall), min(cpu), memory.bytes)


def _astropy(rows: int, ra: NDArray[np.float64], dec: NDArray[np.float64]) -> tuple[int, float, float]:
    """Spectra with an object near, seconds and CPU seconds."""
    own_ra, own_dec = positions(np.arange(rows))

    def work() -> int:
        objects = SkyCoord(ra * u.deg, dec * u.deg)
        _, apart, _ = SkyCoord(own_ra * u.deg, own_dec * u.deg).match_to_catalog_sky(objects)
        return int((apart.deg <= RADIUS).sum())

    return work_seconds(work)
