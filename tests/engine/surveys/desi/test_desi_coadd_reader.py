"""DESI coadds: exact against a slow independent reading, and with every fault put in on purpose."""

from __future__ import annotations

import gzip
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy_healpix import HEALPix
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.spectra.source_file import SourceFile
from engine.spectra.spectra import Spectra
from engine.surveys.desi.grid import DESI_GRID
from engine.surveys.listing import list_release
from engine.surveys.reading import inspect, read_spectra, verify
from models.errors import BugError, QuarantineError
from models.row_status import RowStatus
from tests.engine.surveys.coadd_files import (
    FIRST_TARGETID,
    CoaddContent,
    contents,
    slow_coadd,
    with_redshifts,
)

REAL = (
    "coadd-1-80693-thru20210204.fits",
    "coadd-4-80613-thru20210324.fits",
    "coadd-sv3-dark-26065.fits",
)


def read(content: CoaddContent, directory: Path) -> Spectra:
    return read_spectra(inspect(*content.write(directory)))


def assert_same(spectra: Spectra, flux: NDArray[np.float64], ivar: NDArray[np.float64]) -> None:
    """Pixels of one arm are exact; overlaps agree to float32 rounding of one division."""
    assert spectra.flux.dtype == spectra.ivar.dtype == np.float32
    np.testing.assert_allclose(spectra.ivar, ivar, rtol=1.2e-7, atol=0)
    scale = np.abs(flux).max(initial=1.0)
    np.testing.assert_allclose(spectra.flux, flux, rtol=2.4e-7, atol=1e-7 * scale)
    alone = np.r_[0:2700, 2751:4900, 5026:7781]
    np.testing.assert_array_equal(spectra.flux[:, alone], flux[:, alone].astype(np.float32))
    np.testing.assert_array_equal(spectra.ivar[:, alone], ivar[:, alone].astype(np.float32))


@pytest.mark.parametrize("name", REAL)
def test_real_coadds_equal_a_slow_reading(real_data: Path, name: str, tmp_path: Path) -> None:
    path = with_redshifts(real_data / "real" / "desi" / name, tmp_path)
    spectra = read_spectra(inspect(path))
    assert_same(spectra, *slow_coadd(path))
    with fits.open(path) as hdus:
        np.testing.assert_array_equal(spectra.rows["target_id"], hdus["FIBERMAP"].data["TARGETID"])
        np.testing.assert_array_equal(spectra.rows["ra"], hdus["FIBERMAP"].data["TARGET_RA"])
    assert spectra.grid == DESI_GRID


def test_real_redshift_is_joined(real_data: Path) -> None:
    folder = real_data / "real" / "desi"
    file = inspect(
        str(folder / "coadd-4-80613-thru20210324.fits"), str(folder / "redrock-4-80613-thru20210324.fits")
    )
    rows = read_spectra(file).rows
    with fits.open(folder / "redrock-4-80613-thru20210324.fits") as hdus:
        best = hdus["REDSHIFTS"].data[0]
    assert rows["redshift"][0] == best["Z"]
    assert rows["redshift_err"][0] == np.float32(best["ZERR"])
    assert rows["delta_chi2"][0] == np.float32(best["DELTACHI2"])
    assert (rows["zwarn"][0], rows["spectype"][0], rows["subtype"][0]) == (0, "GALAXY", "")
    assert rows["status"][0] == RowStatus.SCORED
    assert (file.specprod, file.survey, file.program) == ("iron", "tiles", "80613")


def test_statuses_of_the_real_sv3_file(real_data: Path, tmp_path: Path) -> None:
    path = with_redshifts(real_data / "real/desi/coadd-sv3-dark-26065.fits", tmp_path, math.nan)
    rows = read_spectra(inspect(path)).rows
    expected = [
        RowStatus.NO_TARGET,
        RowStatus.NO_TARGET,
        RowStatus.NO_REDSHIFT,
        RowStatus.SKY_FIBRE,
        RowStatus.NO_REDSHIFT,
    ]
    assert rows["status"].tolist() == expected
    assert rows["arms"].tolist() == ["", "", "brz", "", "brz"]
    assert set(rows["specprod"]) == {"fuji"}
    assert (rows["survey"][0], rows["program"][0]) == ("sv3", "dark")


def test_real_statistics_are_those_of_numpy(real_data: Path, tmp_path: Path) -> None:
    for name in REAL:
        spectra = read_spectra(inspect(with_redshifts(real_data / "real" / "desi" / name, tmp_path)))
        for row in range(len(spectra)):
            good = spectra.ivar[row] > 0
            assert spectra.rows["good_fraction"][row] == pytest.approx(good.mean(), abs=1e-6)
            if good.any():
                ratio = spectra.flux[row][good].astype(float) * np.sqrt(spectra.ivar[row][good].astype(float))
                assert spectra.rows["snr"][row] == pytest.approx(np.median(ratio), rel=1e-6)
            else:
                assert np.isnan(spectra.rows["snr"][row])


