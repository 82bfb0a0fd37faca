"""Files opened once and read in pieces, by several threads."""

from __future__ import annotations

import gzip
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.readers.registry import inspect, open_spectra, read_spectra
from models.errors import BugError, QuarantineError
from tests.engine.readers.coadd_files import CoaddContent


@pytest.mark.parametrize("compressed", [False, True])
def test_pieces_read_by_threads_are_the_rows_of_the_whole(tmp_path: Path, compressed: bool) -> None:
    coadd, redrock = CoaddContent(count=40).write(tmp_path)
    if compressed:
        Path(coadd + ".gz").write_bytes(gzip.compress(Path(coadd).read_bytes(), 1))
        coadd += ".gz"
    file = inspect(coadd, redrock)
    whole = read_spectra(file)
    pieces = [(start, min(start + 7, 40)) for start in (30, 0, 14, 39, 7, 21, 28, 35)]
    with open_spectra(file) as spectra, ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda piece: spectra.read(*piece), pieces * 3))
    for (start, stop), part in zip(pieces * 3, found, strict=True):
        expected = whole.take(slice(start, stop))
        assert part.flux.tobytes() == expected.flux.tobytes()
        assert part.ivar.tobytes() == expected.ivar.tobytes()
        assert part.rows.data.tobytes() == expected.rows.data.tobytes()


def test_rows_that_a_file_does_not_have_are_a_bug(tmp_path: Path) -> None:
    file = inspect(*CoaddContent(count=3).write(tmp_path))
    with open_spectra(file) as spectra:
        assert len(spectra.read(3, 3)) == 0
        with pytest.raises(BugError, match="Rows were asked for that a file does not have"):
            spectra.read(2, 4)


def test_a_file_that_changed_since_it_was_listed_is_refused_when_opened(tmp_path: Path) -> None:
    file = inspect(*CoaddContent(count=3).write(tmp_path))
    CoaddContent(count=4).write(tmp_path)
    with pytest.raises(QuarantineError) as caught, open_spectra(file):
        pass
    assert (caught.value.kind, caught.value.got) == ("changed-file", "4 spectra")
