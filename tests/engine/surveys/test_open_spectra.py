"""Files opened once and read in pieces, by several threads."""

from __future__ import annotations

import gzip
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from engine.simulation.release import simulate_release
from engine.simulation.settings import FormName, SimulationSettings, SurveyName
from engine.spectra.rows import COLUMNS
from engine.surveys.listing import list_release
from engine.surveys.reading import inspect, open_spectra, read_spectra
from models.errors import BugError, QuarantineError
from models.row_status import RowStatus
from tests.engine.surveys.coadd_files import CoaddContent, contents


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
        assert contents(part.rows) == contents(expected.rows)


@pytest.mark.parametrize(("survey", "form"), [("desi", "coadd"), ("sdss", "spec"), ("sdss", "plate")])
def test_tables_alone_give_the_columns_that_need_no_pixels(
    tmp_path: Path, survey: SurveyName, form: FormName
) -> None:
    settings = SimulationSettings(survey, 30, seed=2, form=form, broken_fraction=0.1, resolution=False)
    release = simulate_release(settings, tmp_path / "release").path
    pixels = ["arms", "snr", "good_fraction", "masked_pixels", "masked_by", "status"]
    columns = [column.name for column in COLUMNS if column.name not in pixels]
    for file in list_release([str(release)]).files:
        with open_spectra(file, 0, 0) as spectra:
            rows = spectra.rows(0, file.spectra)
        whole = read_spectra(file).rows
        for name in columns:
            np.testing.assert_array_equal(rows[name], whole[name], err_msg=name)
        scored = whole["status"] == RowStatus.SCORED
        assert (rows["status"][scored] == RowStatus.SCORED).all()
        known = rows["status"] != RowStatus.SCORED
        assert (rows["status"][known] == whole["status"][known]).all()


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
