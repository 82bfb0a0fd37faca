"""The reading benchmark: microseconds per spectrum from a file to arrays, ours and others'.

The JSON is one object, the fields of :class:`ReadingBench` by their names; a nested result is an object of
its dataclass's fields, a tuple is an array, None is null. ``schema`` is raised when a field changes its
meaning or goes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from engine.simulation.release import SimulationSettings, simulate_release
from engine.spectra.source_file import SourceFile
from engine.surveys.reading import inspect
from flows.bench.approaches import Skipped
from flows.bench.devices import Machine, describe_machine, load_average
from flows.bench.reading_approaches import ReadingApproach, coadd_approaches, plate_approaches
from flows.bench.timing import time_in_turn
from models.errors import ConfigurationError, ErrorKind
from models.model_card import ModelCard

SCHEMA = 1
_IO = Path("/proc/self/io")
_OTHERS = ("fitsio", "astropy", "desispec", "specutils")


@dataclass(frozen=True)
class ReadingSettings:
    """Settings of the reading benchmark.

    Attributes
    ----------
    coadd_spectra : spectra of the simulated DESI coadd, resolution matrices included.
    plate_spectra : spectra of the simulated SDSS plate.
    repeats : timed runs of everything; the quickest counts.
    skip : names of packages left out.
    """

    coadd_spectra: int = 500
    plate_spectra: int = 640
    repeats: int = 7
    skip: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, value, most in (
            ("--spectra", self.coadd_spectra, 10_000),
            ("--plate", self.plate_spectra, 1000),
            ("--repeats", self.repeats, 1000),
        ):
            if not 1 <= value <= most:
                raise _refused(name, value, f"1 to {most}")
        unknown = [name for name in self.skip if name not in _OTHERS]
        if unknown:
            raise _refused("--skip", ", ".join(unknown), ", ".join(_OTHERS))


@dataclass(frozen=True)
class ReadingMeasurement:
    """One approach to one file.

    Attributes
    ----------
    approach, what : its name, and what it does.
    seconds : of each run, the file's pages in memory.
    microseconds, median_microseconds : per spectrum, of the quickest and the median run.
    peak_bytes : peak memory above what was in use before; None if unknown.
    bytes_read : bytes that the process read from files; None if unknown. What a memory map brings in is
        not counted.
    """

    approach: str
    what: str
    seconds: tuple[float, ...]
    microseconds: float
    median_microseconds: float
    peak_bytes: int | None
    bytes_read: int | None


@dataclass(frozen=True)
class ReadingCase:
    """One file: ``coadd`` (DESI) or ``plate`` (SDSS), and all approaches to it."""

    subject: str
    spectra: int
    file_bytes: int
    measurements: tuple[ReadingMeasurement, ...]
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True)
class ReadingBench:
    """All that was measured."""

    schema: int
    repeats: int
    machine: Machine
    cases: tuple[ReadingCase, ...]

    def to_dict(self) -> dict[str, Any]:
        """The JSON that the module's docstring describes."""
        return asdict(self)


def bench_reading(
    cards: tuple[ModelCard, ModelCard], settings: ReadingSettings, progress: Callable[[str], None]
) -> ReadingBench:
    """Simulate a coadd and a plate in a temporary directory, and read them in every way, on one thread.

    Parameters
    ----------
    cards : of a DESI and an SDSS model, which say how spectra are normalised.
    progress : takes a line of text before each step.
    """
    load = load_average()
    device, threads = torch.device("cpu"), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory(prefix="whyspec-bench-") as directory:
            cases = (
                _case("coadd", _coadd(Path(directory), settings, progress), cards[0], settings, progress),
                _case("plate", _plate(Path(directory), settings, progress), cards[1], settings, progress),
            )
        return ReadingBench(SCHEMA, settings.repeats, describe_machine(device, load), cases)
    finally:
        torch.set_num_threads(threads)


def _coadd(directory: Path, settings: ReadingSettings, progress: Callable[[str], None]) -> SourceFile:
    progress("simulate a coadd")
    count = settings.coadd_spectra
    simulate_release(SimulationSettings("desi", count, spectra_per_file=count), directory / "desi")
    (coadd,), (redrock,) = ((directory / "desi").rglob(f"{kind}-*.fits") for kind in ("coadd", "redrock"))
    return inspect(str(coadd), str(redrock))


def _plate(directory: Path, settings: ReadingSettings, progress: Callable[[str], None]) -> SourceFile:
    progress("simulate a plate")
    release = SimulationSettings("sdss", settings.plate_spectra, release="boss", form="plate")
    simulate_release(release, directory / "sdss")
    (plate,), (fits,) = ((directory / "sdss").rglob(f"{kind}-*.fits") for kind in ("spPlate", "spZbest"))
    return inspect(str(plate), str(fits))


def _case(
    subject: str,
    file: SourceFile,
    card: ModelCard,
    settings: ReadingSettings,
    progress: Callable[[str], None],
) -> ReadingCase:
    every = coadd_approaches(file, card) if subject == "coadd" else plate_approaches(file, card)
    approaches: list[ReadingApproach] = []
    skipped: list[Skipped] = []
    for one in every:
        package = (one.approach if isinstance(one, Skipped) else one.name).partition(",")[0]
        if package in settings.skip:
            skipped.append(Skipped(package, f"left out by --skip {package}", ""))
        elif isinstance(one, Skipped):
            skipped.append(one)
        else:
            approaches.append(one)
    sizes = {one.name: _bytes_read(one.run) for one in approaches}
    timings = time_in_turn(
        {one.name: one.run for one in approaches},
        settings.repeats,
        torch.device("cpu"),
        lambda text: progress(f"{subject}: {text}"),
    )
    per_spectrum = 1e6 / file.spectra
    measurements = tuple(
        ReadingMeasurement(
            one.name,
            one.what,
            timings[one.name].seconds,
            timings[one.name].minimum * per_spectrum,
            timings[one.name].median * per_spectrum,
            timings[one.name].peak_bytes,
            sizes[one.name],
        )
        for one in approaches
    )
    return ReadingCase(subject, file.spectra, Path(file.url).stat().st_size, measurements, tuple(skipped))


def _bytes_read(run: Callable[[], object]) -> int | None:
    """Bytes that the process reads from files in a second run, when all modules are loaded."""
    run()
    before = _read_so_far()
    run()
    after = _read_so_far()
    return None if before is None or after is None else after - before


def _read_so_far() -> int | None:
    try:
        return int(_IO.read_text(encoding="ascii").split("rchar:")[1].split()[0])
    except (OSError, IndexError, ValueError):
        return None


def _refused(where: str, got: object, allowed: str) -> ConfigurationError:
    return ConfigurationError(
        "A setting of the benchmark is out of range.",
        where=where,
        got=got,
        allowed=allowed,
        remedy="Give a value in the allowed range.",
        kind=ErrorKind.BENCH_SETTING,
    )
