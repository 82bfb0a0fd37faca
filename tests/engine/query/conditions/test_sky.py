"""Conditions of the sky: cones and regions find what astropy says is inside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import astropy.units as u
import duckdb
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.query.conditions import moc as moc_module
from engine.query.conditions.condition import Condition
from engine.query.conditions.moc import Moc, read_moc
from engine.query.conditions.near import Cone, parse_cone
from engine.spectra.sky_position import healpix_29
from models.errors import ConfigurationError, ErrorKind, InputError


def positions() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Over the whole sky, and thick at poles and at the seam of right ascension."""
    random = np.random.default_rng(3)
    ra = np.concatenate(
        [random.uniform(0, 360, 2000), random.uniform(-0.1, 0.1, 1000) % 360, [0, 0, 10, 360]]
    )
    dec = np.degrees(np.arcsin(random.uniform(-1, 1, 3000)))
    dec[1500:2000] = 90 - random.uniform(0, 0.1, 500)
    dec[2000:2500] = random.uniform(-0.1, 0.1, 500)
    return ra, np.concatenate([dec, [90, -90, 0, 0]])


RA, DEC = positions()
HEALPIX = healpix_29(RA, DEC)


@pytest.fixture(scope="module")
def sky() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE sky (number INTEGER, ra DOUBLE, dec DOUBLE, healpix_29 BIGINT)")
        frame = {"number": np.arange(len(RA)), "ra": RA, "dec": DEC, "healpix_29": HEALPIX}
        connection.execute("INSERT INTO sky SELECT * FROM frame")
        nowhere = [[-1, None, None, None], [-2, np.nan, np.nan, -1], [-3, np.inf, 0.0, -1]]
        connection.executemany("INSERT INTO sky VALUES (?, ?, ?, ?)", nowhere)
        assert frame
        yield connection


def found(sky: duckdb.DuckDBPyConnection, condition: Condition) -> list[int]:
    sql = f"SELECT number FROM sky WHERE {condition.sql} ORDER BY number"  # noqa: S608 - what is tested
    return [number for (number,) in sky.execute(sql, list(condition.parameters)).fetchall()]


angles = st.one_of(st.floats(1e-4, 180), st.sampled_from([0.05, 0.1, 5 / 3600, 90.0, 89.95, 180.0]))


@given(
    st.one_of(st.floats(0, 360, exclude_max=True), st.sampled_from([0.0, 0.05, 359.95])),
    st.one_of(st.floats(-90, 90), st.sampled_from([90.0, -90.0, 89.95, 0.0])),
    angles,
)
@settings(max_examples=80, deadline=None)
def test_a_cone_holds_what_is_as_near_as_astropy_says(
    sky: duckdb.DuckDBPyConnection, ra: float, dec: float, radius: float
) -> None:
    distance = SkyCoord(ra * u.deg, dec * u.deg).separation(SkyCoord(RA * u.deg, DEC * u.deg)).deg
    inside = set(found(sky, Cone(ra, dec, radius).condition()))
    assert inside <= set(np.flatnonzero(distance <= radius + 1e-11).tolist())
    assert inside >= set(np.flatnonzero(distance <= radius - 1e-11).tolist())


def test_cones_at_the_seam_and_the_pole_hold_what_lies_across(sky: duckdb.DuckDBPyConnection) -> None:
    for ra, dec, radius in ((0.01, 0.0, 0.02), (359.99, 0.0, 0.02), (0.0, 0.0, 1e-9), (123.0, 89.99, 0.05)):
        distance = SkyCoord(ra * u.deg, dec * u.deg).separation(SkyCoord(RA * u.deg, DEC * u.deg)).deg
        wanted = np.flatnonzero(distance <= radius).tolist()
        assert wanted
        assert found(sky, Cone(ra, dec, radius).condition()) == wanted


@pytest.mark.parametrize(
    ("ra", "dec", "radius", "cone"),
    [
        ("150.1", "2.2", "5arcsec", (150.1, 2.2, 5 / 3600)),
        ("-0.5", "-2.2", "0.1deg", (359.5, -2.2, 0.1)),
        ("360", "+90", "2 arcmin", (0.0, 90.0, 2 / 60)),
        ("10:00:24.0", "+02:12:00", "2'", (150.1, 2.2, 2 / 60)),
        ("10h00m24s", "2d12m", '5"', (150.1, 2.2, 5 / 3600)),
        ("10 00 24", "-0 30 36", "1e-3deg", (150.1, -0.51, 1e-3)),
        ("150d06m", "-00:30:36", "1°", (150.1, -0.51, 1.0)),
    ],
)
def test_positions_and_angles_are_read_as_they_are_written(
    ra: str, dec: str, radius: str, cone: tuple[float, float, float]
) -> None:
    read = parse_cone(ra, dec, radius)
    assert (read.ra, read.dec, read.radius) == pytest.approx(cone, abs=1e-12)


