"""SDSS spectra: every real file against astropy, and faults put in on purpose."""

from __future__ import annotations

import csv
import gzip
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from engine.surveys.reading import inspect, read_spectra
from engine.surveys.sdss.conventions import FATAL_MASK, MASKING
from engine.surveys.sdss.grid import SDSS_GRID
from models.errors import QuarantineError
from models.row_status import RowStatus
from tests.engine.surveys.coadd_files import contents

NAME = "real/sdss/spec-8530-58016-0316.fits"  # eBOSS, upper-case columns, plate above 8191


def manifest(real_data: Path) -> dict[str, dict[str, str]]:
    with (real_data / "real" / "manifest.csv").open() as file:
        return {row["file"]: row for row in csv.DictReader(file) if row["file"].startswith("sdss/")}


def test_every_real_file_equals_astropy_pixel_by_pixel(real_data: Path) -> None:
    paths = sorted((real_data / "real" / "sdss").glob("*.fits"))
    assert len(paths) == 129
    one_armed = 0
    for path in paths:
        file = inspect(str(path))
        spectra = read_spectra(file)
        row = spectra.rows.data[0]
        with fits.open(path) as hdus:
            table, best = hdus[1].data, hdus[2].data
            columns = {name.lower(): name for name in table.names}
            flux = np.zeros(SDSS_GRID.size, dtype=np.float32)
            ivar = np.zeros(SDSS_GRID.size, dtype=np.float32)
            masked, by = 0, Counter[str]()
            pixels = (table[columns[name]].tolist() for name in ("loglam", "flux", "ivar", "and_mask"))
            for loglam, value, weight, mask in zip(*pixels, strict=True):
                place = round((loglam - 3.54) / 1e-4)
                if weight > 0 and not mask & FATAL_MASK:
                    flux[place], ivar[place] = value, weight
                masked += bool(mask & FATAL_MASK)
                by.update(name for bit, name in MASKING.items() if mask >> bit & 1)
            np.testing.assert_array_equal(spectra.flux[0], flux)
            np.testing.assert_array_equal(spectra.ivar[0], ivar)
            assert row["masked_pixels"] == masked
            said = dict(each.split("=") for each in row["masked_by"].split())
            assert {name: int(number) for name, number in said.items()} == by
            assert row["redshift"] == float(best["Z"][0])
            assert row["zwarn"] == best["ZWARNING"][0]
            assert row["spectype"] == best["CLASS"][0].strip()
            assert row["subtype"] == best["SUBCLASS"][0].strip()
            assert (row["plate"], row["mjd"], row["fiber"]) == tuple(
                int(best[name][0]) for name in ("PLATE", "MJD", "FIBERID")
            )
            assert row["ra"] == best["PLUG_RA"][0]
            if "SPECTROGRAPHID" in best.names:
                assert row["spectrograph"] == best["SPECTROGRAPHID"][0]
                assert row["target_class"] == best["SOURCETYPE"][0].strip()
            assert row["exposure_remarks"] == 0
            assert row["specprod"] == file.specprod == best["RUN2D"][0].strip()
            assert int(row["target_id"]) % 2**64 == int(best["SPECOBJID"][0])
        good = SDSS_GRID.wavelength()[ivar > 0]
        assert row["arms"] == "b" * bool(good.min() < 5600) + "r" * bool(good.max() > 6350)
        one_armed += row["arms"] != "br"
    assert one_armed == 2  # two files whose authors cut them to 3613-4250 Angstrom


def test_every_real_file_agrees_with_the_manifest(real_data: Path) -> None:
    known = manifest(real_data)
    counts = {RowStatus.SCORED: 0, RowStatus.SKY_FIBRE: 0}
    for name, entry in known.items():
        rows = read_spectra(inspect(str(real_data / "real" / name))).rows
        status = RowStatus(int(rows["status"][0]))
        counts[status] += 1
        assert (status == RowStatus.SKY_FIBRE) == (entry["label"] == "sky fibre"), name
        assert rows["redshift"][0] == pytest.approx(float(entry["pipeline_z"]), abs=1e-7)
        assert rows["mjd"][0] == float(entry["mjd"])
    assert counts == {RowStatus.SCORED: 98, RowStatus.SKY_FIBRE: 31}


