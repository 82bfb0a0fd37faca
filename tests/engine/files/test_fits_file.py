"""The header scan and the decoding of columns, images and sums, against astropy."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.files.fits_file import FitsFile
from engine.files.fits_headers import parse_header
from models.errors import QuarantineError


def test_headers_shapes_and_offsets_are_those_of_astropy(real_data: Path) -> None:
    paths = [
        *sorted((real_data / "real" / "desi").glob("*.fits")),
        *sorted((real_data / "real" / "sdss").glob("*"))[::16],
    ]
    for path in paths:
        with warnings.catch_warnings(), FitsFile(str(path)) as file:
            warnings.simplefilter("ignore")
            with fits.open(path, disable_image_compression=True) as hdus:
                assert len(file.units) == len(hdus)
                for unit, hdu in zip(file.units, hdus, strict=True):
                    place = hdu.fileinfo()
                    assert (unit.header_offset, unit.data_offset) == (place["hdrLoc"], place["datLoc"])
                    assert -(-unit.data_size // 2880) * 2880 == place["datSpan"]
                    for keyword in ("BITPIX", "EXTNAME", "NAXIS2", "SPGRPVAL", "TTYPE3", "COEFF0", "RUN2D"):
                        expected = hdu.header.get(keyword)
                        assert unit.header.get(keyword) == (
                            expected.rstrip() if isinstance(expected, str) else expected
                        )


def test_every_simple_column_decodes_as_astropy_does(real_data: Path) -> None:
    path = real_data / "real" / "sdss" / "spec-8530-58016-0316.fits"
    with FitsFile(str(path)) as file, fits.open(path) as hdus:
        table = hdus[2].data
        names = [column.name for column in hdus[2].columns]
        values = file.columns(file.units[2], [name.upper() for name in names], 0, 1)
        assert len(values) == len(names) > 200
        for name in names:
            mine, theirs = values[name.upper()], np.asarray(table[name])
            if theirs.dtype.kind in "US":
                assert mine[0] == theirs[0].strip()
            elif theirs.dtype.kind != "b":
                np.testing.assert_array_equal(mine.ravel(), theirs.ravel())  # TDIM is left out
                assert mine.dtype.kind == theirs.dtype.kind


STORED = np.array([-3, 0, 5, 99], dtype=np.int16)


@pytest.mark.parametrize(
    ("form", "cards", "expected"),
    [
        ("I", {}, np.array([-3, 0, 5, 99], np.int16)),
        ("I", {"TNULL": 99}, np.array([-3, 0, 5, -1])),
        ("I", {"TNULL": 7}, np.array([-3, 0, 5, 99], np.int16)),
        ("I", {"TNULL": 99999}, np.array([-3, 0, 5, 99], np.int16)),
        ("I", {"TZERO": 32768}, np.array([32765, 32768, 32773, 32867], np.uint16)),
        ("I", {"TZERO": 32768, "TNULL": 99}, np.array([32765, 32768, 32773, -1])),
        ("K", {"TZERO": 39627866878511337}, np.array([0, 3, 8, 102]) + 39627866878511334),
        ("K", {"TZERO": 1 << 63}, np.array([-3, 0, 5, 99]).astype(np.uint64) + np.uint64(1 << 63)),
        ("I", {"TSCAL": 0.5, "TZERO": 1, "TNULL": 99}, np.array([-0.5, 1, 3.5, np.nan])),
        ("E", {"TSCAL": 2.0}, np.array([-6, 0, 10, 198], np.float32)),
    ],
)
def test_columns_are_scaled_and_undefined_values_are_told(
    tmp_path: Path, form: str, cards: dict[str, int], expected: NDArray[Any]
) -> None:
    path = tmp_path / "scaled.fits"
    table = fits.BinTableHDU.from_columns([fits.Column("VALUE", form, array=STORED)], name="T")
    for keyword, value in cards.items():
        table.header[f"{keyword}1"] = value
    data = STORED.astype({"I": ">i2", "K": ">i8", "E": ">f4"}[form]).tobytes()
    headers = fits.PrimaryHDU().header.tostring() + table.header.tostring()
    path.write_bytes(headers.encode() + data + bytes(2880 - len(data)))
    with FitsFile(str(path)) as file:
        values = file.columns(file.unit("T"), ("VALUE",), 0, 4)["VALUE"]
        whole = form != "E" and "TSCAL" not in cards
        assert file.unit("T").columns["VALUE"].is_integer is whole
    np.testing.assert_array_equal(values, expected, strict=True)


def test_undefined_pixels_of_integer_images_are_told(tmp_path: Path) -> None:
    path = tmp_path / "blank.fits"
    mask, flux = (fits.ImageHDU(np.array([[1, 2, 7]], np.int32), name=name) for name in ("MASK", "FLUX"))
    mask.header["BLANK"] = flux.header["BLANK"] = 7
    flux.header["BSCALE"] = 0.5
    images = [
        image.header.tostring().encode() + np.array([1, 2, 7], ">i4").tobytes() + bytes(2868)
        for image in (mask, flux)
    ]
    path.write_bytes(fits.PrimaryHDU().header.tostring().encode() + b"".join(images))
    with FitsFile(str(path)) as file:
        found = file.images([file.unit("MASK"), file.unit("FLUX")], 0, 1)
    np.testing.assert_array_equal(found[0], [[1, 2, -1]])
    np.testing.assert_array_equal(found[1], [[0.5, 1.0, np.nan]])


def test_a_compressed_table_is_named(tmp_path: Path) -> None:
    path = tmp_path / "packed.fits"
    table = fits.BinTableHDU.from_columns([fits.Column("TARGETID", "K", array=np.arange(3))], name="T")
    table.header["ZTABLE"] = True
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)
    with FitsFile(str(path)) as file, pytest.raises(QuarantineError, match="got: a compressed table"):
        file.require_columns(file.unit("T"), ("TARGETID",))


@given(
    st.dictionaries(
        st.text("ABCDEFGHIJ0123456789_-", min_size=1, max_size=8).filter(lambda key: key != "END"),
        st.one_of(
            st.booleans(),
            st.integers(-(10**15), 10**15),
            st.floats(-1e30, 1e30).map(lambda x: float(f"{x:.10G}")),
            st.text("abc /'=", max_size=200).map(str.rstrip),
        ),
        max_size=20,
    )
)
def test_cards_are_parsed_as_astropy_writes_them(values: dict[str, bool | int | float | str]) -> None:
    header = fits.Header()
    for key, value in values.items():
        header[key] = (value, "a / comment")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # comments that do not fit are cut
        parsed = parse_header(header.tostring().encode("ascii"))
    assert parsed == values


def test_sums_are_those_that_astropy_records(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    path = tmp_path / "sums.fits"
    hdus = [fits.PrimaryHDU()]
    hdus += [
        fits.ImageHDU(random.normal(size=size).astype(np.float32), name=f"I{size}")
        for size in (1, 3, 99, 5001)
    ]
    hdus += [
        fits.ImageHDU(random.integers(0, 255, size, dtype=np.uint8), name=f"B{size}")
        for size in (1, 2, 7, 2881)
    ]
    fits.HDUList(hdus).writeto(path, checksum=True)
    with FitsFile(str(path)) as file:
        for unit in file.units[1:]:
            assert file.datasum(unit) == int(unit.text("DATASUM"))


def test_a_header_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "endless.fits"
    header = fits.PrimaryHDU().header.tostring().encode("ascii")
    path.write_bytes(header.replace(b"END     ", b"COMMENT ") * 2100)
    with pytest.raises(QuarantineError, match="no END") as caught:
        FitsFile(str(path))
    assert caught.value.kind == "not-fits"
    path.write_bytes(header.replace(b"END     ", b"COMMENT ") * 3)
    with pytest.raises(QuarantineError, match="inside a header") as caught:
        FitsFile(str(path))
    assert caught.value.kind == "truncated-file"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"BITPIX  =                    8", b"BITPIX  =                    9"),
        (b"NAXIS   =                    0", b"NAXIS   =                   -1"),
        (b"NAXIS   =                    0", b"NAXIS   =                    2"),
    ],
)
def test_a_header_that_does_not_describe_its_data_is_refused(tmp_path: Path, old: bytes, new: bytes) -> None:
    path = tmp_path / "odd.fits"
    header = fits.PrimaryHDU().header.tostring().encode("ascii")
    assert old in header
    path.write_bytes(header.replace(old, new))
    with pytest.raises(QuarantineError, match="does not describe its data") as caught:
        FitsFile(str(path))
    assert caught.value.kind == "not-fits"


def test_bytes_after_the_last_hdu_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "tail.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.ones(5), name="ONE")]).writeto(path)
    path.write_bytes(path.read_bytes() + b"something else")
    with FitsFile(str(path)) as file:
        assert file.names() == ["", "ONE"]
        np.testing.assert_array_equal(file.vector("ONE"), np.ones(5))


def test_handles_are_given_back(tmp_path: Path) -> None:
    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("this system has no /proc/self/fd to count open files")
    good, bad = tmp_path / "good.fits", tmp_path / "bad.fits"
    fits.PrimaryHDU().writeto(good)
    bad.write_bytes(b"SIMPLE  =")
    before = open_files()
    for _ in range(20):
        with FitsFile(str(good)):
            pass
        with pytest.raises(QuarantineError):
            FitsFile(str(bad))
    assert open_files() == before
