"""Rows of DESI tables for simulated spectra: FIBERMAP, EXP_FIBERMAP, SCORES, REDSHIFTS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy_healpix import HEALPix
from numpy.typing import NDArray

from engine.simulation import desi_columns
from engine.simulation.desi_exposures import Exposure, exposures_of, first_location, first_tile
from engine.simulation.fits_file import empty_table
from engine.simulation.galaxies import SourceKind
from engine.simulation.randomness import Stream, generator
from engine.simulation.redrock_fit import best_fit
from engine.simulation.redrock_templates import COEFFICIENTS, RedrockTemplate
from engine.simulation.spectrum import RowKind, SimulatedSpectrum, median_snr

NSIDE = 64
_RELEASE = 9010
_STUCK_STATUS = (1 << 0) | (1 << 3) | (1 << 9)
_BAD_STATUS = (1 << 2, 1 << 9, 1 << 10, 1 << 12, 1 << 16, 1 << 21)
_SKY_TARGET = 1 << 32
_LRG_TARGET, _ELG_TARGET, _QSO_TARGET, _BGS_TARGET, _MWS_TARGET = 1 << 0, 1 << 1, 1 << 2, 1 << 60, 1 << 61
_FARTHEST_BGS = 0.6
"""Redshift beyond which galaxies are targets of dark time."""
_TRACERS = ("GPBDARK", "ELG", "GPBBRIGHT", "LYA", "BGS", "GPBBACKUP", "QSO", "LRG")
# Template (signal / noise)^2 of a dark-time exposure of 1000 s, per tracer in B, R, Z (an EDR fibre).
_TSNR2 = (
    (215.5, 0.16, 39.1, 109.0, 847.0, 248.0, 4.35, 1.79),
    (14640.0, 31.5, 2516.0, 0.08, 2813.0, 14130.0, 9.5, 45.1),
    (3.6e-5, 117.0, 6.5e-6, 0.0, 5247.0, 4.0e-5, 24.6, 56.2),
)


@dataclass(frozen=True)
class Placed:
    """A spectrum with its place on the sky and in the survey.

    Attributes
    ----------
    spectrum : the simulated spectrum.
    target_id : DESI TARGETID; negative where the fibre had no target.
    ra, dec : degrees.
    exposures : its exposures.
    random : for the columns that nothing depends on.
    """

    spectrum: SimulatedSpectrum
    target_id: int
    ra: float
    dec: float
    exposures: tuple[Exposure, ...]
    random: np.random.Generator


def place(seed: int, spectrum: SimulatedSpectrum, pixel: int) -> Placed:
    """``spectrum`` at its position in healpix ``pixel`` (nside 64, nested), with its TARGETID."""
    random = generator(seed, Stream.CATALOGUE, spectrum.index)
    dx, dy = 0.02 + 0.96 * random.random(2)
    grid = HEALPix(nside=NSIDE, order="nested")
    longitude, latitude = grid.healpix_to_lonlat([pixel], dx=[dx], dy=[dy])
    return Placed(
        spectrum,
        target_id(seed, spectrum),
        float(longitude.deg[0]),
        float(latitude.deg[0]),
        exposures_of(seed, spectrum),
        random,
    )


def target_id(seed: int, spectrum: SimulatedSpectrum) -> int:
    """The TARGETID of a spectrum: OBJID in bits 0-21, BRICKID from 22, RELEASE from 42, SKY in bit 59.

    Stuck positioners have -(tile * 10000 + location), which repeats between exposures as in real files.
    """
    if spectrum.row_kind is RowKind.STUCK:
        return -(first_tile(spectrum) * 10_000 + first_location(spectrum))
    brick, objid = _brick(seed, spectrum), spectrum.index % 4000
    sky = int(spectrum.row_kind is RowKind.SKY_FIBRE) << 59
    return sky | _RELEASE << 42 | brick << 22 | objid


def fibermap(placed: list[Placed], seed: int, sv3: bool) -> NDArray[np.void]:
    """FIBERMAP, one row per spectrum; with the target bits of survey sv3 where asked for."""
    columns = desi_columns.FIBERMAP_SV3 if sv3 else desi_columns.FIBERMAP
    table = empty_table(columns, len(placed))
    for row, item in zip(table, placed, strict=True):
        _fill_fibermap(row, item, seed, "SV3_" if sv3 else "")
    return table


def _fill_fibermap(row: np.void, item: Placed, seed: int, prefix: str) -> None:
    spectrum, random = item.spectrum, item.random
    exposures = len(item.exposures)
    row["TARGETID"] = item.target_id
    row["COADD_FIBERSTATUS"] = fiber_status(spectrum)
    row["TARGET_RA"] = row["PLATE_RA"] = item.ra
    row["TARGET_DEC"] = row["PLATE_DEC"] = item.dec
    row["SUBPRIORITY"] = random.random()
    delta_x, delta_y = random.normal(0.0, 0.008, 2)
    row["MEAN_DELTA_X"], row["MEAN_DELTA_Y"] = delta_x, delta_y
    row["RMS_DELTA_X"], row["RMS_DELTA_Y"] = abs(delta_x), abs(delta_y)
    row["MEAN_FIBER_RA"] = item.ra + delta_x / 254.0
    row["MEAN_FIBER_DEC"] = item.dec + delta_y / 254.0
    row["STD_FIBER_RA"], row["STD_FIBER_DEC"] = 0.1 * (exposures - 1) * random.random(2)
    row["MEAN_PSF_TO_FIBER_SPECFLUX"] = 0.79 - 0.02 * random.random()
    if spectrum.row_kind is RowKind.STUCK:
        return
    row["COADD_NUMEXP"] = exposures
    row["COADD_EXPTIME"] = 1000.0 * spectrum.depth
    row["COADD_NUMNIGHT"] = len({exposure.night for exposure in item.exposures})
    row["COADD_NUMTILE"] = len({exposure.tile for exposure in item.exposures})
    row["OBSCONDITIONS"] = 5
    row["RELEASE"] = _RELEASE
    row["BRICKID"] = _brick(seed, spectrum)
    row["BRICK_OBJID"] = spectrum.index % 4000
    row["BRICKNAME"] = (
        f"{round(item.ra * 10):04d}{'m' if item.dec < 0 else 'p'}{abs(round(item.dec * 10)):03d}"
    )
    if spectrum.row_kind is RowKind.SKY_FIBRE:
        row["OBJTYPE"], row["FA_TYPE"] = "SKY", 4
        row["FA_TARGET"] = row["DESI_TARGET"] = _SKY_TARGET
        row["PRIORITY_INIT"] = row["NUMOBS_INIT"] = -1
        return
    row["OBJTYPE"], row["FA_TYPE"], row["REF_EPOCH"] = "TGT", 1, 2015.5
    row["FA_TARGET"] = row[f"{prefix}DESI_TARGET"] = bits = _target_bits(spectrum)
    row[f"{prefix}BGS_TARGET"] = 2 if bits == _BGS_TARGET else 0
    row["PRIORITY_INIT"], row["NUMOBS_INIT"] = 2100, 2
    row["PHOTSYS"] = "N" if item.dec > 32.4 else "S"
    row["MORPHTYPE"] = "PSF" if spectrum.source.kind in (SourceKind.QUASAR, SourceKind.STAR) else "SER"
    row["SERSIC"], row["SHAPE_R"] = random.uniform(0.8, 4.5), random.uniform(0.4, 2.5)
    row["SHAPE_E1"], row["SHAPE_E2"] = random.normal(0.0, 0.15, 2)
    row["EBV"] = 0.01 + 0.03 * random.exponential()
    _fill_photometry(row, spectrum, random.uniform(1.3, 2.4))


def _target_bits(spectrum: SimulatedSpectrum) -> int:
    """DESI_TARGET: as what the source would have been targeted."""
    kind, redshift = spectrum.source.kind, spectrum.source.redshift
    if kind in (SourceKind.QUASAR, SourceKind.STAR):
        return _QSO_TARGET if kind is SourceKind.QUASAR else _MWS_TARGET
    if redshift < _FARTHEST_BGS:
        return _BGS_TARGET
    return _ELG_TARGET if kind is SourceKind.STAR_FORMING else _LRG_TARGET


def _fill_photometry(row: np.void, spectrum: SimulatedSpectrum, total: float) -> None:
    """Nanomaggies in the fibre, and in all ``total`` times as much."""
    for band, wavelength, ivar in (("G", 4800.0, 700.0), ("R", 6400.0, 250.0), ("Z", 9100.0, 60.0)):
        level = _level(spectrum, wavelength)
        fibre = level * 1e-17 * wavelength**2 / 2.99792458e18 / 3.631e-29
        row[f"FIBERFLUX_{band}"] = fibre
        row[f"FIBERTOTFLUX_{band}"] = 1.01 * fibre
        row[f"FLUX_{band}"] = total * fibre
        row[f"FLUX_IVAR_{band}"] = ivar
    row["FLUX_W1"], row["FLUX_W2"] = 1.9 * row["FLUX_Z"], 1.3 * row["FLUX_Z"]
    row["FLUX_IVAR_W1"], row["FLUX_IVAR_W2"] = 2.2, 0.5


def exposure_fibermap(placed: list[Placed]) -> NDArray[np.void]:
    """EXP_FIBERMAP, one row per spectrum and exposure."""
    table = empty_table(desi_columns.EXP_FIBERMAP, sum(len(item.exposures) for item in placed))
    taken = [(item, exposure) for item in placed for exposure in item.exposures]
    for row, (item, exposure) in zip(table, taken, strict=True):
        _fill_exposure(row, item, exposure)
    return table


def _fill_exposure(row: np.void, item: Placed, exposure: Exposure) -> None:
    spectrum = item.spectrum
    row["TARGETID"] = item.target_id
    row["PRIORITY"] = 2100 if item.target_id > 0 else 0
    row["NIGHT"], row["EXPID"], row["MJD"] = exposure.night, exposure.number, exposure.mjd
    row["TILEID"], row["EXPTIME"] = exposure.tile, 1000.0 * spectrum.depth / len(item.exposures)
    row["PETAL_LOC"], row["DEVICE_LOC"] = exposure.petal, exposure.device
    row["LOCATION"], row["FIBER"] = 1000 * exposure.petal + exposure.device, exposure.fiber
    row["FIBERSTATUS"] = fiber_status(spectrum)
    x, y = 400.0 * np.array([np.cos(spectrum.index), np.sin(spectrum.index)])
    row["FIBERASSIGN_X"], row["FIBERASSIGN_Y"] = x, y
    row["FIBER_X"], row["FIBER_Y"], row["LAMBDA_REF"], row["NUM_ITER"] = x, y, 5400.0, 2
    row["PLATE_RA"], row["PLATE_DEC"] = item.ra, item.dec
    row["FIBER_RA"], row["FIBER_DEC"] = item.ra, item.dec
    row["PSF_TO_FIBER_SPECFLUX"] = 0.78


def scores(placed: list[Placed]) -> NDArray[np.void]:
    """SCORES, one row per spectrum."""
    table = empty_table(desi_columns.SCORES, len(placed))
    for row, item in zip(table, placed, strict=True):
        row["TARGETID"] = item.target_id
        for arm, data, letter in zip(item.spectrum.instrument.arms, item.spectrum.arms, "BRZ", strict=True):
            good = data.ivar > 0
            if np.any(good):
                row[f"INTEG_COADD_FLUX_{letter}"] = np.sum(data.flux[good]) * arm.grid.step
                row[f"MEDIAN_COADD_FLUX_{letter}"] = np.median(data.flux[good])
                row[f"MEDIAN_COADD_SNR_{letter}"] = median_snr((data,)) / np.sqrt(arm.grid.step)
        _fill_template_snr(row, item.spectrum.depth if item.spectrum.row_kind is not RowKind.STUCK else 0.0)
    return table


def _fill_template_snr(row: np.void, depth: float) -> None:
    for number, tracer in enumerate(_TRACERS):
        parts = [depth * values[number] for values in _TSNR2]
        for letter, value in zip("BRZ", parts, strict=True):
            row[f"TSNR2_{tracer}_{letter}"] = value
        row[f"TSNR2_{tracer}"] = sum(parts)


def redshifts(
    placed: list[Placed], order: NDArray[np.int64], templates: tuple[RedrockTemplate, ...]
) -> NDArray[np.void]:
    """REDSHIFTS in ``order``: what redrock would say, which for targets is the truth within its error."""
    table = empty_table(desi_columns.REDSHIFTS, len(placed))
    for row, index in zip(table, order, strict=True):
        item = placed[int(index)]
        measured = measured_redshift(item)
        for name, value in measured.items():
            row[name] = value
        candidates = [each for each in templates if each.spectype == measured["SPECTYPE"]]
        if item.spectrum.row_kind is RowKind.STUCK:
            row["NCOEFF"] = COEFFICIENTS
            continue
        fit = best_fit(candidates, item.spectrum, measured["Z"])
        row["SUBTYPE"], row["NCOEFF"] = fit.template.subtype, len(fit.template.basis.integral)
        row["COEFF"], row["CHI2"] = fit.coefficients, fit.chi2
    return table


def measured_redshift(item: Placed) -> dict[str, Any]:
    """The REDSHIFTS row of one spectrum, without what follows from a fit of templates."""
    spectrum, source = item.spectrum, item.spectrum.source
    random = generator(abs(item.target_id), Stream.REDSHIFT, spectrum.index)
    pixels = sum(int(np.count_nonzero(arm.ivar > 0)) for arm in spectrum.arms)
    row: dict[str, Any] = {"TARGETID": item.target_id, "NPIXELS": pixels, "SPECTYPE": "GALAXY"}
    if spectrum.row_kind is RowKind.STUCK:
        return {**row, "Z": -0.00199572, "ZERR": 1e-5, "ZWARN": (1 << 9) | (1 << 2), "CHI2": 9e99}
    random.standard_normal(11)  # so that redshifts are those of earlier versions
    if spectrum.row_kind is RowKind.SKY_FIBRE:
        guess = {
            "Z": random.uniform(0.0, 1.6),
            "ZERR": 1e-4,
            "ZWARN": 1 << 2,
            "DELTACHI2": random.uniform(0.1, 8.0),
        }
        return {**row, **guess}
    error = float(np.clip(1.2e-4 / spectrum.snr if spectrum.snr > 0 else 1e-3, 3e-6, 4e-4))
    row["Z"], row["ZERR"] = source.redshift + error * random.standard_normal(), error
    row["DELTACHI2"] = 14.0 * spectrum.snr**3 * random.uniform(0.3, 1.7)
    # redrock's SMALL_DELTA_CHI2.
    row["ZWARN"] = (1 << 2) if row["DELTACHI2"] < 9.0 else 0
    if source.kind is SourceKind.QUASAR:
        row["SPECTYPE"] = "QSO"
    elif source.kind is SourceKind.STAR:
        row["SPECTYPE"] = "STAR"
    return row


def fiber_status(spectrum: SimulatedSpectrum) -> int:
    """COADD_FIBERSTATUS of a spectrum."""
    if spectrum.row_kind is RowKind.STUCK:
        return _STUCK_STATUS
    return _BAD_STATUS[spectrum.index % len(_BAD_STATUS)] if spectrum.row_kind is RowKind.BAD_FIBRE else 0


def _level(spectrum: SimulatedSpectrum, wavelength: float) -> float:
    for arm, flux in zip(spectrum.instrument.arms, spectrum.source.flux, strict=True):
        near = np.abs(arm.wavelength - wavelength) < 100.0
        if np.any(near):
            return float(np.median(flux[near]))
    return 0.0


def _brick(seed: int, spectrum: SimulatedSpectrum) -> int:
    return 100_000 + (7919 * seed + spectrum.index // 4000) % 500_000
