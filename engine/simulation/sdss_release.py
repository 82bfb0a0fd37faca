"""SDSS files: one ``spec-PLATE-MJD-FIBER.fits`` per spectrum, as DR17 publishes the lite ones.

SDSS-V's, as in DR19, are named by field, date and catalogue identifier.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.simulation import sdss_columns
from engine.simulation.arms import SPEED_OF_LIGHT
from engine.simulation.bright_sky import bright_sky, sky_lines
from engine.simulation.fits_file import Card, Column, empty_table, primary_hdu, table_hdu, write_fits
from engine.simulation.galaxies import SourceKind
from engine.simulation.randomness import Stream, generator
from engine.simulation.settings import SimulationSettings
from engine.simulation.spectrum import RowKind, SimulatedSpectrum
from engine.simulation.truth import TruthRow

RUN2D = {"legacy": "26", "boss": "v5_13_2", "sdssv": "v6_1_3"}
FIBRES = {"legacy": 640, "boss": 1000, "sdssv": 500}
_FIRST_PLATE = {"legacy": 266, "boss": 3586, "sdssv": 112360}
_FIRST_MJD = {"legacy": 51602, "boss": 55181, "sdssv": 60000}
_FIRST_CATALOGID = 27021598150202075
# Bits of SPPIXMASK and ZWARNING (SDSS DR17).
_NO_PLUG, _BAD_TRACE, _FULL_REJECT, _BRIGHT_SKY, _NO_DATA, _COMBINE_REJECT = 0, 1, 18, 23, 24, 25
_ZWARNING_SKY, _ZWARNING_SMALL, _ZWARNING_UNPLUGGED = 1 << 0, 1 << 2, 1 << 7


@dataclass(frozen=True)
class PlugPlace:
    """Where an SDSS spectrum was taken: its key and position (degrees).

    ``plate`` is the field of an SDSS-V spectrum, which has no ``fiber`` (-1) but a ``catalog_id``; that of
    others is -1. ``index`` counts from 0 on the plate or in the field.
    """

    plate: int
    mjd: int
    fiber: int
    ra: float
    dec: float
    index: int
    catalog_id: int


def plug_place(settings: SimulationSettings, index: int) -> PlugPlace:
    """Plate, date, fibre and position of spectrum ``index``; plates fill up one after the other."""
    release = settings.release_name
    plate_number, fibre = divmod(index, FIBRES[release])
    centre = generator(settings.seed, Stream.FILE, plate_number)
    ra0, dec0 = float(centre.uniform(120.0, 240.0)), float(centre.uniform(-3.0, 60.0))
    random = generator(settings.seed, Stream.CATALOGUE, index)
    radius, angle = 1.49 * np.sqrt(random.random()), 2 * np.pi * random.random()
    dec = dec0 + radius * np.sin(angle)
    ra = ra0 + radius * np.cos(angle) / np.cos(np.radians(dec))
    mjd = _FIRST_MJD[release] + 3 * plate_number
    field = release == "sdssv"
    return PlugPlace(
        _FIRST_PLATE[release] + plate_number,
        mjd,
        -1 if field else fibre + 1,
        float(ra),
        float(dec),
        fibre,
        _FIRST_CATALOGID + 7 * index if field else -1,
    )


def write_sdss_file(settings: SimulationSettings, out: Path, spectrum: SimulatedSpectrum) -> TruthRow:
    """Write one spec file; returns its truth."""
    release = settings.release_name
    place = plug_place(settings, spectrum.index)
    path = out / RUN2D[release] / "spectra" / "lite" / _spec_path(place)
    path.parent.mkdir(parents=True, exist_ok=True)
    every, some = pixel_masks(settings, spectrum)
    entry = catalogue_entry(settings, spectrum, place)
    entry["ANYANDMASK"], entry["ANYORMASK"] = np.bitwise_or.reduce(every), np.bitwise_or.reduce(some)
    name, columns = {
        "legacy": ("SPECOBJ", sdss_columns.SPECOBJ),
        "boss": ("SPALL", sdss_columns.SPALL),
        "sdssv": ("SPALL", sdss_columns.SPALL_FIELD),
    }[release]
    last = "ZLINE" if release == "sdssv" else "SPZLINE"
    grid = spectrum.instrument.arms[0].grid
    exposure = round(2700.0 * spectrum.depth, 2)
    hdus = [
        primary_hdu([*primary_cards(settings, place, exposure, grid.start), *_target_cards(settings, place)]),
        table_hdu("COADD", sdss_columns.COADD, _coadd(spectrum, every, some)),
        table_hdu(name, columns, rows_of(columns, [entry])),
        table_hdu(last, sdss_columns.SPZLINE, _line_fits(spectrum, place)),
    ]
    write_fits(path, hdus)
    return truth_of(settings, spectrum, place, str(entry["CLASS"]), path.relative_to(out).as_posix(), 0)


def _spec_path(place: PlugPlace) -> str:
    if place.fiber < 0:
        name = f"spec-{place.plate:06d}-{place.mjd}-{place.catalog_id}.fits"
        return f"{place.plate:06d}/{place.mjd}/{name}"
    return f"{place.plate:04d}/spec-{place.plate:04d}-{place.mjd}-{place.fiber:04d}.fits"


def truth_of(
    settings: SimulationSettings,
    spectrum: SimulatedSpectrum,
    place: PlugPlace,
    spectype: str,
    file: str,
    row: int,
) -> TruthRow:
    """The truth of a spectrum that lies in row ``row`` of ``file``."""
    release = settings.release_name
    return TruthRow.of(
        spectrum,
        specprod=RUN2D[release],
        survey={"legacy": "sdss", "boss": "boss", "sdssv": "bhm"}[release],
        target_id=place.catalog_id if place.fiber < 0 else spec_obj_id(place, RUN2D[release]),
        plate=place.plate,
        mjd=place.mjd,
        fiber=place.fiber,
        file=file,
        row=row,
        ra=place.ra,
        dec=place.dec,
        spectype=spectype,
    )


def spec_obj_id(place: PlugPlace, run2d: str) -> int:
    """SPECOBJID: plate from bit 50, fibre from 38, MJD - 50000 from 24, run2d from 10.

    A run2d ``vN_M_P`` counts as (N - 5) * 10000 + M * 100 + P.
    """
    if run2d.startswith("v"):
        major, minor, patch = (int(part) for part in run2d[1:].split("_"))
        code = (major - 5) * 10_000 + minor * 100 + patch
    else:
        code = int(run2d)
    return place.plate << 50 | place.fiber << 38 | (place.mjd - 50_000) << 24 | code << 10


def primary_cards(
    settings: SimulationSettings, place: PlugPlace, exposure: float, coeff0: float
) -> list[Card]:
    """Cards of the primary header that spec, spPlate and spField files share."""
    release = settings.release_name
    reduction = "v5_3_12" if release == "legacy" else RUN2D[release]
    if place.fiber < 0:
        taken: list[Card] = [("PLATEID", "", "The currently loaded plate"), ("FIELDID", str(place.plate))]
    else:
        taken = [
            ("NAME", f"{place.plate:04d}-{place.mjd}-01", "name of the plugged plate"),
            ("PLATEID", place.plate, "Plate Id"),
        ]
    return [
        ("TELESCOP", "SDSS 2.5-M", "Sloan Digital Sky Survey"),
        ("FLAVOR", "science", "exposure type, SDSS spectro style"),
        ("MJD", place.mjd, "MJD of observation"),
        ("MJDLIST", str(place.mjd)),
        *taken,
        ("EQUINOX", 2000.0),
        ("RADECSYS", "FK5"),
        ("EXPTIME", exposure, "minimum of exposure times for all cameras"),
        ("VERS2D", reduction, "version of idlspec2d for 2D reduction"),
        ("VERSCOMB", reduction, "version of idlspec2d for combining spectra"),
        ("RUN2D", RUN2D[release], "Spectro-2D reduction name"),
        ("VACUUM", True, "wavelengths are in vacuum"),
        ("NWORDER", 2, "linear-log10 coefficients"),
        ("WFITTYPE", "LOG-LINEAR", "linear-log10 dispersion"),
        ("COEFF0", round(coeff0, 4), "central wavelength (log10) of first pixel"),
        ("COEFF1", 1e-4, "log10 dispersion per pixel"),
        ("DC-FLAG", 1, "log-linear flag"),
        ("BUNIT", "1E-17 erg/cm^2/s/Ang"),
        ("SIMULATD", True, "made by whyspec's simulator, not by SDSS"),
    ]


def _target_cards(settings: SimulationSettings, place: PlugPlace) -> list[Card]:
    cards: list[Card] = [
        ("PLUG_RA", place.ra, "RA of object [deg]"),
        ("PLUG_DEC", place.dec, "dec of object [deg]"),
    ]
    if place.fiber > 0:
        last = FIBRES[settings.release_name]
        cards.append(("FIBERID", place.fiber, f"fiber number (1-{last})"))
    return cards


def _coadd(
    spectrum: SimulatedSpectrum, every: NDArray[np.int64], some: NDArray[np.int64]
) -> NDArray[np.void]:
    """COADD, one row per pixel, with its AND and OR masks."""
    arm, data = spectrum.instrument.arms[0], spectrum.arms[0]
    table = empty_table(sdss_columns.COADD, arm.grid.size)
    table["flux"], table["ivar"] = data.flux, data.ivar
    table["loglam"] = arm.grid.start + arm.grid.step * np.arange(arm.grid.size)
    table["wdisp"], table["sky"], table["model"] = arm.lsf_sigma, data.sky, spectrum.source.flux[0]
    table["and_mask"], table["or_mask"] = every, some
    return table


def pixel_masks(
    settings: SimulationSettings, spectrum: SimulatedSpectrum
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """AND and OR masks: BRIGHTSKY by SDSS's own rule, rejected pixels, broken fibres."""
    data, size = spectrum.arms[0], len(spectrum.arms[0].flux)
    random = generator(settings.seed, Stream.MASK, spectrum.index)
    every = np.where(bright_sky(data), 1 << _BRIGHT_SKY, 0).astype(np.int64)
    every |= np.where(data.masked, 1 << _FULL_REJECT | 1 << _NO_DATA, 0)
    some = every | np.where(random.random(size) < 0.03, 1 << _COMBINE_REJECT, 0)
    some |= np.where(sky_lines(data), 1 << _BRIGHT_SKY, 0)
    broken = {RowKind.STUCK: 1 << _NO_PLUG, RowKind.BAD_FIBRE: 1 << _BAD_TRACE}.get(spectrum.row_kind, 0)
    every |= broken
    some |= broken
    return every, some


