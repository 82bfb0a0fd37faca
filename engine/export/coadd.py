"""Coadd: the explained spectra of a selection as one file in the form of DESI's coadds, with their maps.

The form is that of https://desidatamodel.readthedocs.io (coadd-SURVEY-PROGRAM-PIXNUM), with one band for all
arms, as ``coadd_cameras`` of desispec writes it. ``desispec.io.read_spectra`` takes further images of a band,
of the shape of its flux, for ``extra``, and ``EXTRA_CATALOG`` for a table of further columns.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import astuple
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
from astropy.io import fits
from numpy.typing import NDArray

from engine.attribution.places import Place
from engine.export.explained import WHAT_IS_KEPT, ExplainedSelection, ExplainedSpectrum
from engine.export.exported import Exported, Progress
from engine.export.image_space import ImageSpace
from engine.export.spectrum_headers import FLUX, IVAR, add_comment, base, header_text, places_table
from engine.query.astropy_table import fits_table
from engine.query.settings import QuerySettings
from engine.spectra.observation import exposures_of
from engine.store.reading import StoreView
from engine.surveys.surveys import survey_on
from models.errors import ConfigurationError, ErrorKind
from models.output_files import check_new_output, output_file

_ALL_BAD = 1 << 1
"""Bit ALLBADPIX of DESI's ``specmask``: all input pixels were masked."""

_NO_RESOLUTION = "There is no RESOLUTION: the store does not keep it."
_MAPS = "Maps are MAP and the width of the window in pixels; ATTRIBUTION is all of them combined."


def write_coadd(
    view: StoreView, settings: QuerySettings, path: Path, progress: Progress = lambda *_: None
) -> Exported:
    """Write the explained spectra of a selection, in its order, as a coadd of DESI.

    HDUs: ``FIBERMAP``, ``EXP_FIBERMAP`` (where exposures are known), ``SCORES``, ``REDSHIFTS``,
    ``EXTRA_CATALOG`` (the query's answer), ``PLACES``, and of the band ``BRZ`` WAVELENGTH, FLUX, IVAR, MASK,
    RECONSTRUCTION, BASELINE, TEMPLATE, ATTRIBUTION and MAP1, MAP4, ... by width. Images are filled spectrum
    by spectrum.

    Raises
    ------
    ConfigurationError : the survey has no such form.
    InputError : no explained spectrum is chosen, or the file exists or cannot be written.
    StoreError : the store is damaged.
    """
    band = _band(view)
    selection = ExplainedSelection.of(view, settings)
    check_new_output(path)
    with output_file(path) as partial, partial.open("w+b") as stream:
        fits.HDUList([_primary(selection), *_tables(selection)]).writeto(stream)
        stream.write(_bytes(places_table(_fill(stream, band, selection, progress))))
    return Exported(
        str(path),
        "coadd of DESI's form",
        len(selection),
        left_out=selection.left_out,
        notes=(WHAT_IS_KEPT, _NO_RESOLUTION, *_repeats(selection)),
    )


def _band(view: StoreView) -> str:
    """The band that holds all arms."""
    survey = survey_on(view.configuration.grid)
    if survey is None or not survey.joined_band:
        raise ConfigurationError(
            "A coadd of DESI holds spectra of DESI alone.",
            where=view.url,
            got=f"spectra on {view.configuration.grid}",
            allowed="a store of DESI",
            remedy="Name a directory (a name that does not end in .fits): spectra of any survey go there.",
            kind=ErrorKind.EXPORT_FORM,
        )
    return survey.joined_band


def _primary(selection: ExplainedSelection) -> fits.PrimaryHDU:
    """With the names that all spectra share: keys and readers go by them."""
    unit = base(selection.view)
    for name in ("specprod", "survey", "program"):
        values = selection.frame[name].unique().tolist()
        if len(values) == 1 and values[0]:
            unit.header[name.upper()] = header_text(values[0])
    unit.header["RESOLUTN"] = (False, "no resolution matrices")
    add_comment(unit.header, _NO_RESOLUTION)
    add_comment(unit.header, _MAPS)
    return unit


