"""SDSS files that hold a whole plate or field: spPlate and spField, with their spZbest.

HDUs, columns and paths after the data models of DR17 (spPlate, spZbest) and DR19 (spField). Of spZbest's
images the best-fit spectra are written, not the velocity dispersions.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.simulation import sdss_columns
from engine.simulation.fits_file import Card, image_hdu, primary_hdu, table_hdu, write_fits
from engine.simulation.sdss_release import (
    RUN2D,
    PlugPlace,
    catalogue_entry,
    pixel_masks,
    plug_place,
    primary_cards,
    rows_of,
    truth_of,
)
from engine.simulation.settings import SimulationSettings
from engine.simulation.spectrum import SimulatedSpectrum
from engine.simulation.truth import TruthRow

_NO_DATA = 1 << 24  # of SPPIXMASK


def write_plate(settings: SimulationSettings, out: Path, spectra: list[SimulatedSpectrum]) -> list[TruthRow]:
    """Write the plate or field of ``spectra`` and their redshifts; returns their truth."""
    places = [plug_place(settings, spectrum.index) for spectrum in spectra]
    masks = [pixel_masks(settings, spectrum) for spectrum in spectra]
    entries = [
        catalogue_entry(settings, spectrum, place) for spectrum, place in zip(spectra, places, strict=True)
    ]
    for entry, (every, some) in zip(entries, masks, strict=True):
        entry["ANYANDMASK"], entry["ANYORMASK"] = np.bitwise_or.reduce(every), np.bitwise_or.reduce(some)
    field = places[0].fiber < 0
    spectra_path, redshift_path = (out / path for path in _paths(settings, places[0]))
    for path in (spectra_path, redshift_path):
        path.parent.mkdir(parents=True, exist_ok=True)
    start = min(spectrum.instrument.arms[0].grid.start for spectrum in spectra)
    common = _CommonPixels(start, spectra)
    exposure = round(2700.0 * float(np.median([spectrum.depth for spectrum in spectra])), 2)
    cards = primary_cards(settings, places[0], exposure, start)
    cards += [("CRVAL1", round(start, 4)), ("CD1_1", 1e-4), ("CRPIX1", 1), ("CTYPE1", "LINEAR")]
    columns = sdss_columns.PLUGMAP_FIELD if field else sdss_columns.PLUGMAP
    plugmap = [_plugged(entry, place) for entry, place in zip(entries, places, strict=True)]
    data = [spectrum.arms[0] for spectrum in spectra]
    flux = common.pixels([one.flux for one in data], ">f4", 0)
    sigma = [np.full(len(one.flux), spectrum.instrument.arms[0].lsf_sigma) for one, spectrum in
             zip(data, spectra, strict=True)]  # fmt: skip
    name: list[Card] = [("EXTNAME", "FLUX")] if field else []
    hdus = [
        primary_hdu([*cards, *name], common.shape, [flux]),
        common.image("IVAR", [one.ivar for one in data], "f4", 0),
        common.image("ANDMASK", [every for every, _ in masks], "i4", _NO_DATA),
        common.image("ORMASK", [some for _, some in masks], "i4", _NO_DATA),
        common.image("WAVEDISP", sigma, "f4", 0),
        table_hdu("PLUGMAP", columns, rows_of(columns, plugmap)),
        common.image("SKY", [one.sky for one in data], "f4", 0),
    ]
    if field:
        hdus.append(common.image("SPECRESL", sigma, "f4", 0))
    write_fits(spectra_path, hdus)
    best = sdss_columns.ZBEST_FIELD if field else sdss_columns.ZBEST
    models = [spectrum.source.flux[0] for spectrum in spectra]
    write_fits(
        redshift_path,
        [
            primary_hdu(cards),
            table_hdu("", best, rows_of(best, entries)),
            common.image("", models, "f4", 0),
        ],
    )
    file = spectra_path.relative_to(out).as_posix()
    return [
        truth_of(settings, spectrum, place, str(entry["CLASS"]), file, row)
        for row, (spectrum, place, entry) in enumerate(zip(spectra, places, entries, strict=True))
    ]


class _CommonPixels:
    """The common pixels of a plate's spectra, which begin ``start`` (log10 Angstrom) and later."""

    def __init__(self, start: float, spectra: list[SimulatedSpectrum]) -> None:
        grids = [spectrum.instrument.arms[0].grid for spectrum in spectra]
        self._first = [round((grid.start - start) / grid.step) for grid in grids]
        size = max(first + grid.size for first, grid in zip(self._first, grids, strict=True))
        self.shape = (len(spectra), size)

    def pixels(self, rows: list[NDArray[Any]], dtype: str, outside: int) -> bytes:
        """An image as bytes; ``outside`` where a spectrum does not reach."""
        image = np.full(self.shape, outside, dtype=dtype)
        for row, first, values in zip(image, self._first, rows, strict=True):
            row[first : first + len(values)] = values
        return image.tobytes()

    def image(self, name: str, rows: list[NDArray[Any]], dtype: str, outside: int) -> list[bytes]:
        """An image HDU."""
        return image_hdu(name, self.shape, dtype, [self.pixels(rows, f">{dtype}", outside)])


def _paths(settings: SimulationSettings, place: PlugPlace) -> tuple[str, str]:
    run2d = RUN2D[settings.release_name]
    if place.fiber < 0:
        folder, name = f"{run2d}/{place.plate:06d}", f"{place.plate:06d}-{place.mjd}.fits"
        return f"{folder}/spField-{name}", f"{folder}/{run2d}/spZbest-{name}"
    folder, name = f"{run2d}/{place.plate:04d}", f"{place.plate:04d}-{place.mjd}.fits"
    # The first spectrographs' redshifts lie beside their plates.
    below = "" if settings.release_name == "legacy" else f"{run2d}/"
    return f"{folder}/spPlate-{name}", f"{folder}/{below}spZbest-{name}"


def _plugged(entry: dict[str, Any], place: PlugPlace) -> dict[str, Any]:
    """The plugmap's row of a fibre, or of a field's target."""
    plugged = {name: entry[name] for name in ("OBJTYPE", "SPECTROGRAPHID", "LAMBDA_EFF", "XFOCAL", "YFOCAL")}
    plugged |= {"RA": place.ra, "DEC": place.dec, "FIBERID": place.fiber, "HOLETYPE": "OBJECT"}
    plugged |= {"THROUGHPUT": 50_000, "SOURCETYPE": entry["SOURCETYPE"]}
    if place.fiber < 0:
        plugged |= {
            "FIBERTYPE": "BOSS", "ASSIGNED": 1, "ON_TARGET": 1, "RACAT": place.ra, "DECCAT": place.dec,
            "CATEGORY": "science", "SOURCETYPE": "", "CATALOGID": str(place.catalog_id),
            "ICATALOGID": place.catalog_id, "MAPPER": "bhm", "PROGRAM": "bhm_rm",
        }  # fmt: skip
        for name in ("SDSS_ID", "SURVEY", "TARGET_INDEX", "FIBERID_LIST", "FIBER_RA", "FIBER_DEC"):
            plugged[name] = entry[name]
    return plugged