@pytest.mark.parametrize("unsigned_mask", [False, True])
def test_both_mask_types_equal_a_slow_reading(tmp_path: Path, unsigned_mask: bool) -> None:
    content = CoaddContent()
    paths = content.write(tmp_path, unsigned_mask=unsigned_mask)
    with fits.open(paths[0]) as hdus:
        assert hdus["B_MASK"].header.get("BZERO") == (2**31 if unsigned_mask else None)
    spectra = read_spectra(inspect(*paths))
    assert_same(spectra, *slow_coadd(paths[0]))
    assert 0.9 < spectra.rows["good_fraction"].mean() < 1


def test_rows_say_what_the_mask_drops_and_by_which_bit(tmp_path: Path) -> None:
    content = CoaddContent()
    for arm in content.arms:
        content.mask[arm][:] = 0
    content.mask["B"][1, 5:9] = 1 << 2
    content.mask["R"][1, 8:10] = 1 << 2 | 1 << 8
    content.mask["Z"][2] = 1 << 9
    content.ivar["Z"][2] = 0  # as the survey writes it: what is masked has no ivar
    content.mask["Z"][3, 7] = 1 << 14  # a bit without a name
    rows = read(content, tmp_path).rows
    assert rows["masked_pixels"][:4].tolist() == [0, 6, 2881, 1]
    assert rows["masked_by"][:4].tolist() == ["", "COSMIC=6 NODATA=2", "BADFIBER=2881", "bit14=1"]


def test_a_coadd_without_masks_says_so(tmp_path: Path) -> None:
    paths = CoaddContent().write(tmp_path)
    with fits.open(paths[0], mode="update") as hdus:
        for arm in "BRZ":
            del hdus[f"{arm}_MASK"]
    rows = read_spectra(inspect(*paths)).rows
    assert set(rows["masked_pixels"].tolist()) == {-1}
    assert set(rows["masked_by"].tolist()) == {""}


