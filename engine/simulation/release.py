"""Simulated releases on disk: DESI healpix coadds, SDSS spec files or plates, with their truth."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from engine.simulation.broad_spectrum import SpectrumMaker, spectrum_maker
from engine.simulation.desi_release import healpix_pixels, write_desi_file
from engine.simulation.redrock_templates import DIRECTORY, templates_of, write_templates
from engine.simulation.sdss_plates import write_plate
from engine.simulation.sdss_release import FIBRES, RUN2D, write_sdss_file
from engine.simulation.settings import SimulationSettings, SurveyName
from engine.simulation.truth import TRUTH_NAME, TruthRow, read_truth, write_truth
from models.atomic_files import write_durably
from models.errors import ConfigurationError, ErrorKind, InputError
from models.output_files import writing

__all__ = ["SimulatedRelease", "SimulationSettings", "read_truth", "simulate_release"]

MARKER_NAME = "simulation.json"
_BROAD_ONLY = ("population", "sky", "sky_share", "quasar_redshifts", "galaxy_redshifts")
"""Settings without effect on a plain population, which is described as it was before there were others."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class SimulatedRelease:
    """A release that was written.

    Attributes
    ----------
    path : its root, what a layout is pointed at.
    truth : its ``truth.ecsv``.
    spectra : rows in all files.
    targets : rows that are neither sky nor broken fibres.
    outliers : targets with an anomaly.
    files : files of spectra.
    """

    path: Path
    truth: Path
    spectra: int
    targets: int
    outliers: int
    files: int


def simulate_release(
    settings: SimulationSettings, out: Path, progress: Progress | None = None
) -> SimulatedRelease:
    """Write the release that ``settings`` describe to ``out``.

    The same settings give the same bytes. A larger ``spectra`` leaves full files as they were and
    adds rows and files after them. ``progress`` is called with (spectra written, spectra in all).

    Raises
    ------
    InputError : ``out`` holds something that the simulator did not make, or cannot be written to; there are
        no templates or sky fibres where the settings say so.
    ConfigurationError : more files are asked for than the sky has pixels.
    """
    make = spectrum_maker(settings)
    write = _WRITERS[settings.survey](settings)
    description = _description(settings)
    with writing(out):
        _prepare(out)
        write_durably(out / MARKER_NAME, (json.dumps(description, indent=1) + "\n").encode())
        rows = write(out, make, progress or _silent)
        write_truth(out / TRUTH_NAME, rows, description)
    targets = [row for row in rows if row.row_kind == "target"]
    return SimulatedRelease(
        out,
        out / TRUTH_NAME,
        len(rows),
        len(targets),
        sum(row.anomaly != "" for row in targets),
        len({row.file for row in rows}),
    )


Writer = Callable[[Path, SpectrumMaker, Progress], list[TruthRow]]
"""Writes the files of a release into a directory; returns the truth of all rows."""


def _desi_writer(settings: SimulationSettings) -> Writer:
    """One file after the other, each of a healpix pixel of its own."""
    size = settings.spectra_per_file
    pixels = _pixels(settings)

    def write(out: Path, make: SpectrumMaker, progress: Progress) -> list[TruthRow]:
        write_templates(templates_of(settings), out)
        rows: list[TruthRow] = []
        for number, pixel in enumerate(pixels):
            indices = range(number * size, min((number + 1) * size, settings.spectra))
            rows += write_desi_file(settings, out, number, pixel, [make(index) for index in indices])
            progress(len(rows), settings.spectra)
        return rows

    return write


def _sdss_writer(settings: SimulationSettings) -> Writer:
    """Plate after plate, or a file for each spectrum."""
    plates = settings.form_name == "plate"
    size = FIBRES[settings.release_name] if plates else 1

    def write(out: Path, make: SpectrumMaker, progress: Progress) -> list[TruthRow]:
        rows: list[TruthRow] = []
        for first in range(0, settings.spectra, size):
            spectra = [make(index) for index in range(first, min(first + size, settings.spectra))]
            if plates:
                rows += write_plate(settings, out, spectra)
            else:
                rows.append(write_sdss_file(settings, out, spectra[0]))
            progress(len(rows), settings.spectra)
        return rows

    return write


_WRITERS: dict[SurveyName, Callable[[SimulationSettings], Writer]] = {
    "desi": _desi_writer,
    "sdss": _sdss_writer,
}


def _pixels(settings: SimulationSettings) -> list[int]:
    """The healpix pixels of a DESI release's files."""
    files = -(-settings.spectra // settings.spectra_per_file)
    pixels = list(islice(healpix_pixels(settings.seed), files))
    if len(pixels) < files:
        raise ConfigurationError(
            "The release needs more healpix files than DESI's sky has pixels.",
            where="spectra_per_file",
            got=settings.spectra_per_file,
            allowed=f"at least {-(-settings.spectra // len(pixels))}",
            remedy="Put more spectra into each file or simulate fewer.",
            kind=ErrorKind.SIMULATION_SETTING,
        )
    return pixels


def _prepare(out: Path) -> None:
    """Make ``out`` ready: new, empty, or an older simulation, which is removed."""
    if out.exists() and not out.is_dir():
        raise _occupied(out, "a file")
    if out.is_dir() and any(out.iterdir()):
        if not (out / MARKER_NAME).is_file():
            raise _occupied(out, "a directory with other content")
        for name in ("healpix", DIRECTORY, *RUN2D.values()):
            shutil.rmtree(out / name, ignore_errors=True)
        for name in (TRUTH_NAME, MARKER_NAME):
            (out / name).unlink(missing_ok=True)
    out.mkdir(parents=True, exist_ok=True)


def _occupied(out: Path, found: str) -> InputError:
    return InputError(
        "The simulator does not write over what it did not make.",
        where=str(out),
        got=found,
        allowed="a new or empty directory, or one that an earlier simulation filled",
        remedy="Name another directory, or empty this one yourself.",
        kind=ErrorKind.OUTPUT_OCCUPIED,
    )


def _description(settings: SimulationSettings) -> dict[str, Any]:
    """The settings as text; where templates lie is left out, so that the bytes do not depend on it."""
    description = {**asdict(settings), "release": settings.release_name, "form": settings.form_name}
    description["templates"] = settings.templates is not None
    description["sky"] = settings.sky is not None
    for name in ("quasar_redshifts", "galaxy_redshifts"):
        description[name] = list(getattr(settings, name))
    if settings.population == "plain":
        for name in _BROAD_ONLY:
            del description[name]
    return description


def _silent(done: int, total: int) -> None:
    """Progress without a display."""
