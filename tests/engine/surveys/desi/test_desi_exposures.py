"""Exposures of DESI targets: as a slow reading finds them, and told where the table is odd."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.simulation.release import SimulatedRelease, simulate_release
from engine.simulation.settings import SimulationSettings
from engine.spectra.exposure_remarks import ExposureRemark, counted_remarks
from engine.spectra.rows import Rows
from engine.surveys.desi.exposure_table import LISTED, ExposureTable
from engine.surveys.desi.target_classes import target_classes
from engine.surveys.listing import list_release
from engine.surveys.reading import inspect, open_spectra, read_spectra
from models.row_status import RowStatus
from tests.engine.surveys.coadd_files import CoaddContent, contents, with_redshifts

Exposures = list[tuple[int, ...]]


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> SimulatedRelease:
    made = SimulationSettings("desi", 60, seed=4, broken_fraction=0.1, resolution=False, spectra_per_file=60)
    return simulate_release(made, tmp_path_factory.mktemp("exposures") / "release")


def rows_of(release: SimulatedRelease) -> tuple[Rows, Any]:
    (file,) = list_release([str(release.path)]).files
    with fits.open(file.url) as hdus:
        return read_spectra(file).rows, hdus["EXP_FIBERMAP"].data.copy()


def slow(listed: Exposures) -> tuple[Any, ...]:
    """Fibre, petal, tiles, first and last night, count and list of a target's exposures."""
    listed = sorted(set(listed), key=lambda each: (each[1], each[2], each[0], each[3], each[4]))
    counts = Counter(each[3:] for each in listed)
    fiber, petal = min(counts, key=lambda each: (-counts[each], each))
    tiles = " ".join(str(tile) for tile in sorted({each[0] for each in listed}) if tile >= 0)
    text = " ".join("/".join(map(str, each)) for each in listed)
    return fiber, petal, tiles, listed[0][1], listed[-1][1], len(listed), text


COLUMNS = ("fiber", "petal", "tiles", "night_first", "night_last", "exposure_count", "exposures")


def found(rows: Any, row: int) -> tuple[Any, ...]:
    return tuple(rows[name][row] for name in COLUMNS)


def test_simulated_targets_have_the_exposures_of_the_table(release: SimulatedRelease) -> None:
    rows, table = rows_of(release)
    numbers = [table[name].tolist() for name in ("TARGETID", *LISTED)]
    for row, target in enumerate(rows["target_id"].tolist()):
        listed = [each[1:] for each in zip(*numbers, strict=True) if each[0] == target]
        expected = slow(listed)
        stuck = target < 0  # COADD_NUMEXP counts exposures that were coadded
        assert found(rows, row) == (*expected[:5], 0 if stuck else expected[5], expected[6])
    assert not rows["exposure_remarks"].any()
    assert {"BGS_ANY", "SKY"} <= set(rows["target_class"].tolist())


