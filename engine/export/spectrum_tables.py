"""Spectrum tables: a FITS table of each explained spectrum with its maps, as specutils reads it.

The loader ``tabular-fits`` of specutils takes the first column with a unit of wavelength, the first with one
of flux density, the next column of the same unit as standard deviation, and ``mask``
(https://specutils.readthedocs.io, ``specutils.io.parsing_utils.generic_spectrum_from_table``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from astropy.io import fits
from numpy.typing import NDArray

from engine.export.explained import WHAT_IS_KEPT, ExplainedSelection, ExplainedSpectrum
from engine.export.exported import Exported, Progress
from engine.export.spectrum_headers import FLUX, IVAR, places_table, primary
from engine.query.settings import QuerySettings
from engine.query.table_formats import write_table
from engine.store.reading import StoreView
from models.output_files import output_directory

INDEX = "index.ecsv"
"""The query's answer, with the file of each spectrum."""


def write_spectrum_tables(
    view: StoreView, settings: QuerySettings, path: Path, progress: Progress = lambda *_: None
) -> Exported:
    """Write each explained spectrum of a selection as a FITS file of a new directory, and an index.

    The table ``SPECTRUM`` has observed wavelength (Angstrom, vacuum), flux, standard deviation (infinite
    where masked), mask, inverse variance, reconstruction, baseline, the cause's template, the combined map
    and one map per scale. ``PLACES`` has the places. The primary header says what the spectrum is, and its
    score.

    Raises
    ------
    InputError : no explained spectrum is chosen, or the directory exists or cannot be made.
    StoreError : the store is damaged.
    """
    selection = ExplainedSelection.of(view, settings)
    names = _file_names(selection.frame["key"].tolist())
    with output_directory(path) as directory:
        for number, (name, spectrum) in enumerate(zip(names, selection, strict=True), 1):
            places = places_table([spectrum.explanation.places])
            fits.HDUList([primary(selection.view, spectrum), _table(spectrum), places]).writeto(
                directory / name
            )
            progress(number, len(names))
        index = selection.answered.copy()
        index.insert(0, "file", pd.Series(names, dtype="str"))
        write_table(index, "ecsv", directory / INDEX)
    what = "tables of spectra for specutils"
    return Exported(str(path), what, len(names), len(names) + 1, selection.left_out, (WHAT_IS_KEPT,))


def _file_names(keys: list[str]) -> list[str]:
    """A name for each key, all different, of letters, digits and a few signs that mean nothing."""
    names: dict[str, None] = {}
    for key in keys:
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", key).strip("-.") or "spectrum"
        name, again = plain, 1
        while name in names:
            again += 1
            name = f"{plain}-{again}"
        names[name] = None
    return [f"{name}.fits" for name in names]


def _table(spectrum: ExplainedSpectrum) -> fits.BinTableHDU:
    columns = list(_columns(spectrum))
    unit = fits.BinTableHDU.from_columns([column for column, _ in columns], name="SPECTRUM")
    for number, (_, description) in enumerate(columns, 1):
        unit.header[f"TCOMM{number}"] = description
    return unit


def _columns(spectrum: ExplainedSpectrum) -> Iterator[tuple[fits.Column, str]]:
    """Columns with descriptions. Those that specutils looks for come first."""
    explained, masked = spectrum.explanation, spectrum.masked
    with np.errstate(divide="ignore"):
        error = (1 / np.sqrt(spectrum.ivar.astype(np.float64))).astype(np.float32)
    yield _column("wavelength", explained.wavelength, "Angstrom"), "observed, vacuum"
    yield _column("flux", spectrum.physical(explained.flux), FLUX), "0 where masked"
    yield _column("error", error, FLUX), "standard deviation; infinite where masked"
    yield fits.Column("mask", "L", array=masked), "true: no evidence"
    yield _column("ivar", spectrum.ivar, IVAR), "inverse variance; 0 where masked"
    for name, what in (
        ("reconstruction", "spectrum without noise that the model sees in the flux"),
        ("baseline", "mean of the baselines at the spectrum's redshift"),
        ("template", "what the named cause adds to the reconstruction"),
    ):
        yield _column(name, spectrum.physical(getattr(explained, name)), FLUX), what
    unit = explained.units
    yield _column("attribution", explained.combined), f"combined map [{unit.combined}]"
    for scale, values in zip(explained.scales, explained.maps, strict=True):
        yield _column(f"map_{scale}", values), f"attribution at {scale} pixels [{unit.maps}]"


def _column(name: str, values: NDArray[Any], unit: str | None = None) -> fits.Column:
    return fits.Column(name, {"f4": "E", "f8": "D"}[values.dtype.str[1:]], unit=unit, array=values)
