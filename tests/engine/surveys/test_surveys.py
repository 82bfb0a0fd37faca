"""The list of surveys: what its values may not share, and files and keys that belong to none of them."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from engine.surveys.desi.grid import DESI_GRID
from engine.surveys.desi.survey import DESI
from engine.surveys.listing import list_release
from engine.surveys.reading import inspect, read_spectra, unreadable_rows
from engine.surveys.recognition import layouts
from engine.surveys.sdss.grid import SDSS_GRID
from engine.surveys.sdss.survey import SDSS
from engine.surveys.surveys import SURVEYS, reader_of, survey_on
from models.errors import ConfigurationError, InputError, QuarantineError
from models.grid import WavelengthGrid
from models.row_status import RowStatus
from models.spender.weights import INSTRUMENTS
from tests.engine.surveys.coadd_files import CoaddContent


def test_no_two_surveys_share_a_name_a_grid_a_reader_or_a_layout() -> None:
    for names in (
        [survey.name for survey in SURVEYS],
        [grid.name for survey in SURVEYS for grid in survey.grids],
        [reader.name for survey in SURVEYS for reader in survey.readers],
        [layout.name for layout in layouts()],
    ):
        assert set(Counter(names).values()) == {1}


def test_a_grid_and_a_reader_belong_to_one_survey() -> None:
    assert (survey_on(DESI_GRID), survey_on(SDSS_GRID)) == (DESI, SDSS)
    assert survey_on(WavelengthGrid("other", "linear", 4000.0, 1.0, 100)) is None
    assert reader_of("sdss-plate")[0] is SDSS
    with pytest.raises(ConfigurationError, match="There is no such reader") as caught:
        reader_of("other")
    assert caught.value.allowed == "desi-coadd, sdss-plate, sdss-spec"


def test_spenders_instruments_are_on_the_surveys_grids() -> None:
    assert {instrument.grid for instrument in INSTRUMENTS.values()} == {DESI_GRID, SDSS_GRID}


def test_a_file_of_no_survey_is_refused_with_the_files_that_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "other.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.ones((3, 4)), name="SPECTRA")]).writeto(path)
    with pytest.raises(QuarantineError) as caught:
        inspect(str(path))
    assert (caught.value.kind, caught.value.got) == ("not-a-spectrum", "HDUs SPECTRA")
    assert "DESI coadd-*.fits with redrock-*.fits or zbest-*.fits, SDSS spec-*" in caught.value.allowed


def test_rows_of_an_unreadable_file_have_the_keys_of_its_survey(tmp_path: Path) -> None:
    file = inspect(*CoaddContent(count=4).write(tmp_path))
    rows = unreadable_rows(file, 2, 4)
    assert rows.keys() == [f"{file.key_prefix}/-1#2", f"{file.key_prefix}/-1#3"]
    assert (rows["status"] == RowStatus.FILE_UNREADABLE).all()
    plate = unreadable_rows(replace(file, reader="sdss-plate", key_prefix="26/0266-51602"), 0, 1)
    assert plate.keys() == ["26/0266-51602/-1#0"]


def test_a_key_that_its_column_would_cut_is_refused(tmp_path: Path) -> None:
    file = inspect(*CoaddContent(count=2).write(tmp_path))
    with pytest.raises(QuarantineError, match=r"key 'x+/\d+' is longer than 160 characters") as caught:
        read_spectra(replace(file, key_prefix="x" * 150))
    assert caught.value.kind == "undecodable-file"


def test_names_that_their_columns_would_cut_are_refused(tmp_path: Path) -> None:
    name = "himalayas-2026-rerun-of-the-second-year"
    header = {"SURVEY": "main", "PROGRAM": "dark-and-bright-backup", "DEPNAM00": "SPECPROD"}
    file = inspect(*CoaddContent(header={**header, "DEPVER00": name}).write(tmp_path))
    assert (file.specprod, file.program) == (name, header["PROGRAM"])
    rows = read_spectra(file).rows
    assert (set(rows["specprod"]), set(rows["program"])) == ({name}, {header["PROGRAM"]})
    assert rows.keys()[0].startswith(f"{name}/main/dark-and-bright-backup/1/")
    long = "x" * 100  # goes on in a second card
    with pytest.raises(QuarantineError, match=f"specprod '{long}' is longer than 40 characters"):
        inspect(*CoaddContent(header={**header, "DEPVER00": long}).write(tmp_path))
    for kind in ("coadd", "redrock"):
        digest = hashlib.sha256((tmp_path / f"{kind}-main-dark-1.fits").read_bytes()).hexdigest()
        with (tmp_path / "redux_x.sha256sum").open("a") as sums:
            sums.write(f"{digest}  {kind}-main-dark-1.fits\n")
    with pytest.raises(InputError, match=f"specprod '{long}' is longer"):
        list_release([str(tmp_path)])


def test_a_class_that_its_column_would_cut_is_refused(tmp_path: Path) -> None:
    coadd, redrock = CoaddContent().write(tmp_path)
    with fits.open(redrock) as hdus:
        table = Table(hdus["REDSHIFTS"].data)
    table["SPECTYPE"] = ["GALAXY_OF_A_NEW_KIND"] * len(table)
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU(table, name="REDSHIFTS")]).writeto(
        redrock, overwrite=True
    )
    with pytest.raises(QuarantineError, match="spectype 'GALAXY_OF_A_NEW_KIND' is longer than 16"):
        read_spectra(inspect(coadd, redrock))
