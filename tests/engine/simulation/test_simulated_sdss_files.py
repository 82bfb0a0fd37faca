"""SDSS files of a simulated release, against the published layout and real files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from engine.simulation.release import SimulatedRelease, SimulationSettings, read_truth, simulate_release
from engine.surveys.sdss.grid import SDSS_GRID

COADD = [
    ("flux", "E"),
    ("loglam", "E"),
    ("ivar", "E"),
    ("and_mask", "J"),
    ("or_mask", "J"),
    ("wdisp", "E"),
    ("sky", "E"),
    ("model", "E"),
]
SPZLINE = """
PLATE MJD FIBERID LINENAME LINEWAVE LINEZ LINEZ_ERR LINESIGMA LINESIGMA_ERR LINEAREA LINEAREA_ERR LINEEW
LINEEW_ERR LINECONTLEVEL LINECONTLEVEL_ERR LINENPIXLEFT LINENPIXRIGHT LINEDOF LINECHI2
"""
# The columns of DR17's SPALL that come from spectroscopy, in order, as published.
SPALL = """
PROGRAMNAME CHUNK PLATEQUALITY PLATESN2 DEREDSN2 PRIMTARGET SECTARGET LAMBDA_EFF BLUEFIBER ZOFFSET XFOCAL
YFOCAL BOSS_TARGET1 BOSS_TARGET2 ANCILLARY_TARGET1 ANCILLARY_TARGET2 EBOSS_TARGET0 EBOSS_TARGET1
EBOSS_TARGET2 EBOSS_TARGET_ID THING_ID_TARGETING SPECPRIMARY SPECBOSS BOSS_SPECOBJ_ID NSPECOBS CALIBFLUX
CALIBFLUX_IVAR PLATE TILE MJD FIBERID RUN2D RUN1D OBJTYPE PLUG_RA PLUG_DEC CLASS SUBCLASS Z Z_ERR RCHI2
DOF RCHI2DIFF TFILE TCOLUMN NPOLY THETA VDISP VDISP_ERR VDISPZ VDISPZ_ERR VDISPCHI2 VDISPNPIX VDISPDOF
WAVEMIN WAVEMAX WCOVERAGE ZWARNING SN_MEDIAN SN_MEDIAN_ALL CHI68P FRACNSIGMA FRACNSIGHI FRACNSIGLO
SPECTROFLUX SPECTROFLUX_IVAR SPECTROSYNFLUX SPECTROSYNFLUX_IVAR SPECTROSKYFLUX ANYANDMASK ANYORMASK
SPEC1_G SPEC1_R SPEC1_I SPEC2_G SPEC2_R SPEC2_I ELODIE_FILENAME ELODIE_OBJECT ELODIE_SPTYPE ELODIE_BV
ELODIE_TEFF ELODIE_LOGG ELODIE_FEH ELODIE_Z ELODIE_Z_ERR ELODIE_Z_MODELERR ELODIE_RCHI2 ELODIE_DOF
Z_NOQSO Z_ERR_NOQSO ZNUM_NOQSO ZWARNING_NOQSO CLASS_NOQSO SUBCLASS_NOQSO RCHI2DIFF_NOQSO VDISP_LNL
SPECOBJID OBJID RUN RERUN CAMCOL FIELD ID RA DEC CX CY CZ AIRMASS CALIB_STATUS THING_ID
"""
SETTINGS = SimulationSettings(
    survey="sdss", spectra=60, outlier_fraction=0.2, seed=2, sky_fraction=0.1, broken_fraction=0.1
)


@pytest.fixture(scope="module")
def legacy(tmp_path_factory: pytest.TempPathFactory) -> SimulatedRelease:
    return simulate_release(SETTINGS, tmp_path_factory.mktemp("sdss") / "legacy")


@pytest.fixture(scope="module")
def boss(tmp_path_factory: pytest.TempPathFactory) -> SimulatedRelease:
    settings = replace(SETTINGS, release="boss", spectra=25)
    return simulate_release(settings, tmp_path_factory.mktemp("sdss") / "boss")


def files(release: SimulatedRelease) -> list[Path]:
    return sorted(release.path.rglob("spec-*.fits"))


def described(hdu: fits.BinTableHDU) -> list[tuple[str, str]]:
    return [(column.name, column.format) for column in hdu.columns]


def test_files_lie_where_sdss_puts_them(legacy: SimulatedRelease, boss: SimulatedRelease) -> None:
    assert len(files(legacy)) == legacy.files == 60
    assert files(legacy)[0] == legacy.path / "26/spectra/lite/0266/spec-0266-51602-0001.fits"
    assert files(boss)[0] == boss.path / "v5_13_2/spectra/lite/3586/spec-3586-55181-0001.fits"


def test_hdus_and_columns_are_those_of_dr17(boss: SimulatedRelease) -> None:
    with fits.open(files(boss)[0], checksum=True) as hdus:
        hdus.verify("exception")
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "COADD", "SPALL", "SPZLINE"]
        assert described(hdus["COADD"]) == COADD
        assert hdus["SPALL"].columns.names == SPALL.split()
        assert len(hdus["SPALL"].data) == 1
        assert hdus["SPZLINE"].columns.names == SPZLINE.split()
        assert len(hdus["SPZLINE"].data) == 32


def test_columns_are_those_of_real_files(
    real_data: Path, legacy: SimulatedRelease, boss: SimulatedRelease
) -> None:
    sdss = real_data / "real/sdss"
    for made, name in ((legacy, "spec-0266-51602-0107.fits"), (boss, "spec-11376-58430-0084.fits")):
        with fits.open(sdss / name) as real, fits.open(files(made)[0]) as ours:
            assert [hdu.name for hdu in ours] == [hdu.name for hdu in real]
            assert described(ours[1]) == described(real[1])
            assert described(ours[3]) == described(real[3])
            ours_catalogue, real_catalogue = described(ours[2]), described(real[2])
            assert [pair for pair in real_catalogue if pair in ours_catalogue] == ours_catalogue
            for key in ("COEFF1", "BUNIT", "VACUUM", "TELESCOP", "NWORDER", "WFITTYPE", "DC-FLAG"):
                assert ours[0].header[key] == real[0].header[key]


def test_pixels_sit_on_the_common_grid_from_a_varying_first_one(
    legacy: SimulatedRelease, boss: SimulatedRelease
) -> None:
    for made, first, sizes in ((legacy, 3.58, (3800, 3860)), (boss, 3.5523, (4600, 4650))):
        starts = set()
        for path in files(made):
            with fits.open(path) as hdus:
                header, table = hdus[0].header, hdus["COADD"].data
                assert header["COEFF1"] == 1e-4
                assert abs(header["COEFF0"] - first) < 5e-4
                expected = header["COEFF0"] + 1e-4 * np.arange(len(table))
                np.testing.assert_allclose(table["loglam"], expected, atol=1e-6)
                pixel = (header["COEFF0"] - SDSS_GRID.start) / SDSS_GRID.step
                assert pixel == pytest.approx(round(pixel), abs=1e-6)
                assert 0 <= round(pixel) <= SDSS_GRID.size - len(table)
                assert sizes[0] < len(table) < sizes[1]
                starts.add(header["COEFF0"])
        assert len(starts) > 3


def test_headers_rows_and_truth_agree(legacy: SimulatedRelease) -> None:
    truth = read_truth(legacy.truth)
    assert len(truth) == 60
    for row in truth:
        with fits.open(legacy.path / row["file"]) as hdus:
            header, entry = hdus[0].header, hdus["SPECOBJ"].data[0]
            assert (header["PLATEID"], header["MJD"], header["FIBERID"]) == (
                row["plate"],
                row["mjd"],
                row["fiber"],
            )
            assert (entry["PLATE"], entry["MJD"], entry["FIBERID"]) == (
                row["plate"],
                row["mjd"],
                row["fiber"],
            )
            assert header["PLUG_RA"] == pytest.approx(row["ra"])
            assert header["VERS2D"].startswith("v5")
            identifier = int(entry["SPECOBJID"])
            assert identifier == row["target_id"]
            assert identifier >> 50 == row["plate"]
            assert identifier >> 38 & 0xFFF == row["fiber"]
            assert (identifier >> 24 & 0x3FFF) + 50_000 == row["mjd"]
            if row["row_kind"] == "target":
                assert entry["Z"] == pytest.approx(row["redshift"], abs=6 * float(entry["Z_ERR"]))
                assert entry["ZWARNING"] == 0
            else:
                assert row["row_kind"] == "bad_fibre" or entry["ZWARNING"] != 0
            assert (entry["SOURCETYPE"] == "SKY") == (row["row_kind"] == "sky_fibre")


def test_masks_follow_sky_and_rejected_pixels(legacy: SimulatedRelease) -> None:
    truth = read_truth(legacy.truth)
    bright = 0
    for row in truth:
        table = fits.getdata(legacy.path / row["file"], "COADD")
        assert np.all((table["or_mask"] & table["and_mask"]) == table["and_mask"])
        if row["row_kind"] == "stuck":
            assert not np.any(table["ivar"])
            assert np.all(table["and_mask"] & 1)
            continue
        rejected = (table["and_mask"] >> 24 & 1) == 1
        np.testing.assert_array_equal(rejected, table["ivar"] == 0)
        on_sky = (table["and_mask"] >> 23 & 1) == 1
        bright += int(on_sky.sum())
        wavelength = 10.0 ** table["loglam"].astype(float)
        if on_sky.any():
            assert np.median(table["sky"][on_sky]) > 2 * np.median(table["sky"])
        assert on_sky[np.abs(wavelength - 5578.9) < 1.0].any() or row["snr"] > 5
    assert bright > 500


def test_the_same_settings_give_the_same_bytes(tmp_path: Path, legacy: SimulatedRelease) -> None:
    fewer = simulate_release(replace(SETTINGS, spectra=5), tmp_path / "again")
    for path in files(fewer):
        assert path.read_bytes() == (legacy.path / path.relative_to(fewer.path)).read_bytes()