def test_every_sky_file_is_a_sky_fibre(real_data: Path) -> None:
    paths = sorted((real_data / "sky").glob("*.fits"))
    assert len(paths) == 91
    for path in paths:
        assert read_spectra(inspect(str(path))).rows["status"][0] == RowStatus.SKY_FIBRE, path.name


def test_surveys_and_keys(real_data: Path) -> None:
    def first(name: str) -> tuple[str, str]:
        rows = read_spectra(inspect(str(real_data / "real" / "sdss" / name))).rows
        return str(rows["survey"][0]), rows.keys()[0]

    assert first("spec-0266-51602-0001.fits") == ("sdss", "26/0266-51602-0001")
    assert first("spec-3655-55240-0436.fits") == ("boss", "v5_13_0/3655-55240-0436")
    assert first("spec-8530-58016-0316.fits") == ("eboss", "v5_13_2/8530-58016-0316")


def test_a_range_of_rows(real_data: Path) -> None:
    file = inspect(str(real_data / NAME))
    assert file.spectra == 1
    assert len(read_spectra(file, 0, 0)) == len(read_spectra(file, 1, 1)) == 0
    np.testing.assert_array_equal(read_spectra(file, 0, 1).flux, read_spectra(file).flux)


def changed(real_data: Path, tmp_path: Path, name: str = NAME) -> tuple[fits.HDUList, Path]:
    with fits.open(real_data / name, memmap=False) as hdus:
        copy = fits.HDUList([hdu.copy() for hdu in hdus])
    return copy, tmp_path / "spec-changed.fits"


def test_mask_bits_that_are_fatal_and_that_are_not(real_data: Path, tmp_path: Path) -> None:
    hdus, path = changed(real_data, tmp_path)
    table = hdus[1].data
    table["AND_MASK"][:], table["OR_MASK"][:], table["IVAR"][:] = 0, 1 << 23, 2.0
    table["AND_MASK"][:32] = np.left_shift(1, np.arange(32), dtype=np.int64).astype(np.uint32).view(np.int32)
    hdus.writeto(path)
    spectra = read_spectra(inspect(str(path)))
    first = round((float(table["LOGLAM"][0]) - 3.54) / 1e-4)
    bad = np.nonzero(spectra.ivar[0, first : first + len(table)] == 0)[0]
    assert bad.tolist() == [0, 1, 2, 3, 18, 22, 23, 24]
    assert (spectra.flux[0, first + bad] == 0).all()


def test_statuses_and_their_precedence(real_data: Path, tmp_path: Path) -> None:
    def status(**change: object) -> RowStatus:
        hdus, path = changed(real_data, tmp_path)
        for name, value in change.items():
            table = hdus[1].data if name in ("FLUX", "IVAR", "AND_MASK") else hdus[2].data
            table[name][:] = value
        hdus.writeto(path, overwrite=True)
        return RowStatus(int(read_spectra(inspect(str(path))).rows["status"][0]))

    assert status() == RowStatus.SCORED
    assert status(OBJTYPE="SKY", ZWARNING=128) == RowStatus.SKY_FIBRE
    assert status(ZWARNING=1) == RowStatus.SKY_FIBRE
    assert status(ZWARNING=128, Z=np.nan) == RowStatus.BAD_FIBRE
    assert status(Z=np.nan, IVAR=0) == RowStatus.NO_REDSHIFT
    assert status(ZWARNING=512) == RowStatus.NO_REDSHIFT
    assert status(IVAR=0) == RowStatus.NO_GOOD_PIXELS
    assert status(AND_MASK=1 << 24) == RowStatus.NO_GOOD_PIXELS
    assert status(IVAR=np.inf) == RowStatus.NO_GOOD_PIXELS
    assert status(FLUX=np.nan) == RowStatus.NON_FINITE_FLUX
    assert status(ZWARNING=4) == RowStatus.SCORED
    assert status(ZWARNING=-1) == RowStatus.NO_REDSHIFT  # as undefined ones are read