def test_a_compressed_mask_is_read(tmp_path: Path) -> None:
    content = CoaddContent()
    coadd, redrock = content.write(tmp_path)
    plain = read_spectra(inspect(coadd, redrock))
    hdus = content.hdus()
    for arm in content.arms:
        hdus[f"{arm}_MASK"] = fits.CompImageHDU(
            content.mask[arm].astype(np.uint32), name=f"{arm}_MASK", compression_type="GZIP_1"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of astropy about the keywords it moves
        hdus.writeto(coadd, overwrite=True)
    compressed = inspect(coadd, redrock)
    np.testing.assert_array_equal(read_spectra(compressed).ivar, plain.ivar)
    np.testing.assert_array_equal(read_spectra(compressed, 2, 5).flux, plain.flux[2:5])


def fpacked(hdus: fits.HDUList) -> fits.HDUList:
    """What fpack makes of a file: images are compressed (here without loss), tables are left."""
    return fits.HDUList(
        [
            fits.CompImageHDU(
                hdu.data, header=hdu.header, compression_type="GZIP_2", quantize_level=0, name=hdu.name
            )
            if isinstance(hdu, fits.ImageHDU) and hdu.data.ndim < 3
            else hdu
            for hdu in hdus
        ]
    )


def test_an_fpacked_coadd_is_read_and_paired_with_its_redshifts(tmp_path: Path) -> None:
    content = CoaddContent(count=20)
    place = tmp_path / "healpix" / "main" / "dark" / "0" / "1"
    coadd, redrock = content.write(place)
    plain = read_spectra(inspect(coadd, redrock))
    Path(coadd).unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of astropy about the keywords it moves
        fpacked(content.hdus()).writeto(f"{coadd}.fz", checksum=True)
    for release in ([str(tmp_path)], [f"{coadd}.fz"], [str(place)]):
        listing = list_release(release)
        assert [(file.url, file.redshift_url) for file in listing.files] == [(f"{coadd}.fz", redrock)]
        assert (listing.refused, listing.skipped) == ((), ())
    file = listing.files[0]
    packed = read_spectra(file)
    np.testing.assert_array_equal(packed.flux, plain.flux)
    np.testing.assert_array_equal(packed.ivar, plain.ivar)
    assert contents(packed.rows) == contents(plain.rows)
    np.testing.assert_array_equal(read_spectra(file, 5, 19).flux, plain.flux[5:19])


def test_an_fpacked_coadd_whose_tables_are_compressed_too_is_named(tmp_path: Path) -> None:
    hdus = CoaddContent().alone()
    hdus["FIBERMAP"].header["ZTABLE"] = True
    path = tmp_path / "coadd-main-dark-1.fits.fz"
    hdus.writeto(path)
    error = refused(path)
    assert (error.kind, error.got) == ("missing-column", "a compressed table")


def test_hdus_in_another_order_read_the_same(tmp_path: Path) -> None:
    content = CoaddContent()
    plain = read(content, tmp_path / "plain")
    hdus = content.hdus()
    (tmp_path / "turned").mkdir()
    path = tmp_path / "turned" / "coadd-main-dark-1.fits"
    extra = fits.BinTableHDU.from_columns([fits.Column("NOTHING", "E", array=[1.0])], name="EXTRA_CATALOG")
    fits.HDUList([hdus[0], extra, *reversed(hdus[1:])]).writeto(path)
    turned = read_spectra(inspect(str(path), str(tmp_path / "plain" / "redrock-main-dark-1.fits")))
    np.testing.assert_array_equal(turned.flux, plain.flux)
    np.testing.assert_array_equal(turned.ivar, plain.ivar)
    assert contents(turned.rows) == contents(plain.rows)


@pytest.mark.parametrize(("missing", "left"), [("B", "rz"), ("R", "bz"), ("Z", "br")])
def test_a_missing_arm_leaves_the_others(tmp_path: Path, missing: str, left: str) -> None:
    content = CoaddContent(arms=tuple(arm for arm in "BRZ" if arm != missing))
    paths = content.write(tmp_path)
    spectra = read_spectra(inspect(*paths))
    assert_same(spectra, *slow_coadd(paths[0]))
    assert set(spectra.rows["arms"]) == {left}
    assert (spectra.rows["status"] == RowStatus.SCORED).all()


def test_an_arm_that_is_all_masked_in_one_row_is_not_in_its_arms(tmp_path: Path) -> None:
    content = CoaddContent()
    content.mask["R"][2] = 1
    assert read(content, tmp_path).rows["arms"].tolist() == ["brz", "brz", "bz", "brz", "brz", "brz"]


def test_a_file_of_joined_cameras_reads_as_it_is(tmp_path: Path) -> None:
    content = CoaddContent(count=3)
    arms = read(content, tmp_path / "arms")
    hdus = content.hdus()
    joined = fits.HDUList(
        [
            hdus[0],
            hdus["FIBERMAP"],
            fits.ImageHDU(DESI_GRID.wavelength(), name="BRZ_WAVELENGTH"),
            fits.ImageHDU(arms.flux, name="BRZ_FLUX"),
            fits.ImageHDU(arms.ivar, name="BRZ_IVAR"),
            fits.ImageHDU((arms.ivar <= 0).astype(np.int32), name="BRZ_MASK"),
            content.redrock()[1],
        ]
    )
    path = tmp_path / "coadd-main-dark-1.fits"
    joined.writeto(path)
    spectra = read_spectra(inspect(str(path)))
    np.testing.assert_array_equal(spectra.flux, arms.flux)
    np.testing.assert_array_equal(spectra.ivar, arms.ivar)
    assert set(spectra.rows["arms"]) == {"brz"}


def test_bad_pixels_are_zero_in_flux_and_ivar_and_spread_nowhere(tmp_path: Path) -> None:
    content = CoaddContent()
    for arm in content.arms:
        content.mask[arm][:] = 0
    clean = read(content, tmp_path / "clean")
    # Row by row: NaN with ivar, NaN without, infinite, masked with ivar, infinite ivar, negative ivar.
    content.flux["B"][0, 100] = np.nan
    content.flux["B"][1, 100], content.ivar["B"][1, 100] = np.nan, 0
    content.flux["B"][2, 100] = -np.inf
    content.mask["B"][3, 100] = 1 << 2
    content.ivar["B"][4, 100] = np.inf
    content.ivar["B"][5, 100] = -1
    # In the overlap, pixel 2710 of the grid, the other arm's value is left.
    content.flux["B"][0, 2710] = np.nan
    paths = content.write(tmp_path / "dirty")
    dirty = read_spectra(inspect(*paths))
    assert_same(dirty, *slow_coadd(paths[0]))
    changed = (dirty.flux != clean.flux) | (dirty.ivar != clean.ivar)
    assert sorted(zip(*np.nonzero(changed), strict=True)) == [(0, 100), (0, 2710)] + [
        (r, 100) for r in range(1, 6)
    ]
    assert (dirty.flux[:, 100] == 0).all()
    assert (dirty.ivar[:, 100] == 0).all()
    assert dirty.flux[0, 2710] == content.flux["R"][0, 10]
    assert np.isfinite(dirty.flux).all()
    assert np.isfinite(dirty.ivar).all()
    assert (dirty.rows["status"] == RowStatus.SCORED).all()


def test_status_of_every_kind_of_row_and_their_precedence(tmp_path: Path) -> None:
    content = CoaddContent(count=16)
    row = dict.fromkeys(range(16), RowStatus.SCORED)
    n = iter(range(16))

    i = next(n)
    content.targetid[i] = -5
    content.objtype[i] = "SKY"  # an unassigned fibre is no target first
    row[i] = RowStatus.NO_TARGET
    i = next(n)
    content.targetid[i] = 0
    row[i] = RowStatus.NO_TARGET
    i = next(n)
    content.objtype[i], content.fiberstatus[i] = "SKY", 1 << 16  # sky before bad fibre
    row[i] = RowStatus.SKY_FIBRE
    i = next(n)
    content.objtype[i], content.targetid[i] = "", (1 << 59) | 77  # no OBJTYPE: the TARGETID says sky
    row[i] = RowStatus.SKY_FIBRE
    i = next(n)
    content.objtype[i] = "BAD"
    row[i] = RowStatus.BAD_FIBRE
    i = next(n)
    content.objtype[i] = "NON"
    row[i] = RowStatus.NO_TARGET
    i = next(n)
    content.fiberstatus[i] = 1 << 9
    content.targetid[i] = FIRST_TARGETID + 1000  # bad fibre before no redshift
    row[i] = RowStatus.BAD_FIBRE
    i = next(n)
    content.fiberstatus[i] = 1 << 3  # RESTRICTED: good
    i = next(n)
    content.fiberstatus[i] = (1 << 3) | (1 << 2)
    row[i] = RowStatus.BAD_FIBRE
    i = next(n)
    content.targetid[i] = FIRST_TARGETID + 2000
    for arm in content.arms:
        content.mask[arm][i] = 1  # no redshift before no good pixels
    row[i] = RowStatus.NO_REDSHIFT
    no_redshift, nodata, unplugged = next(n), next(n), next(n)
    row[no_redshift] = row[nodata] = RowStatus.NO_REDSHIFT
    row[unplugged] = RowStatus.BAD_FIBRE
    place = {targetid: index for index, targetid in enumerate(content.redrock_targetid.tolist())}
    content.redshift[place[int(content.targetid[no_redshift])]] = np.nan
    content.zwarn[place[int(content.targetid[nodata])]] = 1 << 9
    content.zwarn[place[int(content.targetid[unplugged])]] = 1 << 7
    i = next(n)
    for arm in content.arms:
        content.ivar[arm][i] = 0
        content.flux[arm][i] = np.nan  # masked and not finite: no good pixels
    row[i] = RowStatus.NO_GOOD_PIXELS
    i = next(n)
    for arm in content.arms:
        content.flux[arm][i] = np.nan
    row[i] = RowStatus.NON_FINITE_FLUX
    i = next(n)
    for arm in content.arms:
        content.flux[arm][i] = np.inf
    content.flux["Z"][i, 1500] = 3.0  # one good pixel is enough not to be told here
    content.mask["Z"][i, 1500] = 0

    spectra = read(content, tmp_path)
    found = {index: RowStatus(status) for index, status in enumerate(spectra.rows["status"].tolist())}
    assert found == row
    assert spectra.rows["good_fraction"][i] == pytest.approx(1 / 7781)
    assert spectra.rows["arms"][i] == "z"
    assert (spectra.flux[spectra.ivar == 0] == 0).all()
    assert spectra.rows["fiberstatus"].tolist() == content.fiberstatus.tolist()


def test_redshifts_follow_the_targetid_in_any_order_with_one_missing(tmp_path: Path) -> None:
    content = CoaddContent(count=40)
    assert not np.array_equal(content.targetid, content.redrock_targetid)
    gone = int(content.redrock_targetid[7])
    for name in ("redrock_targetid", "redshift", "zwarn"):
        setattr(content, name, np.delete(getattr(content, name), 7))
    rows = read(content, tmp_path).rows
    for row in rows.data:
        if row["target_id"] == gone:
            assert row["status"] == RowStatus.NO_REDSHIFT
            assert np.isnan(row["redshift"])
        else:
            assert row["status"] == RowStatus.SCORED
            assert row["redshift"] == content.redshift_of[int(row["target_id"])]
    assert (rows["status"] == RowStatus.NO_REDSHIFT).sum() == 1


def test_a_coadd_without_redshifts_is_refused(tmp_path: Path) -> None:
    coadd, _ = CoaddContent().write(tmp_path, redrock=False)
    error = refused(coadd)
    assert error.kind == "missing-redshifts"
    assert error.allowed == "redrock-main-dark-1.fits or zbest-main-dark-1.fits, compressed or not"


@pytest.mark.parametrize("name", ["REDSHIFTS", "ZBEST"])
def test_redshifts_of_older_names_and_in_the_coadd_itself_are_read(tmp_path: Path, name: str) -> None:
    content = CoaddContent()
    plain = read(content, tmp_path / "plain").rows
    table = content.redrock()
    table[1].name = name
    table.writeto(tmp_path / "zbest-main-dark-1.fits", checksum=True)
    coadd, _ = content.write(tmp_path, redrock=False)
    beside = inspect(coadd, str(tmp_path / "zbest-main-dark-1.fits"))
    assert contents(read_spectra(beside).rows) == contents(plain)
    fits.HDUList([*content.hdus(), table[1]]).writeto(coadd, checksum=True, overwrite=True)
    within = inspect(coadd)
    assert within.redshift_url == coadd
    assert contents(read_spectra(within).rows) == contents(plain)
    verify(within)
    content.redshift[0] += 1e-6
    fits.HDUList([*content.hdus(), content.redrock()[1]]).writeto(coadd, checksum=True, overwrite=True)
    assert inspect(coadd).fingerprint != within.fingerprint


@pytest.mark.parametrize("kept", [0, 6])
def test_redshifts_of_other_targets_alone_are_refused(tmp_path: Path, kept: int) -> None:
    content = CoaddContent()
    content.redrock_targetid = content.redrock_targetid[:kept] + 1000
    content.redshift, content.zwarn = content.redshift[:kept], content.zwarn[:kept]
    error = refused(*content.write(tmp_path))
    assert error.kind == "row-mismatch"
    assert error.got == f"none of its 6 spectra is among the {kept} redshifts"
    content.objtype = ["SKY"] * 6
    assert (read(content, tmp_path).rows["status"] == RowStatus.SKY_FIBRE).all()


def with_column(path: str, unit: str, name: str, change: Callable[[NDArray[Any]], fits.Column]) -> None:
    """Replace a column of a table in the file at ``path``."""
    with fits.open(path, memmap=False) as hdus:
        data = hdus[unit].data
        columns = [
            change(np.array(data[name]))
            if column.name == name
            else fits.Column(column.name, column.format, null=column.null, array=np.array(data[column.name]))
            for column in hdus[unit].columns
        ]
        hdus[unit] = fits.BinTableHDU.from_columns(columns, name=unit)
        hdus.writeto(path, overwrite=True)


@pytest.mark.parametrize("form", ["D", "E", "20A", "2K"])
@pytest.mark.parametrize(
    ("unit", "name"),
    [("FIBERMAP", "TARGETID"), ("REDSHIFTS", "TARGETID"), ("FIBERMAP", "COADD_FIBERSTATUS"),
     ("REDSHIFTS", "ZWARN")],
)  # fmt: skip
def test_identifiers_and_flags_that_are_no_integers_are_refused(
    tmp_path: Path, unit: str, name: str, form: str
) -> None:
    coadd, redrock = CoaddContent().write(tmp_path)
    path = coadd if unit == "FIBERMAP" else redrock

    def change(values: NDArray[Any]) -> fits.Column:
        other = np.stack([values] * 2, axis=1) if form == "2K" else values
        return fits.Column(name, form, array=other.astype(str) if form == "20A" else other)

    with_column(path, unit, name, change)
    with pytest.raises(QuarantineError) as caught:
        inspect(coadd, redrock)
    assert caught.value.kind == "not-integers"
    assert caught.value.what == f"The column {name} does not hold integers."
    assert caught.value.where == f"{path}, HDU {unit}"


@pytest.mark.parametrize(
    "column",
    [
        lambda values: fits.Column("TARGETID", "K", bzero=1 << 63, array=values.astype(np.uint64)),
        lambda values: fits.Column("TARGETID", "K", null=int(values.max()) + 1, array=values),
    ],
)
def test_unsigned_identifiers_are_joined_as_they_are(
    tmp_path: Path, column: Callable[[NDArray[Any]], fits.Column]
) -> None:
    content = CoaddContent(count=60)
    coadd, redrock = content.write(tmp_path)
    with_column(redrock, "REDSHIFTS", "TARGETID", column)
    rows = read_spectra(inspect(coadd, redrock)).rows
    assert rows["redshift"].tolist() == [content.redshift_of[each] for each in content.targetid.tolist()]
    with_column(coadd, "FIBERMAP", "TARGETID", column)
    assert contents(read_spectra(inspect(coadd, redrock)).rows) == contents(rows)


def test_identifiers_of_32_bits_are_exact(tmp_path: Path) -> None:
    content = CoaddContent()
    content.targetid = content.targetid - FIRST_TARGETID + 1
    content.redrock_targetid = content.redrock_targetid - FIRST_TARGETID + 1
    coadd, redrock = content.write(tmp_path)
    plain = read_spectra(inspect(coadd, redrock)).rows
    with_column(redrock, "REDSHIFTS", "TARGETID", lambda values: fits.Column("TARGETID", "J", array=values))
    assert (plain["status"] == RowStatus.SCORED).all()
    assert contents(read_spectra(inspect(coadd, redrock)).rows) == contents(plain)


def test_undefined_identifiers_and_flags_say_nothing(tmp_path: Path) -> None:
    content = CoaddContent()
    content.targetid[0], content.fiberstatus[1] = 999999, 999999
    content.redrock_targetid[content.redrock_targetid == content.targetid[2]] = 999999
    content.zwarn[content.redrock_targetid == content.targetid[3]] = 999999
    coadd, redrock = content.write(tmp_path)
    for name, form in (("TARGETID", "K"), ("COADD_FIBERSTATUS", "J")):
        with_column(
            coadd, "FIBERMAP", name, lambda v, n=name, f=form: fits.Column(n, f, null=999999, array=v)
        )
    rows = read_spectra(inspect(coadd, redrock)).rows
    assert rows["status"].tolist() == [
        RowStatus.NO_TARGET, RowStatus.BAD_FIBRE, *[RowStatus.NO_REDSHIFT] * 2, *[RowStatus.SCORED] * 2
    ]  # fmt: skip
    assert np.isfinite(rows["redshift"]).tolist() == [False, True, False, False, True, True]


def test_duplicate_targetids_get_the_first_redrock_row_each(tmp_path: Path) -> None:
    content = CoaddContent()
    content.targetid[4] = content.targetid[1]
    twice = int(content.targetid[1])
    content.redrock_targetid = np.append(content.redrock_targetid, twice)
    content.redshift = np.append(content.redshift, content.redshift_of[twice])
    content.zwarn = np.append(content.zwarn, 4)
    content.targetid[0] = content.targetid[5] = -44  # unassigned fibres repeat their ids
    spectra = read(content, tmp_path)
    rows = spectra.rows
    assert rows["redshift"][[1, 4]].tolist() == [content.redshift_of[twice]] * 2
    assert rows["status"].tolist() == [
        RowStatus.NO_TARGET, *[RowStatus.SCORED] * 3, RowStatus.REPEATED_TARGET, RowStatus.NO_TARGET
    ]  # fmt: skip
    assert not np.array_equal(spectra.flux[1], spectra.flux[4])
    keys = rows.keys()
    assert keys[0] == "/main/dark/1/-44#0"
    assert keys[5] == "/main/dark/1/-44#5"


def test_positions_become_healpix_pixels_or_minus_one(tmp_path: Path) -> None:
    content = CoaddContent()
    content.ra[1], content.dec[2] = np.nan, np.inf
    content.dec[3] = 95.0
    rows = read(content, tmp_path).rows
    expected = HEALPix(2**29, order="nested").lonlat_to_healpix(
        content.ra[[0, 4, 5]] * u.deg, content.dec[[0, 4, 5]] * u.deg
    )
    assert rows["healpix_29"][[0, 4, 5]].tolist() == expected.tolist()
    assert rows["healpix_29"][1:4].tolist() == [-1, -1, -1]
    assert np.isnan(rows["ra"][1])
    assert (rows["status"] == RowStatus.SCORED).all()


@pytest.mark.parametrize("count", [0, 1, 17, 33])
def test_files_of_any_length(tmp_path: Path, count: int) -> None:
    content = CoaddContent(count=count)
    paths = content.write(tmp_path)
    file = inspect(*paths)
    assert file.spectra == count
    spectra = read_spectra(file)
    assert len(spectra) == count
    assert_same(spectra, *slow_coadd(paths[0]))


def test_gzip_reads_the_same(tmp_path: Path) -> None:
    coadd, redrock = CoaddContent().write(tmp_path)
    plain = read_spectra(inspect(coadd, redrock))
    packed = [path + ".gz" for path in (coadd, redrock)]
    for path, target in zip((coadd, redrock), packed, strict=True):
        Path(target).write_bytes(gzip.compress(Path(path).read_bytes(), 1))
    file = inspect(packed[0], packed[1])
    again = read_spectra(file)
    np.testing.assert_array_equal(again.flux, plain.flux)
    assert contents(again.rows) == contents(plain.rows)
    np.testing.assert_array_equal(read_spectra(file, 3, 5).ivar, plain.ivar[3:5])


def test_column_names_in_lower_case_are_found(tmp_path: Path) -> None:
    content = CoaddContent()
    plain = read(content, tmp_path / "plain")
    hdus = content.hdus()
    for name in hdus["FIBERMAP"].columns.names:
        hdus["FIBERMAP"].columns.change_name(name, name.lower())
    path = tmp_path / "coadd-main-dark-1.fits"
    hdus.writeto(path)
    assert b"'objtype '" in path.read_bytes()
    lower = read_spectra(inspect(str(path), str(tmp_path / "plain" / "redrock-main-dark-1.fits")))
    assert contents(lower.rows) == contents(plain.rows)


@pytest.fixture(scope="module")
def forty(tmp_path_factory: pytest.TempPathFactory) -> tuple[SourceFile, Spectra]:
    content = CoaddContent(count=40)
    content.mask["B"][3] = content.mask["R"][3] = content.mask["Z"][3] = 1
    content.targetid[10] = content.targetid[30]
    file = inspect(*content.write(tmp_path_factory.mktemp("forty")))
    return file, read_spectra(file)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ends=st.tuples(st.integers(0, 40), st.integers(0, 40)).map(sorted))