@pytest.mark.parametrize(
    ("ra", "dec", "radius", "what"),
    [
        ("150", "2", "5", "no unit"),
        ("150", "2", "", "no unit"),
        ("150", "2", "5parsec", "no unit"),
        ("150", "2", "0arcsec", "no angle above 0"),
        ("150", "2", "-1deg", "no angle above 0"),
        ("150", "2", "181deg", "no angle above 0"),
        ("150", "2", "1-2deg", "no angle above 0"),
        ("150", "2", "nandeg", "no unit"),
        ("400", "2", "5deg", "no right ascension"),
        ("nan", "2", "5deg", "no right ascension"),
        ("150", "-91", "5deg", "no declination"),
        ("150", "2h00m", "5deg", "no declination"),
        ("x", "2", "5deg", "no right ascension"),
        ("10:61:00", "2", "5deg", "below 60"),
        ("", "2", "5deg", "no right ascension"),
    ],
)
def test_what_is_no_cone_is_refused(ra: str, dec: str, radius: str, what: str) -> None:
    with pytest.raises(ConfigurationError, match=what) as caught:
        parse_cone(ra, dec, radius)
    assert (caught.value.kind, caught.value.where) == (ErrorKind.SKY_POSITION, "--near")


def members(cells: list[tuple[int, int]]) -> list[int]:
    inside = np.zeros(len(HEALPIX), dtype=np.bool_)
    for order, pixel in cells:
        inside |= HEALPIX >> 2 * (29 - order) == pixel
    return np.flatnonzero(inside).tolist()