@pytest.mark.parametrize(
    ("number", "form", "unsigned"),
    [
        (9_603_849_713_423_719_424, "K", True),
        (9_603_849_713_423_719_424, "K", False),  # as a signed number
        (9_603_849_713_423_719_424, "22A", False),
        (299_489_676_975_171_584, "K", False),
    ],
)
def test_identifiers_keep_their_64_bits(
    real_data: Path, tmp_path: Path, number: int, form: str, unsigned: bool
) -> None:
    hdus, path = changed(real_data, tmp_path)
    with_specobjid(hdus, number, form, unsigned).writeto(path)
    assert int(read_spectra(inspect(str(path))).rows["target_id"][0]) % 2**64 == number


def with_specobjid(hdus: fits.HDUList, number: int, form: str, unsigned: bool = False) -> fits.HDUList:
    value = np.array([number], np.uint64)
    array = value if unsigned else value.astype(str) if "A" in form else value.astype(np.int64)
    columns = [
        fits.Column("SPECOBJID", form, bzero=1 << 63 if unsigned else None, array=array)
        if column.name == "SPECOBJID"
        else fits.Column(column.name, column.format, array=np.array(hdus[2].data[column.name]))
        for column in hdus[2].columns
    ]
    hdus[2] = fits.BinTableHDU.from_columns(columns, name="SPECOBJ")
    return hdus


def test_identifiers_that_are_rounded_are_refused(real_data: Path, tmp_path: Path) -> None:
    hdus, path = changed(real_data, tmp_path)
    with_specobjid(hdus, 299_489_676_975_171_584, "D").writeto(path)
    error = refused(path)
    assert (error.kind, error.what) == ("not-integers", "The column SPECOBJID does not hold integers.")
    hdus = with_specobjid(changed(real_data, tmp_path)[0], 1, "22A")
    hdus[2].data["SPECOBJID"] = "2.99489676975e+17"
    hdus.writeto(path, overwrite=True)
    with pytest.raises(QuarantineError, match=r"2\.99489676975e\+17") as caught:
        read_spectra(inspect(str(path)))
    assert caught.value.kind == "undecodable-file"


def test_sdss_v_names_spectra_by_field_and_catalogue_id(real_data: Path, tmp_path: Path) -> None:
    hdus, path = changed(real_data, tmp_path)
    row = fits.BinTableHDU.from_columns(
        [
            fits.Column("FIELD", "K", array=[112360]),
            fits.Column("MJD", "K", array=[60000]),
            fits.Column("CATALOGID", "K", array=[27021598150202075]),
            fits.Column("SPECOBJID", "29A", array=["11236060000270215981502020756"]),
            fits.Column("RUN2D", "6A", array=["v6_2_1"]),
            fits.Column("SURVEY", "3A", array=["BHM"]),
            fits.Column("OBJTYPE", "16A", array=["science"]),
            fits.Column("RACAT", "D", array=[10.0]),
            fits.Column("DECCAT", "D", array=[20.0]),
            fits.Column("Z", "E", array=[0.5]),
            fits.Column("ZWARNING", "K", array=[0]),
            fits.Column("CLASS", "6A", array=["QSO"]),
        ],
        name="SPALL",
    )
    fits.HDUList([fits.PrimaryHDU(), hdus[1], row]).writeto(path)
    file = inspect(str(path))
    rows = read_spectra(file).rows
    assert rows.keys() == ["v6_2_1/112360-60000-27021598150202075"]
    assert (file.specprod, file.survey, file.program) == ("v6_2_1", "bhm", "")
    assert (rows["ra"][0], rows["dec"][0], rows["fiber"][0]) == (10.0, 20.0, -1)
    assert rows["status"][0] == RowStatus.SCORED


def test_hdus_are_found_by_name_in_any_order(real_data: Path, tmp_path: Path) -> None:
    hdus, path = changed(real_data, tmp_path, "real/sdss/spec-0266-51602-0573.fits")
    fits.HDUList([hdus[0], hdus[3], hdus[2], hdus[1]]).writeto(path)
    turned = read_spectra(inspect(str(path)))
    plain = read_spectra(inspect(str(real_data / "real/sdss/spec-0266-51602-0573.fits")))
    np.testing.assert_array_equal(turned.flux, plain.flux)
    assert contents(turned.rows) == contents(plain.rows)