def test_simulated_targets_have_several_tiles_nights_and_fibres(release: SimulatedRelease) -> None:
    rows, table = rows_of(release)
    several = rows["exposure_count"] > 1
    assert several.sum() > 10
    assert (rows["night_last"] > rows["night_first"])[several].sum() > 5
    assert sum(" " in tiles for tiles in rows["tiles"]) > 5
    assert (table["FIBER"] // 500 == table["PETAL_LOC"]).all()
    # A fibre sees one target in an exposure.
    seen = Counter(zip(table["EXPID"].tolist(), table["FIBER"].tolist(), strict=True))
    assert max(seen.values()) == 1
    night_of = {(each["EXPID"], each["NIGHT"], each["TILEID"]) for each in table}
    assert len(night_of) == len(set(table["EXPID"].tolist()))


def test_any_rows_are_those_of_the_whole(release: SimulatedRelease) -> None:
    (file,) = list_release([str(release.path)]).files
    whole = read_spectra(file)
    with open_spectra(file, 10, 20) as spectra:
        for start, stop in ((10, 20), (12, 15), (0, 30), (55, 60), (20, 20)):
            assert contents(spectra.read(start, stop).rows) == contents(whole.rows.take(slice(start, stop)))


number = st.integers(-1, 3)


@given(st.lists(st.tuples(st.integers(-2, 4), number, number, number, number, number), max_size=30))
@settings(max_examples=60, deadline=None)
def test_any_table_is_what_a_slow_reading_makes_of_it(exposures: Sequence[tuple[int, ...]]) -> None:
    names = ("TARGETID", *LISTED)
    array = np.array(exposures, dtype=np.int64).reshape(-1, len(names))
    table = ExposureTable.of_columns({name: array[:, place] for place, name in enumerate(names)}, 0)
    rows = Rows.empty(8).data
    rows["target_id"] = targets = np.arange(-3, 5)
    table.fill(rows, {})
    for row, target in enumerate(targets.tolist()):
        listed = [each[1:] for each in exposures if each[0] == target]
        remarks = ExposureRemark(int(rows["exposure_remarks"][row]))
        if not listed:
            assert (*found(rows, row), remarks) == (-1, -1, "", -1, -1, -1, "", ExposureRemark.NOT_LISTED)
            continue
        assert found(rows, row) == slow(listed)
        twice = ExposureRemark.LISTED_TWICE if len(set(listed)) < len(listed) else ExposureRemark(0)
        assert remarks == twice


def read_with(table: list[fits.Column] | None, directory: Path, more: Sequence[fits.Column] = ()) -> Rows:
    """The rows of a coadd of 4 targets with such a table of exposures, and further columns of FIBERMAP."""
    content = CoaddContent(count=4, arms=("B",))
    coadd, redrock = content.write(directory)
    hdus = content.hdus()
    if more:
        columns = fits.ColDefs([*hdus["FIBERMAP"].columns, *more])
        hdus[1] = fits.BinTableHDU.from_columns(columns, name="FIBERMAP")
    if table is not None:
        hdus.insert(2, fits.BinTableHDU.from_columns(table, name="EXP_FIBERMAP"))
    hdus.writeto(coadd, checksum=True, overwrite=True)
    rows = read_spectra(inspect(coadd, redrock)).rows
    assert (rows["status"] == RowStatus.SCORED).all()
    return rows


def columns(form: str = "J", **replaced: Any) -> list[fits.Column]:
    """A table with two exposures of each of the 4 targets, of which all but TARGETID have one form."""
    target = np.repeat(CoaddContent(count=4, arms=("B",)).targetid, 2)
    values = {
        "TILEID": np.full(8, 80),
        "NIGHT": np.tile([20210601, 20210602], 4),
        "EXPID": np.tile([7, 9], 4),
        "FIBER": np.repeat([10, 11, 12, 13], 2),
        "PETAL_LOC": np.full(8, 3),
        **replaced,
    }
    made = [fits.Column(name, form, array=array) for name, array in values.items() if array is not None]
    return [fits.Column("TARGETID", "K", array=target), *made]


def remarks(rows: Rows) -> dict[str, int]:
    return dict(counted_remarks(rows["exposure_remarks"]))


def test_a_plain_table(tmp_path: Path) -> None:
    rows = read_with(columns(), tmp_path)
    assert remarks(rows) == {}
    assert rows["exposures"].tolist()[1] == "80/20210601/7/11/3 80/20210602/9/11/3"
    assert rows["exposure_count"].tolist() == [2, 2, 2, 2]


def test_no_table_says_so(tmp_path: Path) -> None:
    rows = read_with(None, tmp_path)
    assert remarks(rows) == {"exposures_no_table": 4}
    assert set(rows["exposures"].tolist()) == {""} == set(rows["tiles"].tolist())
    for name in ("fiber", "petal", "night_first", "night_last", "exposure_count", "spectrograph"):
        assert (rows[name] == -1).all()


@pytest.mark.parametrize("form", ["D", "20A", None])
def test_targets_that_are_no_integers_are_no_table(tmp_path: Path, form: str | None) -> None:
    table = columns()
    if form is None:
        del table[0]
    else:
        table[0] = fits.Column("TARGETID", form, array=np.arange(8).astype("U" if "A" in form else float))
    rows = read_with(table, tmp_path)
    assert remarks(rows) == {"exposures_no_table": 4}


def test_an_image_of_that_name_is_no_table(tmp_path: Path) -> None:
    content = CoaddContent(count=4, arms=("B",))
    coadd, redrock = content.write(tmp_path)
    hdus = content.hdus()
    hdus.append(fits.ImageHDU(np.ones((3, 4)), name="EXP_FIBERMAP"))
    hdus.writeto(coadd, checksum=True, overwrite=True)
    assert remarks(read_spectra(inspect(coadd, redrock)).rows) == {"exposures_no_table": 4}


def test_a_column_that_vanished_is_unknown(tmp_path: Path) -> None:
    rows = read_with(columns(NIGHT=None), tmp_path)
    assert remarks(rows) == {"exposures_no_column": 4}
    assert rows["exposures"].tolist()[0] == "80/-1/7/10/3 80/-1/9/10/3"
    assert (rows["night_first"] == -1).all()
    assert rows["fiber"].tolist() == [10, 11, 12, 13]


@pytest.mark.parametrize("form", ["E", "2J", "6A"])
def test_columns_of_another_type_are_unknown(tmp_path: Path, form: str) -> None:
    table = columns()
    values = np.full((8, 2), 5) if form == "2J" else np.full(8, "5" if "A" in form else 5)
    table[4] = fits.Column("FIBER", form, array=values)
    rows = read_with(table, tmp_path)
    assert remarks(rows) == {"exposures_no_column": 4}
    assert (rows["fiber"] == -1).all()
    assert rows["exposures"].tolist()[0] == "80/20210601/7/-1/3 80/20210602/9/-1/3"


def test_numbers_that_nothing_has_are_unknown(tmp_path: Path) -> None:
    fiber = np.array([2**40, 2**40, -7, -7, 12, 12, 13, 13])
    rows = read_with(columns("K", FIBER=fiber), tmp_path)
    assert rows["fiber"].tolist() == [-1, -1, 12, 13]


def test_a_target_that_is_not_listed_and_an_exposure_that_is_listed_twice(tmp_path: Path) -> None:
    table = columns()
    target = np.repeat(CoaddContent(count=4, arms=("B",)).targetid, 2)
    target[:2] = 1
    table[0] = fits.Column("TARGETID", "K", array=target)
    table[3] = fits.Column("EXPID", "J", array=np.array([7, 9, 7, 9, 8, 8, 7, 9]))
    table[2] = fits.Column("NIGHT", "J", array=np.full(8, 20210601))
    rows = read_with(table, tmp_path)
    assert remarks(rows) == {"exposures_listed_twice": 1, "exposures_not_listed": 1}
    assert rows["exposures"].tolist()[0] == ""
    assert rows["exposures"].tolist()[2] == "80/20210601/8/12/3"


def test_an_empty_table_lists_nothing(tmp_path: Path) -> None:
    table = [fits.Column(name, "K", array=np.empty(0, np.int64)) for name in ("TARGETID", *LISTED)]
    assert remarks(read_with(table, tmp_path)) == {"exposures_not_listed": 4}


def test_what_the_fibermap_alone_says(tmp_path: Path) -> None:
    """As of a tile: its fibermap has the fibre, whatever became of the table of exposures."""
    more = [
        fits.Column("FIBER", "J", array=np.array([1, 2, 3, 4])),
        fits.Column("PETAL_LOC", "I", array=np.array([0, 0, 0, 9])),
        fits.Column("TILEID", "J", array=np.full(4, 80693)),
        fits.Column("COADD_NUMEXP", "I", array=np.array([4, 5, 6, 7])),
        fits.Column("DESI_TARGET", "K", array=np.array([1, 2 | 1 << 60, 1 << 62, 1 << 49])),
    ]
    rows = read_with(None, tmp_path, more)
    assert rows["fiber"].tolist() == [1, 2, 3, 4]
    assert rows["petal"].tolist() == [0, 0, 0, 9]
    assert rows["tiles"].tolist() == ["80693"] * 4
    assert rows["exposure_count"].tolist() == [4, 5, 6, 7]
    assert rows["target_class"].tolist() == ["LRG", "ELG BGS_ANY", "SCND_ANY", ""]


def test_odd_columns_of_the_fibermap_are_left_out(tmp_path: Path) -> None:
    more = [
        fits.Column("FIBER", "D", array=np.full(4, 1.5)),
        fits.Column("COADD_NUMEXP", "3A", array=np.full(4, "two")),
        fits.Column("DESI_TARGET", "E", array=np.full(4, 1.0)),
    ]
    rows = read_with(None, tmp_path, more)
    assert (rows["fiber"] == -1).all()
    assert (rows["exposure_count"] == -1).all()
    assert set(rows["target_class"].tolist()) == {""}


def test_bits_of_every_survey_name_classes() -> None:
    fibermap = {"DESI_TARGET": np.array([0, -1]), "SV1_DESI_TARGET": np.array([4, 1 << 61])}
    assert target_classes(fibermap, 2) == ["QSO", "MWS_ANY"]
    assert target_classes({}, 2) == ["", ""]


@pytest.mark.parametrize(
    ("name", "count", "first", "tiles"),
    [
        ("coadd-4-80613-thru20210324.fits", 30, "80613/", {"80613"}),
        ("coadd-sv3-dark-26065.fits", 2, "", set()),
        ("coadd-1-80693-thru20210204.fits", -1, "", {"80693"}),
    ],
)
def test_real_coadds(
    real_data: Path, tmp_path: Path, name: str, count: int, first: str, tiles: set[str]
) -> None:
    path = with_redshifts(real_data / "real" / "desi" / name, tmp_path)
    rows = read_spectra(inspect(path, "")).rows
    with fits.open(path) as hdus:
        table = hdus["EXP_FIBERMAP"].data if "EXP_FIBERMAP" in hdus else None
        if table is None:
            assert set(rows["exposure_remarks"].tolist()) == {ExposureRemark.NO_TABLE}
        else:
            for row, target in enumerate(rows["target_id"].tolist()):
                same = table[table["TARGETID"] == target]
                listed = [tuple(int(each[key]) for key in LISTED) for each in same]
                expected = slow(listed)
                assert found(rows, row)[:5] == expected[:5]
                assert rows["exposures"][row] == expected[6]
            assert max(len(each.split()) for each in rows["exposures"]) >= count
    assert tiles <= set(rows["tiles"].tolist())
    assert rows["exposures"][0].startswith(first)