def test_a_range_of_rows_is_the_slice_of_all(forty: tuple[SourceFile, Spectra], ends: list[int]) -> None:
    file, everything = forty
    part, same = read_spectra(file, *ends), everything.take(slice(*ends))
    np.testing.assert_array_equal(part.flux, same.flux)
    np.testing.assert_array_equal(part.ivar, same.ivar)
    assert contents(part.rows) == contents(same.rows)


def test_rows_that_do_not_exist_are_a_bug(forty: tuple[SourceFile, Spectra]) -> None:
    with pytest.raises(BugError, match=r"rows 10 to 41\n.*0 to 40"):
        read_spectra(forty[0], 10, 41)


def test_only_the_bytes_needed_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = CoaddContent(count=64)
    file = inspect(*content.write(tmp_path))
    asked: list[int] = []
    pread = __import__("os").pread

    def counted(descriptor: int, length: int, offset: int) -> bytes:
        data: bytes = pread(descriptor, length, offset)
        asked.append(len(data))
        return data

    monkeypatch.setattr("os.pread", counted)
    inspect(file.url, file.redshift_url)
    headers = sum(asked)
    asked.clear()
    read_spectra(file, 8, 10)
    pixels = 2 * 3 * 4 * (2751 + 2326 + 2881)
    redrock = 64 * (8 * 5 + 80 + 26)
    assert headers < 40 * 11520
    wavelengths = 8 * (2751 + 2326 + 2881)
    fibermap = (64 + 2) * 200  # all of its TARGETIDs, since one may repeat another
    assert sum(asked) <= headers + pixels + redrock + wavelengths + fibermap
    assert sum(asked) < Path(file.url).stat().st_size / 8