def rows_of(columns: tuple[Column, ...], entries: Sequence[dict[str, Any]]) -> NDArray[np.void]:
    """A table of these columns, filled from entries by name; 0 and empty text where an entry lacks one."""
    table = empty_table(columns, len(entries))
    for column in columns:
        for row, entry in enumerate(entries):
            if column.name in entry:
                table[column.name][row] = entry[column.name]
    return table


def catalogue_entry(
    settings: SimulationSettings, spectrum: SimulatedSpectrum, place: PlugPlace
) -> dict[str, Any]:
    """What the catalogue says of a spectrum; names that a release's table lacks are ignored there."""
    release, data = settings.release_name, spectrum.arms[0]
    arm, legacy = spectrum.instrument.arms[0], settings.release_name == "legacy"
    random = generator(settings.seed, Stream.CATALOGUE, spectrum.index)
    good = int(np.count_nonzero(data.ivar > 0))
    identifier = 0 if place.fiber < 0 else spec_obj_id(place, RUN2D[release])
    direction = np.radians([place.ra, place.dec])
    entry: dict[str, Any] = {
        "SURVEY": "sdss", "INSTRUMENT": "SDSS", "CHUNK": "chunk4" if legacy else "boss1",
        "PLATEQUALITY": "good", "PROGRAMNAME": "legacy" if legacy else "boss", "LAMBDA_EFF": 5400.0,
        "PLATESN2": 15.0 * spectrum.depth, "SPECPRIMARY": 1, "SPECLEGACY": 1,
        "SPECBOSS": int(not legacy), "NSPECOBS": 1, "FIRSTRELEASE": "dr7",
        "SPECOBJID": f"{identifier:22d}" if legacy else identifier, "RUN2D": RUN2D[release],
        "RUN1D": "" if legacy else RUN2D[release], "PLATE": place.plate, "TILE": place.plate,
        "MJD": place.mjd, "FIBERID": place.fiber, "SPECTROGRAPHID": 1 + (place.fiber > FIBRES[release] // 2),
        "SOURCETYPE": "GALAXY", "TARGETTYPE": "SCIENCE", "OBJTYPE": "GALAXY",
        "PLUG_RA": place.ra, "PLUG_DEC": place.dec, "RA": place.ra, "DEC": place.dec,
        "CX": np.cos(direction[0]) * np.cos(direction[1]), "CY": np.sin(direction[0]) * np.cos(direction[1]),
        "CZ": np.sin(direction[1]), "XFOCAL": 300.0 * random.normal(), "YFOCAL": 300.0 * random.normal(),
        "WAVEMIN": arm.wavelength[0], "WAVEMAX": arm.wavelength[-1], "WCOVERAGE": good * arm.grid.step,
        "DOF": max(good - 7, 0), "SN_MEDIAN_ALL": spectrum.snr, "SN_MEDIAN": [spectrum.snr] * 5,
        "CLASS": "GALAXY", "NPOLY": 3, "TCOLUMN": [0, 1, 2, 3, -1, -1, -1, -1, -1, -1],
        "TFILE": "spEigenGal-53724.fits" if legacy else "spEigenGal-55740.fits", "CHI68P": 1.0,
        "AIRMASS": [1.1] * 5, "OBJID": [0] * 5 if legacy else "",
    }  # fmt: skip
    if release == "sdssv":
        entry.update(
            SURVEY="BHM", PROGRAMNAME="bhm_rm", FIELD=place.plate, OBS="APO", TILE=-1, SPECOBJID=0,
            TARGET_INDEX=place.index + 1, CATALOGID=place.catalog_id, SDSS_ID=50_000_000 + place.index,
            FIBERID_LIST=f"{place.index + 1} {place.index + 1}", FIBER_RA=place.ra, FIBER_DEC=place.dec,
        )  # fmt: skip
    entry.update(_pipeline_redshift(spectrum, random))
    if spectrum.row_kind is RowKind.SKY_FIBRE:
        entry.update(SOURCETYPE="SKY", TARGETTYPE="SKY", OBJTYPE="SKY", SPECPRIMARY=0)
    elif spectrum.row_kind is RowKind.STUCK:
        entry.update(OBJTYPE="NA", SPECPRIMARY=0)
    for name in ("Z", "Z_ERR", "ZWARNING", "RCHI2DIFF", "CLASS", "SUBCLASS"):
        if name in entry:
            entry[f"{name}_NOQSO"] = entry[name]
    return entry


def _pipeline_redshift(spectrum: SimulatedSpectrum, random: np.random.Generator) -> dict[str, Any]:
    source = spectrum.source
    if spectrum.row_kind is RowKind.STUCK:
        return {"Z": 0.0, "Z_ERR": -1.0, "ZWARNING": _ZWARNING_UNPLUGGED, "RCHI2": 0.0}
    if spectrum.row_kind is RowKind.SKY_FIBRE:
        guess = random.uniform(0.0, 1.0)
        return {"Z": guess, "Z_ERR": 2e-4, "ZWARNING": _ZWARNING_SKY | _ZWARNING_SMALL, "RCHI2DIFF": 0.003}
    error = float(np.clip(2.5e-4 / max(spectrum.snr, 0.1), 6e-6, 6e-4))
    row: dict[str, Any] = {
        "Z": source.redshift + error * random.standard_normal(),
        "Z_ERR": error,
        "ZWARNING": 0,
    }
    row["RCHI2"], row["RCHI2DIFF"] = (
        random.normal(1.0, 0.05),
        0.012 + 0.02 * spectrum.snr**2 * random.uniform(0.5, 1.5),
    )
    row["VDISP"], row["VDISP_ERR"] = source.dispersion, 15.0
    if source.kind is SourceKind.QUASAR:
        row.update(CLASS="QSO", SUBCLASS="BROADLINE")
    elif source.kind is SourceKind.STAR:
        row.update(CLASS="STAR", SUBCLASS="G2")
    elif source.kind is SourceKind.SEYFERT:
        row["SUBCLASS"] = "AGN"
    elif source.kind is SourceKind.STAR_FORMING:
        row["SUBCLASS"] = "STARFORMING"
    return row


def _line_fits(spectrum: SimulatedSpectrum, place: PlugPlace) -> NDArray[np.void]:
    """SPZLINE: areas of the lines that were put in; -1 in an error says not fitted, as SDSS does."""
    table = empty_table(sdss_columns.SPZLINE, len(sdss_columns.FITTED_LINES))
    table["PLATE"], table["MJD"], table["FIBERID"] = place.plate, place.mjd, place.fiber
    redshift, arm = spectrum.source.redshift, spectrum.instrument.arms[0]
    for row, (name, wavelength) in zip(table, sdss_columns.FITTED_LINES, strict=True):
        row["LINENAME"], row["LINEWAVE"] = name, wavelength
        for error in (
            "LINEZ_ERR",
            "LINESIGMA_ERR",
            "LINEAREA_ERR",
            "LINEEW_ERR",
            "LINECONTLEVEL_ERR",
            "LINECHI2",
        ):
            row[error] = -1.0
        known = [line for line in spectrum.source.lines if abs(line.wavelength - wavelength) < 0.7]
        observed = wavelength * (1.0 + redshift)
        if not known or not arm.wavelength[0] < observed < arm.wavelength[-1]:
            continue
        pixel = round(float(arm.grid.pixel(observed)))
        level = float(spectrum.source.flux[0][max(pixel - 20, 0)])
        row["LINEZ"], row["LINEZ_ERR"] = redshift, 1e-5
        row["LINESIGMA"], row["LINESIGMA_ERR"] = SPEED_OF_LIGHT * 4e-4, 10.0
        row["LINEAREA"], row["LINEAREA_ERR"] = known[0].area, 0.1 * known[0].area
        row["LINEEW"], row["LINEEW_ERR"] = known[0].area / max(level, 1e-3), 0.1
        row["LINECONTLEVEL"], row["LINECONTLEVEL_ERR"] = level, 0.1
    return table
