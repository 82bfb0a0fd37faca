"""The release of the pipeline benchmark: as large as asked, from few spectra that are simulated once.

The cost of a run does not depend on whether two of its spectra are alike, and simulating takes longer than
scoring. So every distinct spectrum is simulated once and written many times, each time at another place in
the sky and with a TARGETID of its own: every file is a real one.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path

from engine.simulation.desi_release import healpix_pixels, write_desi_file
from engine.simulation.settings import SimulationSettings
from engine.simulation.spectrum import simulate_spectrum
from models.errors import ConfigurationError, ErrorKind, InputError
from models.output_files import writing

_MARKER = "bench-release.json"
_BYTES_PER_SPECTRUM = 100_000  # without RESOLUTION, which a run does not read


def pipeline_release(
    directory: Path,
    spectra: int,
    spectra_per_file: int,
    distinct: int,
    progress: Callable[[str], None],
) -> Path:
    """A DESI release of ``spectra`` rows in ``directory``; one that an earlier benchmark made is used again.

    Parameters
    ----------
    distinct : number of spectra that are simulated.

    Raises
    ------
    InputError : something else is in the directory, or it cannot be written to.
    ConfigurationError : the disk has no room.
    """
    settings = SimulationSettings("desi", spectra, 0.0, spectra_per_file=spectra_per_file, resolution=False)
    # As text: JSON knows no tuples, and settings hold some.
    description = json.dumps({**asdict(settings), "distinct": distinct}) + "\n"
    marker = directory / _MARKER
    with writing(directory):
        if marker.is_file() and marker.read_text(encoding="utf-8") == description:
            return directory
        if directory.exists() and any(directory.iterdir()):
            raise InputError(
                "The benchmark does not write over what is there.",
                where=str(directory),
                got="a directory with other content",
                allowed="a new or empty directory, or one with the same benchmark's release",
                remedy="Name another --directory, or empty this one yourself.",
                kind=ErrorKind.OUTPUT_OCCUPIED,
            )
        directory.mkdir(parents=True, exist_ok=True)
    _check_room(directory, spectra)
    simulated = []
    for index in range(min(distinct, spectra)):
        simulated.append(simulate_spectrum(settings, index, None))
        if index % 100 == 0:
            progress(f"simulate spectra: {index:,} of {min(distinct, spectra):,}")
    files = -(-spectra // spectra_per_file)
    for number, pixel in enumerate(islice(healpix_pixels(settings.seed), files)):
        rows = range(number * spectra_per_file, min((number + 1) * spectra_per_file, spectra))
        copies = [replace(simulated[row % len(simulated)], index=row) for row in rows]
        write_desi_file(settings, directory, number, pixel, copies)
        progress(f"write files: {number + 1:,} of {files:,}")
    marker.write_text(description, encoding="utf-8")
    return directory


def _check_room(directory: Path, spectra: int) -> None:
    needed, free = spectra * _BYTES_PER_SPECTRUM, shutil.disk_usage(directory).free
    if needed > free:
        raise ConfigurationError(
            "The disk has no room for the benchmark's release.",
            where=str(directory),
            got=f"{free / 1e9:.0f} GB free",
            allowed=f"{needed / 1e9:.0f} GB for {spectra:,} spectra",
            remedy="Name a --directory on another disk, or ask for fewer --spectra.",
            kind=ErrorKind.DISK_ROOM,
        )