# What cannot be read is quarantined with a reason.


def refused(path: str | Path, redrock: str = "") -> QuarantineError:
    with pytest.raises(QuarantineError) as caught:
        read_spectra(inspect(str(path), redrock))
    error = caught.value
    assert error.remedy
    assert str(path) in error.where or redrock in error.where
    return error


@pytest.mark.parametrize("share", [0.999, 0.6, 0.31, 0.02])
def test_a_cut_file_is_refused_when_it_is_listed(tmp_path: Path, share: float) -> None:
    coadd, redrock = CoaddContent().write(tmp_path)
    data = Path(coadd).read_bytes()
    Path(coadd).write_bytes(data[: int(len(data) * share)])
    with pytest.raises(QuarantineError, match=r"cut short.*\n(.*\n)*.*at least \d+ bytes") as caught:
        inspect(coadd, redrock)
    assert caught.value.kind == "truncated-file"


def test_a_cut_redrock_file_is_refused_with_its_coadd(tmp_path: Path) -> None:
    coadd, redrock = CoaddContent(count=60).write(tmp_path)
    data = Path(redrock).read_bytes()
    Path(redrock).write_bytes(data[:-4000])
    error = refused(coadd, redrock)
    assert error.kind == "truncated-file"
    assert error.where == redrock


