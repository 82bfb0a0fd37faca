"""DESI files of a simulated release, against the published layout and real files."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy import units
from astropy.io import fits
from astropy_healpix import HEALPix

from engine.simulation.release import SimulatedRelease, SimulationSettings, read_truth, simulate_release

# Name and TFORM of every FIBERMAP column of DR1 main, typed from the published data model.
FIBERMAP = """
TARGETID K, COADD_FIBERSTATUS J, TARGET_RA D, TARGET_DEC D, PMRA E, PMDEC E, REF_EPOCH E, FA_TARGET K,
FA_TYPE B, OBJTYPE 3A, SUBPRIORITY D, OBSCONDITIONS J, RELEASE I, BRICKNAME 8A, BRICKID J, BRICK_OBJID J,
MORPHTYPE 4A, EBV E, FLUX_G E, FLUX_R E, FLUX_Z E, FLUX_W1 E, FLUX_W2 E, FLUX_IVAR_G E, FLUX_IVAR_R E,
FLUX_IVAR_Z E, FLUX_IVAR_W1 E, FLUX_IVAR_W2 E, FIBERFLUX_G E, FIBERFLUX_R E, FIBERFLUX_Z E,
FIBERTOTFLUX_G E, FIBERTOTFLUX_R E, FIBERTOTFLUX_Z E, MASKBITS I, SERSIC E, SHAPE_R E, SHAPE_E1 E,
SHAPE_E2 E, REF_ID K, REF_CAT 2A, GAIA_PHOT_G_MEAN_MAG E, GAIA_PHOT_BP_MEAN_MAG E,
GAIA_PHOT_RP_MEAN_MAG E, PARALLAX E, PHOTSYS 1A, PRIORITY_INIT K, NUMOBS_INIT K, DESI_TARGET K,
BGS_TARGET K, MWS_TARGET K, SCND_TARGET K, PLATE_RA D, PLATE_DEC D, COADD_NUMEXP I, COADD_EXPTIME E,
COADD_NUMNIGHT I, COADD_NUMTILE I, MEAN_DELTA_X E, RMS_DELTA_X E, MEAN_DELTA_Y E, RMS_DELTA_Y E,
MEAN_FIBER_RA D, STD_FIBER_RA E, MEAN_FIBER_DEC D, STD_FIBER_DEC E, MEAN_PSF_TO_FIBER_SPECFLUX E
"""
EXP_FIBERMAP = """
TARGETID K, PRIORITY J, SUBPRIORITY D, NIGHT J, EXPID J, MJD D, TILEID J, EXPTIME D, PETAL_LOC I,
DEVICE_LOC J, LOCATION K, FIBER J, FIBERSTATUS J, FIBERASSIGN_X E, FIBERASSIGN_Y E, LAMBDA_REF E,
PLATE_RA D, PLATE_DEC D, NUM_ITER K, FIBER_X D, FIBER_Y D, DELTA_X D, DELTA_Y D, FIBER_RA D, FIBER_DEC D,
PSF_TO_FIBER_SPECFLUX D
"""
REDSHIFTS = """
TARGETID K, Z D, ZERR D, ZWARN K, CHI2 D, COEFF 10D, NPIXELS K, SPECTYPE 6A, SUBTYPE 20A, NCOEFF K,
DELTACHI2 D
"""
HDUS = ["PRIMARY", "FIBERMAP", "EXP_FIBERMAP"]
HDUS += [f"{arm}_{part}" for arm in "BRZ" for part in ("WAVELENGTH", "FLUX", "IVAR", "MASK", "RESOLUTION")]
HDUS += ["SCORES"]

SETTINGS = SimulationSettings(
    survey="desi",
    spectra=130,
    spectra_per_file=50,
    outlier_fraction=0.2,
    seed=5,
    sky_fraction=0.1,
    broken_fraction=0.1,
)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> SimulatedRelease:
    return simulate_release(SETTINGS, tmp_path_factory.mktemp("desi") / "iron")


@pytest.fixture(scope="module")
def edr(tmp_path_factory: pytest.TempPathFactory) -> SimulatedRelease:
    settings = replace(SETTINGS, release="edr", spectra=20)
    return simulate_release(settings, tmp_path_factory.mktemp("desi") / "fuji")


def coadds(release: SimulatedRelease) -> list[Path]:
    return sorted(release.path.rglob("coadd-*.fits"))


def columns(text: str) -> list[tuple[str, str]]:
    return [(pair.split()[0], pair.split()[1]) for pair in text.split(",")]


def described(hdu: fits.BinTableHDU) -> list[tuple[str, str]]:
    return [(column.name, column.format) for column in hdu.columns]


def content(root: Path) -> dict[str, str]:
    files = [path for path in sorted(root.rglob("*")) if path.is_file()]
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }


def test_files_lie_where_desi_puts_them(release: SimulatedRelease) -> None:
    assert len(coadds(release)) == release.files == 3
    for path in coadds(release):
        _, survey, program, pixel = path.stem.split("-")
        assert path.parent == release.path / "healpix" / survey / program / str(int(pixel) // 100) / pixel
        assert (path.parent / f"redrock-{survey}-{program}-{pixel}.fits").is_file()
        name = f"redux_iron_healpix_{survey}_{program}_{int(pixel) // 100}_{pixel}.sha256sum"
        lines = (path.parent / name).read_text().splitlines()
        assert len(lines) == 2
        for line in lines:
            digest, file = line.split("  ")
            assert hashlib.sha256((path.parent / file).read_bytes()).hexdigest() == digest


def test_every_hdu_passes_its_checksum_and_the_standard(
    release: SimulatedRelease, edr: SimulatedRelease
) -> None:
    for path in [*coadds(release), *coadds(edr), *release.path.rglob("redrock*.fits")]:
        with fits.open(path, checksum=True) as hdus:  # warnings are errors here
            hdus.verify("exception")
            for hdu in hdus:
                assert "CHECKSUM" in hdu.header
                assert hdu.data is None or hdu.data.size


def test_hdus_columns_and_types_are_those_of_dr1(release: SimulatedRelease) -> None:
    first = release.path / read_truth(release.truth)["file"][0]
    with fits.open(first) as hdus:
        assert [hdu.name for hdu in hdus] == HDUS
        assert described(hdus["FIBERMAP"]) == columns(FIBERMAP)
        assert len(described(hdus["FIBERMAP"])) == 67
        assert described(hdus["EXP_FIBERMAP"]) == columns(EXP_FIBERMAP)
        scores = described(hdus["SCORES"])
        assert len(scores) == 42
        assert scores[0] == ("TARGETID", "K")
        assert {form for _, form in scores[1:]} == {"E"}
        assert hdus["FIBERMAP"].header["NAXIS1"] == 317
        assert hdus["EXP_FIBERMAP"].header["NAXIS1"] == 162
        assert hdus["SCORES"].header["NAXIS1"] == 172
        for arm, size in (("B", 2751), ("R", 2326), ("Z", 2881)):
            assert hdus[f"{arm}_WAVELENGTH"].shape == (size,)
            assert hdus[f"{arm}_WAVELENGTH"].header["BUNIT"] == "Angstrom"
            assert hdus[f"{arm}_FLUX"].data.dtype == np.dtype(">f4")
            assert hdus[f"{arm}_FLUX"].header["BUNIT"] == "10**-17 erg/(s cm2 Angstrom)"
            assert hdus[f"{arm}_IVAR"].header["BUNIT"] == "10**+34 (s2 cm4 Angstrom2) / erg2"
            assert hdus[f"{arm}_MASK"].data.dtype == np.dtype(">i4")
            assert (
                hdus[f"{arm}_FLUX"].shape
                == hdus[f"{arm}_IVAR"].shape
                == hdus[f"{arm}_MASK"].shape
                == (50, size)
            )
            assert hdus[f"{arm}_RESOLUTION"].shape == (50, 11, size)
            assert np.all(hdus[f"{arm}_IVAR"].data[hdus[f"{arm}_MASK"].data != 0] == 0)


def test_primary_header_names_the_production(release: SimulatedRelease, edr: SimulatedRelease) -> None:
    for made, specprod, survey in ((release, "iron", "main"), (edr, "fuji", "sv3")):
        path = coadds(made)[0]
        header = fits.getheader(path)
        pixel = int(path.stem.split("-")[-1])
        assert (header["SURVEY"], header["HPXPIXEL"], header["HPXNSIDE"]) == (survey, pixel, 64)
        assert (header["SPGRP"], header["SPGRPVAL"]) == ("healpix", pixel)
        names = {header[key]: header[key.replace("NAM", "VER")] for key in header if key.startswith("DEPNAM")}
        assert names["SPECPROD"] == specprod
        assert header["LONGSTRN"] == "OGIP 1.0"
        assert header["SIMULATD"] is True


def test_edr_masks_are_unsigned_and_sv3_targets_come_first(edr: SimulatedRelease) -> None:
    with fits.open(coadds(edr)[0]) as hdus:
        assert hdus["B_MASK"].header["BZERO"] == 2147483648
        assert hdus["B_MASK"].data.dtype == np.uint32
        assert set(np.unique(hdus["B_MASK"].data)) <= {0, 1}
        names = hdus["FIBERMAP"].columns.names
        assert len(names) == 70
        assert names[48:53] == [
            "SV3_DESI_TARGET",
            "SV3_BGS_TARGET",
            "SV3_MWS_TARGET",
            "SV3_SCND_TARGET",
            "DESI_TARGET",
        ]


def test_columns_are_those_of_a_real_coadd(real_data: Path, edr: SimulatedRelease) -> None:
    with (
        fits.open(real_data / "real/desi/coadd-sv3-dark-26065.fits") as real,
        fits.open(coadds(edr)[0]) as ours,
    ):
        assert [hdu.name for hdu in ours] == [hdu.name for hdu in real]
        for name in ("FIBERMAP", "EXP_FIBERMAP", "SCORES"):
            assert described(ours[name]) == described(real[name])
            assert ours[name].columns.units == real[name].columns.units  # none: there is no TUNIT
        for name in (f"{arm}_{part}" for arm in "BRZ" for part in ("FLUX", "IVAR", "MASK", "RESOLUTION")):
            assert ours[name].shape[1:] == real[name].shape[1:]
            assert ours[name].header.get("BZERO") == real[name].header.get("BZERO")
            assert ours[name].header.get("BUNIT") == real[name].header.get("BUNIT")
            np.testing.assert_allclose(
                ours[f"{name[0]}_WAVELENGTH"].data, real[f"{name[0]}_WAVELENGTH"].data, atol=1e-8
            )


def test_targetids_hold_their_fields_and_sky_and_stuck_fibres_are_marked(release: SimulatedRelease) -> None:
    kinds: dict[str, int] = {}
    truth = read_truth(release.truth)
    for path in coadds(release):
        with fits.open(path) as hdus:
            table = hdus["FIBERMAP"].data
            good = table["TARGETID"] > 0
            identifier = table["TARGETID"][good].astype(np.int64)
            np.testing.assert_array_equal(identifier & (2**22 - 1), table["BRICK_OBJID"][good])
            np.testing.assert_array_equal(identifier >> 22 & (2**20 - 1), table["BRICKID"][good])
            np.testing.assert_array_equal(identifier >> 42 & (2**16 - 1), table["RELEASE"][good])
            np.testing.assert_array_equal((identifier >> 59 & 1) == 1, table["OBJTYPE"][good] == "SKY")
            stuck = ~good
            for arm in "BRZ":
                assert not np.any(hdus[f"{arm}_IVAR"].data[stuck])
                assert not np.any(hdus[f"{arm}_RESOLUTION"].data[stuck])
            assert np.all(table["COADD_FIBERSTATUS"][stuck] & 1)
            flagged = good & (table["COADD_FIBERSTATUS"] != 0)
            for name, found in (("SKY", table["OBJTYPE"] == "SKY"), ("stuck", stuck), ("bad", flagged)):
                kinds[name] = kinds.get(name, 0) + int(np.count_nonzero(found))
    for name, kind in (("SKY", "sky_fibre"), ("stuck", "stuck"), ("bad", "bad_fibre")):
        assert kinds[name] == np.count_nonzero(truth["row_kind"] == kind) > 0
    positive = truth["target_id"][truth["target_id"] > 0]
    assert len(np.unique(positive)) == len(positive)


def test_positions_lie_in_the_healpix_pixel_of_the_file(release: SimulatedRelease) -> None:
    grid = HEALPix(nside=64, order="nested")
    for path in coadds(release):
        table = fits.getdata(path, "FIBERMAP")
        pixels = grid.lonlat_to_healpix(table["TARGET_RA"] * units.deg, table["TARGET_DEC"] * units.deg)
        assert set(pixels.tolist()) == {fits.getheader(path)["HPXPIXEL"]}


def test_redrock_has_the_same_targets_in_another_order_with_true_redshifts(release: SimulatedRelease) -> None:
    truth = read_truth(release.truth)
    shuffled = 0
    for path in coadds(release):
        with fits.open(path.with_name(path.name.replace("coadd", "redrock"))) as hdus:
            assert [hdu.name for hdu in hdus] == ["PRIMARY", "REDSHIFTS", "FIBERMAP", "EXP_FIBERMAP", "TSNR2"]
            assert described(hdus["REDSHIFTS"]) == columns(REDSHIFTS)
            redshifts = hdus["REDSHIFTS"].data
            np.testing.assert_array_equal(redshifts["TARGETID"], hdus["FIBERMAP"].data["TARGETID"])
            order = fits.getdata(path, "FIBERMAP")["TARGETID"]
            assert sorted(redshifts["TARGETID"]) == sorted(order)
            shuffled += int(np.any(redshifts["TARGETID"] != order))
            for row in redshifts:
                match = truth[truth["target_id"] == row["TARGETID"]][0]
                if match["row_kind"] in ("target", "bad_fibre"):
                    assert row["Z"] == pytest.approx(match["redshift"], abs=6 * row["ZERR"])
                else:
                    assert row["ZWARN"] != 0
    assert shuffled == 3


def test_coefficients_of_named_templates_draw_the_spectra(release: SimulatedRelease) -> None:
    (first, *_) = coadds(release)
    with fits.open(first.with_name(first.name.replace("coadd", "redrock"))) as hdus:
        header, redshifts = hdus[0].header, hdus["REDSHIFTS"].data
    assert header["RRVER"] == "0.17.0"
    assert [header[f"TEMNAM{i:02d}"] for i in range(3)] == ["GALAXY", "QSO", "STAR:::G"]
    assert [header[f"TEMVER{i:02d}"] for i in range(3)] == ["simulated"] * 3
    truth = read_truth(release.truth)
    with fits.open(release.path / "redrock-templates" / "rrtemplate-GALAXY-None-vsimulated.fits") as hdus:
        vectors, cards = hdus["BASIS_VECTORS"].data, hdus["BASIS_VECTORS"].header
    assert (cards["RRTYPE"], cards["RRSUBTYP"], cards["LOGLAM"]) == ("GALAXY", "", 0)
    rest = cards["CRVAL1"] + cards["CDELT1"] * np.arange(vectors.shape[1])
    with fits.open(first) as hdus:
        rows = {int(target): row for row, target in enumerate(hdus["FIBERMAP"].data["TARGETID"])}
        wavelength, flux, ivar = (hdus[f"R_{part}"].data for part in ("WAVELENGTH", "FLUX", "IVAR"))
    usual = set(truth["target_id"][(truth["row_kind"] == "target") & (truth["anomaly"] == "")].tolist())
    fits_of = [row for row in redshifts if row["TARGETID"] in usual]
    assert len(fits_of) > 12
    for row in fits_of:
        place = rows[int(row["TARGETID"])]
        model = np.interp(wavelength, rest * (1 + row["Z"]), row["COEFF"][: row["NCOEFF"]] @ vectors)
        pull = (flux[place] - model) * np.sqrt(ivar[place])
        assert np.median(np.abs(pull[ivar[place] > 0])) == pytest.approx(0.67, abs=0.1)
        assert row["CHI2"] / row["NPIXELS"] == pytest.approx(1.0, abs=0.4)
    (stuck,) = {tuple(row["COEFF"]) for row in redshifts if row["TARGETID"] < 0}
    assert set(stuck) == {0.0}


def test_resolution_is_the_line_spread_function_by_diagonals(release: SimulatedRelease) -> None:
    with fits.open(coadds(release)[0]) as hdus:
        row = hdus["R_RESOLUTION"].data[0]
    size = row.shape[1]
    matrix = np.zeros((size, size))
    for diagonal, offset in zip(row, 5 - np.arange(11), strict=True):
        columns_ = np.arange(max(0, offset), min(size, size + offset))
        matrix[columns_ - offset, columns_] = diagonal[columns_]
    inner = matrix[10:-10]
    np.testing.assert_allclose(inner.sum(axis=1), 1.0, atol=1e-5)
    assert np.sqrt((inner[0] * (np.arange(size) - 10) ** 2).sum()) == pytest.approx(0.94, abs=0.01)
    np.testing.assert_allclose(row[:, 1000], row[::-1, 1000])


def test_truth_points_at_the_rows_of_the_files(release: SimulatedRelease) -> None:
    truth = read_truth(release.truth)
    assert len(truth) == release.spectra == 130
    assert np.count_nonzero(truth["row_kind"] == "target") == release.targets
    assert np.count_nonzero(truth["anomaly"] != "") == release.outliers > 0
    assert truth["centre"].unit == "Angstrom"
    np.testing.assert_array_equal(truth["index"], np.arange(130))
    for path in coadds(release):
        table = fits.getdata(path, "FIBERMAP")
        here = truth[truth["file"] == path.relative_to(release.path).as_posix()]
        np.testing.assert_array_equal(table["TARGETID"][here["row"]], here["target_id"])
        np.testing.assert_array_equal(table["TARGET_RA"][here["row"]], here["ra"])
    odd = truth[truth["anomaly"] != ""]
    assert all(row["regions"] and row["strength"] > 0 for row in odd)


def test_the_same_settings_give_the_same_bytes_and_growth_adds_files(tmp_path: Path) -> None:
    settings = replace(SETTINGS, spectra=40, spectra_per_file=20, resolution=False)
    simulate_release(settings, tmp_path / "a")
    first = content(tmp_path / "a")
    calls: list[tuple[int, int]] = []
    simulate_release(
        replace(settings, spectra=60), tmp_path / "b", lambda done, total: calls.append((done, total))
    )
    assert calls == [(20, 60), (40, 60), (60, 60)]
    grown = content(tmp_path / "b")
    healpix = {name: digest for name, digest in first.items() if name.startswith("healpix")}
    assert healpix.items() <= grown.items()
    assert len(grown) == len(first) + 3
    # Over an earlier simulation: what that left is gone, what is asked for is the same again.
    simulate_release(settings, tmp_path / "b")
    assert content(tmp_path / "b") == first
    with fits.open(next((tmp_path / "a").rglob("coadd*.fits"))) as hdus:
        assert "B_RESOLUTION" not in hdus
