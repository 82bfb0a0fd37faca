"""DATASUMs compared while a coadd is read: a flipped byte is found when its HDU has passed whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from engine.files.data_sums import folded, sum_of
from engine.files.fits_file import FitsFile
from engine.spectra.source_file import SourceFile
from engine.surveys.reading import inspect, open_spectra, read_spectra, verify
from models.errors import QuarantineError
from tests.engine.surveys.coadd_files import CoaddContent


def flip(path: str, name: str, row: int) -> None:
    """Change one bit in a row of an image or table."""
    with fits.open(path) as hdus:
        unit = hdus[name]
        place = unit.fileinfo()["datLoc"] + row * (unit.size // len(unit.data))
    with Path(path).open("r+b") as stream:
        stream.seek(place + 2)
        byte = stream.read(1)[0]
        stream.seek(place + 2)
        stream.write(bytes([byte ^ 1]))


@pytest.fixture
def coadd(tmp_path: Path) -> SourceFile:
    return inspect(*CoaddContent().write(tmp_path, unsigned_mask=True))


@pytest.mark.parametrize("size", [0, 1, 4, 7, 4096, 100_003])
def test_the_sum_is_that_of_the_standard(size: int) -> None:
    data = np.random.default_rng(size).integers(0, 256, size, dtype=np.uint8).tobytes()
    total = 0
    for start in range(0, size, 4):
        total += int.from_bytes(data[start : start + 4].ljust(4, b"\0"), "big")
        total = (total & 0xFFFFFFFF) + (total >> 32)
    assert folded(sum_of(data)) == total


def test_the_sum_is_that_of_astropy(tmp_path: Path) -> None:
    coadd, _ = CoaddContent(count=3).write(tmp_path)
    with fits.open(coadd) as hdus, FitsFile(coadd) as file:
        for unit, hdu in zip(file.units, hdus, strict=True):
            assert file.datasum(unit) == int(hdu.header["DATASUM"])


@pytest.mark.parametrize("name", ["B_FLUX", "R_IVAR", "Z_MASK", "FIBERMAP"])
def test_a_flipped_byte_is_found_when_the_file_is_read(coadd: SourceFile, name: str) -> None:
    read_spectra(coadd)
    flip(coadd.url, name, 4)
    with pytest.raises(QuarantineError, match="not those that were written") as caught:
        read_spectra(coadd)
    assert caught.value.kind == "checksum-mismatch"
    assert caught.value.where == f"{coadd.url}, HDU {name}"


def test_it_is_found_with_the_last_of_several_pieces(coadd: SourceFile) -> None:
    flip(coadd.url, "B_FLUX", 0)
    with open_spectra(coadd) as spectra:
        spectra.read(0, 2)
        spectra.read(2, 5)
        with pytest.raises(QuarantineError) as caught:
            spectra.read(5, 6)
    assert caught.value.kind == "checksum-mismatch"


def test_rows_of_a_file_are_read_without_its_other_rows(coadd: SourceFile) -> None:
    flip(coadd.url, "B_FLUX", 0)
    read_spectra(coadd, 1, 6)
    read_spectra(coadd, 0, 5)
    with pytest.raises(QuarantineError, match="not those that were written"):
        verify(coadd)


def test_pieces_out_of_order_raise_no_false_alarm(coadd: SourceFile) -> None:
    with open_spectra(coadd) as spectra:
        for start, stop in ((3, 6), (0, 3), (0, 3), (2, 6), (3, 6), (0, 6)):
            spectra.read(start, stop)


def test_a_flipped_byte_among_redshifts_is_found_whatever_is_read(coadd: SourceFile) -> None:
    flip(coadd.redshift_url, "REDSHIFTS", 5)
    with pytest.raises(QuarantineError) as caught:
        read_spectra(coadd, 0, 1)
    assert caught.value.where == f"{coadd.redshift_url}, HDU REDSHIFTS"