def test_a_cut_gzip_file_is_refused(tmp_path: Path) -> None:
    coadd, _ = CoaddContent().write(tmp_path)
    data = gzip.compress(Path(coadd).read_bytes(), 1)
    packed = tmp_path / "coadd-cut.fits.gz"
    packed.write_bytes(data[: len(data) // 2])
    assert refused(packed).kind == "truncated-file"


@pytest.mark.parametrize(
    ("content", "text"), [(b"", "an empty file"), (b"<html>404</html>", "<html>404"), (bytes(9000), r"x00")]
)
def test_what_is_no_fits_file_is_refused(tmp_path: Path, content: bytes, text: str) -> None:
    path = tmp_path / "coadd-main-dark-1.fits"
    path.write_bytes(content)
    error = refused(path)
    assert error.kind == "not-fits"
    assert text in error.got


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path / "coadd-none.fits").kind == "missing-file"


def test_exposures_and_lone_redshifts_are_not_coadds(real_data: Path) -> None:
    folder = real_data / "real" / "desi"
    exposures = refused(folder / "spectra-sv3-dark-26065.fits")
    assert exposures.kind == "not-a-coadd"
    assert "EXPID" in exposures.got
    lone = refused(folder / "redrock-test.fits")
    assert lone.kind == "not-a-coadd"
    assert "redrock" in lone.got


@pytest.mark.parametrize(
    ("drop", "kind", "text"),
    [
        ("R_IVAR", "missing-hdu", "no HDU R_IVAR"),
        ("R_WAVELENGTH", "missing-hdu", "no HDU R_WAVELENGTH"),
        ("FIBERMAP", "missing-hdu", "no HDU FIBERMAP"),
    ],
)
def test_a_missing_hdu_is_named(tmp_path: Path, drop: str, kind: str, text: str) -> None:
    hdus = CoaddContent().alone()
    del hdus[drop]
    path = tmp_path / "coadd-main-dark-1.fits"
    hdus.writeto(path)
    error = refused(path)
    assert error.kind == kind
    assert text in error.what
    assert "B_FLUX" in error.got


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    hdus = CoaddContent().hdus()
    hdus["FIBERMAP"].columns.change_name("TARGETID", "TARGET")
    path = tmp_path / "coadd-main-dark-1.fits"
    hdus.writeto(path)
    error = refused(path)
    assert error.kind == "missing-column"
    assert "TARGETID" in error.what
    content = CoaddContent()
    table = content.redrock()
    table[1].columns.change_name("Z", "REDSHIFT")
    table.writeto(tmp_path / "redrock-bad.fits")
    coadd, _ = content.write(tmp_path / "good")
    assert "column Z" in refused(coadd, str(tmp_path / "redrock-bad.fits")).what


def test_of_redshifts_that_contradict_each_other_none_is_taken(tmp_path: Path) -> None:
    content = CoaddContent()
    twice = int(content.targetid[1])
    content.redrock_targetid = np.append(content.redrock_targetid, twice)
    content.redshift = np.append(content.redshift, 9.0)
    content.zwarn = np.append(content.zwarn, 0)
    rows = read(content, tmp_path).rows
    assert np.isnan(rows["redshift"]).tolist() == [False, True, False, False, False, False]
    assert rows["status"][1] == RowStatus.NO_REDSHIFT


def test_spectra_in_a_third_axis_are_refused(tmp_path: Path) -> None:
    hdus = CoaddContent().alone()
    for kind in ("FLUX", "IVAR", "MASK"):
        hdus[f"R_{kind}"].data = np.stack([hdus[f"R_{kind}"].data] * 2, axis=1)
    hdus.writeto(tmp_path / "coadd-main-dark-1.fits")
    assert refused(tmp_path / "coadd-main-dark-1.fits").kind == "wrong-grid"


def test_an_arm_of_which_the_flux_is_lost_is_not_passed_over(tmp_path: Path) -> None:
    hdus = CoaddContent().alone()
    del hdus["B_FLUX"]
    hdus.writeto(tmp_path / "coadd-main-dark-1.fits")
    error = refused(tmp_path / "coadd-main-dark-1.fits")
    assert error.kind == "missing-hdu"
    assert "B_FLUX" in str(error)


@pytest.mark.parametrize(
    ("flag", "status"), [(1 << 31, RowStatus.BAD_FIBRE), (2, RowStatus.BAD_FIBRE), (8, RowStatus.SCORED)]
)
def test_the_flags_of_a_fibre_may_come_in_a_wide_column(flag: int, status: int, tmp_path: Path) -> None:
    content = CoaddContent()
    content.zwarn[:] = 0
    content.fiberstatus = np.full(content.count, flag, dtype=np.int64)
    assert (read(content, tmp_path).rows["status"] == status).all()


def test_flags_of_a_fibre_beyond_32_bits_are_refused(tmp_path: Path) -> None:
    content = CoaddContent()
    content.fiberstatus = np.full(content.count, 1 << 40, dtype=np.int64)
    with pytest.raises(QuarantineError, match="fiberstatus 1099511627776 does not fit 32 bits"):
        read(content, tmp_path)


def test_other_wavelengths_are_refused(tmp_path: Path) -> None:
    hdus = CoaddContent().alone()
    hdus["Z_WAVELENGTH"].data = hdus["Z_WAVELENGTH"].data + 0.4
    path = tmp_path / "coadd-main-dark-1.fits"
    hdus.writeto(path)
    error = refused(path)
    assert error.kind == "wrong-grid"
    assert "7520.4000 to 9824.4000" in error.got
    assert "7520.0 to 9824.0" in error.allowed
    hdus = CoaddContent().alone()
    for kind in ("FLUX", "IVAR", "MASK"):
        hdus[f"Z_{kind}"].data = hdus[f"Z_{kind}"].data[:, ::2]
    hdus.writeto(path, overwrite=True)
    with pytest.raises(QuarantineError, match=r"1441 pixels\n.*2881 pixels") as caught:
        inspect(str(path))
    assert caught.value.kind == "wrong-grid"


def test_images_of_another_length_are_refused(tmp_path: Path) -> None:
    hdus = CoaddContent().alone()
    hdus["Z_FLUX"].data = hdus["Z_FLUX"].data[:5]
    path = tmp_path / "coadd-main-dark-1.fits"
    hdus.writeto(path)
    error = refused(path)
    assert (error.kind, error.got) == ("row-mismatch", "5 spectra")


def test_a_file_that_grew_since_it_was_listed_is_refused(tmp_path: Path) -> None:
    file = inspect(*CoaddContent(count=6).write(tmp_path))
    CoaddContent(count=8).write(tmp_path)
    with pytest.raises(QuarantineError, match=r"8 spectra\n.*6 spectra") as caught:
        read_spectra(file)
    assert caught.value.kind == "changed-file"


def test_a_flipped_byte_is_found_by_verify(tmp_path: Path) -> None:
    file = inspect(*CoaddContent().write(tmp_path))
    verify(file)
    with fits.open(file.url) as hdus:
        offset = hdus["R_FLUX"].fileinfo()["datLoc"] + 12345
    data = bytearray(Path(file.url).read_bytes())
    data[offset] ^= 0x40
    Path(file.url).write_bytes(data)
    with pytest.raises(QuarantineError, match=r"HDU R_FLUX") as caught:
        verify(file)
    assert caught.value.kind == "checksum-mismatch"


def test_a_text_for_a_redshift_is_quarantined(tmp_path: Path) -> None:
    content = CoaddContent()
    coadd, redrock = content.write(tmp_path)
    table = content.redrock()[1]
    columns = [column for column in table.columns if column.name != "Z"]
    columns.append(fits.Column("Z", "8A", array=np.array(["unknown"] * content.count)))
    broken = fits.BinTableHDU.from_columns(columns, name="REDSHIFTS")
    fits.HDUList([fits.PrimaryHDU(), broken]).writeto(redrock, overwrite=True)
    error = refused(coadd, redrock)
    assert error.kind == "undecodable-file"
    assert "unknown" in error.got


def test_a_header_with_flipped_bytes_never_crashes(tmp_path: Path) -> None:
    coadd, redrock = CoaddContent(count=2).write(tmp_path)
    data = Path(coadd).read_bytes()
    random = np.random.default_rng(3)
    outcomes = {"read": 0, "refused": 0}
    for _ in range(150):
        broken = bytearray(data)
        for place in random.integers(0, 12 * 2880, 3):
            broken[place] ^= 1 << int(random.integers(8))
        Path(coadd).write_bytes(broken)
        try:
            read_spectra(inspect(coadd, redrock))
            outcomes["read"] += 1
        except QuarantineError:
            outcomes["refused"] += 1
    assert sum(outcomes.values()) == 150
    assert outcomes["refused"] > 0