def _tables(selection: ExplainedSelection) -> Iterator[fits.BinTableHDU]:
    frame = selection.frame
    fibermap = {
        "TARGETID": frame["target_id"],
        "TARGET_RA": frame["ra"],
        "TARGET_DEC": frame["dec"],
        "OBJTYPE": "TGT",
        "COADD_FIBERSTATUS": np.int32(0),
        "COADD_NUMEXP": frame["exposure_count"].clip(lower=0).astype("int16"),
        "SURVEY": frame["survey"],
        "PROGRAM": frame["program"],
    }
    yield _table("FIBERMAP", fibermap)
    if len(exposures := _exposures(frame)):
        yield fits_table(exposures, "EXP_FIBERMAP")
    scores = {
        "SCORE": frame["score"],
        "TAIL_PROBABILITY": frame["tail_probability"],
        "MEDIAN_SNR": frame["snr"],
    }
    yield _table("SCORES", {"TARGETID": frame["target_id"], **scores})
    redshifts = {
        "TARGETID": frame["target_id"],
        "Z": frame["redshift"],
        "ZERR": frame["redshift_err"].astype("float64"),
        "ZWARN": frame["zwarn"],
        "SPECTYPE": frame["spectype"],
        "SUBTYPE": frame["subtype"],
        "DELTACHI2": frame["delta_chi2"].astype("float64"),
    }
    yield _table("REDSHIFTS", redshifts)
    yield fits_table(selection.answered, "EXTRA_CATALOG")


def _table(name: str, columns: Mapping[str, object]) -> fits.BinTableHDU:
    return fits_table(pd.DataFrame(columns), name)


def _exposures(frame: pd.DataFrame) -> pd.DataFrame:
    """A row for each target and exposure."""
    rows = [
        (target, *astuple(each))
        for target, text in zip(frame["target_id"], frame["exposures"], strict=True)
        for each in exposures_of(text)
    ]
    names = ("TILEID", "NIGHT", "EXPID", "FIBER", "PETAL_LOC")
    return pd.DataFrame(rows, columns=["TARGETID", *names]).astype(dict.fromkeys(names, "int32"))


def _fill(
    stream: BinaryIO, band: str, selection: ExplainedSelection, progress: Progress
) -> list[tuple[Place, ...]]:
    """Write the images of a band; gives the places of each spectrum."""
    wavelength = selection.view.wavelength
    units = [("BUNIT", "Angstrom", "vacuum")]
    ImageSpace(stream, f"{band}_WAVELENGTH", wavelength.shape, "f8", units).fill(0, wavelength)
    stream.seek(0, 2)
    shape = (len(selection), len(wavelength))
    spaces: dict[str, ImageSpace] = {}
    places = []
    for number, spectrum in enumerate(selection):
        for name, (values, unit) in _images(spectrum).items():
            if name not in spaces:
                cards = [("BUNIT", unit, "")] if unit else []
                stream.seek(0, 2)
                spaces[name] = ImageSpace(stream, f"{band}_{name}", shape, values.dtype.str[1:], cards)
            spaces[name].fill(number, values)
        places.append(spectrum.explanation.places)
        progress(number + 1, len(selection))
    stream.seek(0, 2)
    return places


def _images(spectrum: ExplainedSpectrum) -> dict[str, tuple[NDArray[np.generic], str]]:
    """Values of one spectrum and their unit, by the name that follows the band's."""
    explained = spectrum.explanation
    scales = zip(explained.scales, explained.maps, strict=True)
    return {
        "FLUX": (spectrum.physical(explained.flux), FLUX),
        "IVAR": (spectrum.ivar, IVAR),
        "MASK": (np.where(spectrum.masked, _ALL_BAD, 0).astype(np.int32), ""),
        "RECONSTRUCTION": (spectrum.physical(explained.reconstruction), FLUX),
        "BASELINE": (spectrum.physical(explained.baseline), FLUX),
        "TEMPLATE": (spectrum.physical(explained.template), FLUX),
        "ATTRIBUTION": (explained.combined.astype(np.float32), explained.units.combined),
        **{f"MAP{scale}": (values.astype(np.float32), explained.units.maps) for scale, values in scales},
    }


def _bytes(table: fits.BinTableHDU) -> bytes:
    """A table as an extension of a file."""
    first, content = fits.PrimaryHDU(), io.BytesIO()
    fits.HDUList([first, table]).writeto(content)
    return content.getvalue()[len(first.header.tostring()) :]


def _repeats(selection: ExplainedSelection) -> tuple[str, ...]:
    again = int(selection.frame["target_id"].duplicated().sum())
    if not again:
        return ()
    return (
        f"{again:,} spectra have the TARGETID of an earlier one: by TARGETID readers find the first alone.",
    )