@st.composite
def regions(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Cells around positions of the sky, so that some hold one."""
    picked = draw(st.lists(st.tuples(st.integers(0, 29), st.integers(0, len(RA) - 1)), max_size=12))
    near = draw(st.integers(-1, 1))
    return [
        (order, max(0, min((int(HEALPIX[at]) >> 2 * (29 - order)) + near, (12 << 2 * order) - 1)))
        for order, at in picked
    ]


def as_ascii(cells: list[tuple[int, int]]) -> str:
    return " ".join(f"{order}/{pixel}" for order, pixel in cells) or "0/"


def as_json(cells: list[tuple[int, int]]) -> str:
    orders = sorted({order for order, _ in cells})
    return json.dumps({str(each): [pixel for order, pixel in cells if order == each] for each in orders})


def moc_file(path: Path, numbers: NDArray[np.integer], form: str, **header: str) -> str:
    column = fits.Column(name="UNIQ", format=form, array=numbers)
    table = fits.BinTableHDU.from_columns([column])
    table.header.update(header)
    table.writeto(path, overwrite=True)
    return str(path)


@given(regions())
@settings(max_examples=60, deadline=None)
def test_every_form_of_a_region_holds_the_same_positions(
    sky: duckdb.DuckDBPyConnection, tmp_path_factory: pytest.TempPathFactory, cells: list[tuple[int, int]]
) -> None:
    directory = tmp_path_factory.getbasetemp()
    uniq = np.array([(4 << 2 * order) + pixel for order, pixel in cells], dtype=np.int64)
    ranges = np.array(
        [[pixel << 2 * (29 - order), (pixel + 1) << 2 * (29 - order)] for order, pixel in cells],
        dtype=np.int64,
    ).reshape(-1)
    (directory / "moc.txt").write_text(as_ascii(cells) + "\n")
    given_as = [
        as_ascii(cells),
        as_json(cells),
        str(directory / "moc.txt"),
        moc_file(directory / "nuniq.fits", uniq, "K", ORDERING="NUNIQ", COORDSYS="C"),
        moc_file(directory / "range.fits", ranges, "K", ORDERING="RANGE", MOCDIM="SPACE"),
    ]
    for each in given_as:
        assert found(sky, read_moc(each).condition()) == members(cells)


def test_lists_and_ranges_of_cells_are_read_as_the_standard_writes_them(
    sky: duckdb.DuckDBPyConnection,
) -> None:
    cells = [(1, 1), (1, 2), (1, 4), (2, 1), (2, 7)]
    for text in ("1/1-2 4 2/1 7", "s1/1-2,4 2/1,7 29/", "1/1,2\n 4\n2/ 1 7", "1/2 2/7 1/1 1/4 1 2/1"):
        assert found(sky, read_moc(text).condition()) == members(cells)
    assert found(sky, read_moc("0/0-11").condition()) == list(range(len(RA)))


@given(st.lists(st.tuples(st.integers(3, 8), st.integers(0, 3000)), min_size=1, max_size=60))
@settings(max_examples=40, deadline=None)
def test_a_region_of_many_ranges_is_exact_too(
    sky: duckdb.DuckDBPyConnection, picked: list[tuple[int, int]]
) -> None:
    cells = [(order, int(HEALPIX[at]) >> 2 * (29 - order)) for order, at in picked]
    region = read_moc(as_ascii(cells))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moc_module, "MOST_RANGES", 3)
        condition = region.condition()
    assert found(sky, condition) == members(cells)
    again = read_moc(json.dumps({str(order): pixels.tolist() for order, pixels in region.cells().items()}))
    assert np.array_equal(again.starts, region.starts)
    assert np.array_equal(again.stops, region.stops)


def test_the_largest_cells_make_up_a_region() -> None:
    cells = read_moc("2/16-31 3/0-2").cells()
    assert {order: pixels.tolist() for order, pixels in cells.items()} == {0: [1], 3: [0, 1, 2]}


def test_a_region_without_cells_holds_nothing(sky: duckdb.DuckDBPyConnection) -> None:
    assert found(sky, Moc(np.empty(0, np.int64), np.empty(0, np.int64)).condition()) == []


@pytest.mark.parametrize(
    ("given_as", "what"),
    [
        ("no/such.fits", "cannot be read"),
        ("5/1 x", "cannot be read"),
        ("30/1", "no MOC"),
        ("1/48", "no MOC"),
        ("1/5-4", "no MOC"),
        ("1/1-2-3", "no MOC"),
        ('{"5": [1.5]}', "no MOC"),
        ('{"5": 1}', "no MOC"),
        ('{"x": [1]}', "no MOC"),
        ('{"5": [true]}', "no MOC"),
        ("{", "no MOC"),
        ('{"5": [-1]}', "no MOC"),
        ("a\x00b", "cannot be read"),
    ],
)
def test_what_is_no_region_is_refused(given_as: str, what: str) -> None:
    with pytest.raises(InputError, match=what) as caught:
        read_moc(given_as)
    assert caught.value.kind is ErrorKind.MOC


def test_files_that_are_no_region_are_refused(tmp_path: Path) -> None:
    numbers = np.array([4, 5], dtype=np.int64)
    for text, bad in {
        "not of the sky": moc_file(tmp_path / "time.fits", numbers, "K", ORDERING="RANGE", MOCDIM="TIME"),
        "COORDSYS G": moc_file(tmp_path / "galactic.fits", numbers, "K", ORDERING="NUNIQ", COORDSYS="G"),
        "column of": moc_file(tmp_path / "float.fits", numbers, "D", ORDERING="NUNIQ"),
        "cell 3": moc_file(tmp_path / "small.fits", numbers - 1, "K", ORDERING="NUNIQ"),
        r"cells \[5, 4\]": moc_file(tmp_path / "reversed.fits", numbers[::-1], "K", ORDERING="RANGE"),
        "3 numbers": moc_file(tmp_path / "odd.fits", np.arange(3), "K", ORDERING="RANGE"),
        "of >i4": moc_file(tmp_path / "narrow.fits", numbers, "J", ORDERING="RANGE"),
        "ORDERING OTHER": moc_file(tmp_path / "other.fits", numbers, "K", ORDERING="OTHER"),
    }.items():
        with pytest.raises(InputError, match=text):
            read_moc(bad)
    (tmp_path / "cut.fits").write_bytes((tmp_path / "odd.fits").read_bytes()[:3000])
    (tmp_path / "image.fits").write_bytes(b"\x89PNG")
    for name in ("cut.fits", "image.fits"):
        with pytest.raises(InputError, match="no MOC"):
            read_moc(str(tmp_path / name))