def test_missing_identifiers_come_from_the_header_or_stay_unknown(real_data: Path, tmp_path: Path) -> None:
    hdus, path = changed(real_data, tmp_path)
    row = hdus[2].data
    few = fits.BinTableHDU.from_columns(
        [
            fits.Column("Z", "E", array=row["Z"]),
            fits.Column("ZWARNING", "J", array=row["ZWARNING"]),
        ],
        name="SPECOBJ",
    )
    fits.HDUList([hdus[0], hdus[1], few]).writeto(path)
    rows = read_spectra(inspect(str(path))).rows
    assert rows.keys() == ["v5_13_2/8530-58016-0316"]
    assert rows["target_id"][0] == -1
    assert rows["ra"][0] == pytest.approx(252.8276)
    assert rows["spectype"][0] == ""


def test_gzip_reads_the_same(real_data: Path, tmp_path: Path) -> None:
    path = tmp_path / "spec.fits.gz"
    path.write_bytes(gzip.compress((real_data / NAME).read_bytes()))
    packed, plain = read_spectra(inspect(str(path))), read_spectra(inspect(str(real_data / NAME)))
    np.testing.assert_array_equal(packed.flux, plain.flux)
    assert contents(packed.rows) == contents(plain.rows)


def refused(path: Path) -> QuarantineError:
    with pytest.raises(QuarantineError) as caught:
        inspect(str(path))
    assert caught.value.remedy
    assert str(path) in caught.value.where
    return caught.value


@pytest.mark.parametrize("share", [0.99, 0.5, 0.01])
def test_a_cut_file_is_refused(real_data: Path, tmp_path: Path, share: float) -> None:
    data = (real_data / NAME).read_bytes()
    path = tmp_path / "spec-cut.fits"
    path.write_bytes(data[: int(share * len(data))])
    assert refused(path).kind == "truncated-file"


@pytest.mark.parametrize(
    ("change", "got"),
    [
        (lambda loglam: loglam + np.float32(3e-5), "steps"),
        (lambda loglam: 3.55 + 2 * (loglam - loglam[0]), "pixels"),
        (lambda loglam: loglam - np.float32(0.1), "log10 wavelength 3."),
        (lambda loglam: loglam * np.nan, "nan"),
    ],
)
def test_other_wavelengths_are_refused(real_data: Path, tmp_path: Path, change: object, got: str) -> None:
    hdus, path = changed(real_data, tmp_path)
    assert callable(change)
    hdus[1].data["LOGLAM"][:] = change(hdus[1].data["LOGLAM"].copy())
    hdus.writeto(path)
    error = refused(path)
    assert error.kind == "wrong-grid"
    assert got in str(error)
    assert "3.54 to 4.02" in error.allowed


def test_other_formats_are_refused_by_what_they_are(real_data: Path) -> None:
    old = refused(real_data / "real" / "sdss_spSpec" / "sample_sdss.fits")
    assert old.kind == "not-a-spectrum"
    assert "spSpec" in old.got
    manga = refused(real_data / "real" / "manga" / "MaNGA_test_spectra.fits.gz")
    assert manga.kind == "not-a-spectrum"
    assert "SRES" in manga.got


def test_missing_columns_and_tables_are_named(real_data: Path, tmp_path: Path) -> None:
    hdus, path = changed(real_data, tmp_path)
    hdus[1].columns.change_name("IVAR", "weight")
    hdus.writeto(path)
    error = refused(path)
    assert error.kind == "missing-column"
    assert "IVAR" in error.what
    hdus, path = changed(real_data, tmp_path)
    fits.HDUList(hdus[:2]).writeto(path, overwrite=True)
    assert refused(path).kind == "missing-hdu"
    shutil.copy(real_data / NAME, path)
    hdus, _ = changed(real_data, tmp_path)
    hdus[2].data = np.repeat(np.asarray(hdus[2].data), 2)
    hdus.writeto(path, overwrite=True)
    assert (refused(path).kind, refused(path).got) == ("row-mismatch", "2 rows")
