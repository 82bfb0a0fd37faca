"""Match of a store: its numbers are those of brute force, its rows those of the store and the table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.catalogue import reading
from engine.match.match import Match, match
from engine.match.settings import MatchSettings
from engine.query.query import COLUMNS, QuerySettings, query
from engine.store.reading import StoreView
from engine.store.store import Store
from engine.surveys.sdss.grid import SDSS_GRID
from models.errors import ConfigurationError, ErrorKind, InputError
from tests.engine.store.store_builders import mark_superseded
from tests.synthetic_store import FIRST_TARGET, SPECTRA, SyntheticStore, synthetic_store

ARCSEC = 1 / 3600
REPEATS = {7: 6, 108: 5}
"""Rows of a target that an earlier row has: they are not scored."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SyntheticStore:
    return synthetic_store(tmp_path_factory.mktemp("match") / "odd.zarr", repeats=REPEATS)


@pytest.fixture(scope="module")
def frame(store: SyntheticStore) -> pd.DataFrame:
    """What was put into the store."""
    names = ("key", "target_id", "ra", "dec", "redshift", "status")
    frame = pd.DataFrame({name: store.rows[name] for name in names})
    frame = frame.assign(
        tail=store.tail, score=store.score, outlier=store.outlier, scored=frame["status"] == 1
    )
    order = frame[frame["scored"]].sort_values(["tail", "score"], ascending=[True, False]).index
    return frame.assign(rank=pd.Series(np.arange(1, len(order) + 1), index=order))


@pytest.fixture
def matched(store: SyntheticStore, tmp_path: Path) -> Callable[..., Match]:
    def of(table: pd.DataFrame, **options: object) -> Match:
        table.to_csv(tmp_path / "known.csv", index=False)
        asked = MatchSettings(**options)  # type: ignore[arg-type]
        return match(StoreView.open(store.url), tmp_path / "known.csv", asked)

    return of


def known_objects(frame: pd.DataFrame, chosen: list[int], **columns: object) -> pd.DataFrame:
    """A table of the objects of these rows, half an arcsec to the north."""
    names = frame.loc[chosen, ["target_id", "ra", "dec"]]
    return names.assign(dec=names["dec"] + 0.5 * ARCSEC, **columns)


@given(data=st.data())
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@pytest.mark.parametrize("by", ["position", "target_id"])
def test_numbers_of_classes_are_those_of_brute_force(
    frame: pd.DataFrame, matched: Callable[..., Match], by: str, data: st.DataObject
) -> None:
    rows = st.sampled_from([row for row in range(SPECTRA) if row not in (*REPEATS, *REPEATS.values())])
    chosen = data.draw(st.lists(rows, min_size=1, max_size=40, unique=True))
    classes = data.draw(st.lists(st.sampled_from("ab"), min_size=len(chosen), max_size=len(chosen)))
    top = data.draw(st.none() | st.integers(1, 200))
    radius = ARCSEC if by == "position" else None
    table = known_objects(frame, chosen, kind=classes)
    summary = matched(table, radius=radius, class_column="kind", top=top).summary
    outliers, scored = int(frame["outlier"].sum()), int(frame["scored"].sum())
    assert (summary.spectra, summary.scored, summary.outliers) == (SPECTRA, scored, outliers)
    oddest = outliers if top is None else min(top, scored)
    assert (summary.matched_by, summary.top) == (by, oddest)
    for each in (*summary.classes, summary.everything):
        of = frame.loc[[row for row, name in zip(chosen, classes, strict=True) if each.name in (name, "all")]]
        first = int((of["rank"] <= oddest).sum())
        counts = (len(of), len(of), int(of["scored"].sum()), int(of["outlier"].sum()), first)
        assert (each.objects, each.in_store, each.scored, each.outliers, each.oddest) == counts
        assert each.expected == pytest.approx(of["scored"].sum() * oddest / scored)
        if each.scored:
            assert each.recovery.value == each.outliers / each.scored
            assert each.enrichment.value == pytest.approx(first / each.expected)
            assert each.enrichment.low <= each.enrichment.value <= each.enrichment.high
    known = int(frame.loc[chosen, "outlier"].sum())
    assert (summary.known, summary.new) == (known, outliers - known)


def test_rows_have_what_the_store_and_the_table_say(
    store: SyntheticStore, frame: pd.DataFrame, matched: Callable[..., Match]
) -> None:
    chosen = [1, 2, 9, 10, 33]
    table = known_objects(frame, chosen, name=list("vwxyz"), kind=["a", "b", "", "a", "b"]).drop(
        columns="target_id"
    )
    found = matched(table, radius=ARCSEC, class_column="KIND")
    rows = found.matched().set_index("table_id")
    by_rank = frame.loc[chosen, "rank"].sort_values(na_position="last").index
    assert rows.index.tolist() == ["vwxyz"[chosen.index(row)] for row in by_rank]
    for place, row in enumerate(chosen):
        one, put = rows.loc["vwxyz"[place]], frame.loc[row]
        assert (one["key"], one["target_id"]) == (put["key"], put["target_id"])
        assert (one["table_row"], one["table_class"]) == (place, ["a", "b", "", "a", "b"][place])
        np.testing.assert_allclose(one["separation"], 0.5, rtol=1e-6)
        assert one["rank"] is pd.NA if np.isnan(put["rank"]) else one["rank"] == put["rank"]
        np.testing.assert_equal(one["tail_probability"], put["tail"])
    assert rows["rank"].dtype == "Int32"
    assert [each.name for each in found.summary.classes] == ["", "a", "b"]
    new = found.new()
    assert tuple(new.columns) == COLUMNS
    every = query(store.url, QuerySettings())
    pd.testing.assert_frame_equal(new, every[~every["key"].isin(rows["key"])].reset_index(drop=True))
    few = matched(table, radius=ARCSEC, top=5).new()
    assert few["key"].tolist() == [key for key in every["key"][:5] if key not in set(rows["key"])]


def test_several_spectra_of_an_object_all_match(frame: pd.DataFrame, matched: Callable[..., Match]) -> None:
    summary = matched(known_objects(frame, [5, 6, 9])).summary
    assert (summary.objects, summary.matched, summary.several_spectra) == (3, 5, 2)
    assert (summary.everything.in_store, summary.everything.spectra) == (3, 3)


def test_of_several_objects_the_nearest_counts(frame: pd.DataFrame, matched: Callable[..., Match]) -> None:
    there = frame.loc[[9, 9, 9, 13], ["ra", "dec"]]
    table = there.assign(dec=there["dec"] + np.array([0.6, 0.2, 0.4, 0.1]) * ARCSEC, name=list("abcd"))
    found = matched(table, radius=ARCSEC)
    assert sorted(found.matched()["table_id"]) == ["b", "d"]
    assert (found.summary.several_objects, found.summary.objects) == (1, 2)
    assert (found.summary.everything.objects, found.summary.everything.in_store) == (4, 2)


def test_repeated_rows_and_rows_without_a_name_are_counted(
    frame: pd.DataFrame, matched: Callable[..., Match]
) -> None:
    table = known_objects(frame, [9, 13, 9], kind=["a", "b", "c"]).astype({"target_id": "Int64"})
    table = pd.concat([table, pd.DataFrame({"ra": [np.nan, 5], "dec": [1, 99], "kind": ["a", "a"]})])
    for radius in (None, ARCSEC):
        summary = matched(table, radius=radius, class_column="kind").summary
        assert (summary.rows, summary.skipped, summary.repeated) == (5, 2, 1)
        assert summary.everything.objects == 2
        assert [each.name for each in summary.classes] == ["a", "b"]  # the first of equal rows counts


def test_spectra_are_selected_as_by_a_query(frame: pd.DataFrame, matched: Callable[..., Match]) -> None:
    low = frame["redshift"] < 0.15
    summary = matched(known_objects(frame, [9, 13, 17, 21]), where="z < 0.15").summary
    assert summary.spectra == int(low.sum())
    assert (summary.scored, summary.outliers) == (
        int(frame[low]["scored"].sum()),
        int(frame[low]["outlier"].sum()),
    )
    assert summary.everything.in_store == int(low[[9, 13, 17, 21]].sum())


def test_keys_match(frame: pd.DataFrame, matched: Callable[..., Match]) -> None:
    found = matched(pd.DataFrame({"key": [*frame.loc[[9, 13], "key"], "iron/main/dark/1/2"]}))
    assert sorted(found.matched()["key"]) == sorted(frame.loc[[9, 13], "key"])
    assert (found.summary.matched_by, found.summary.everything.objects) == ("key", 3)


def test_plate_mjd_and_fibre_match(matched: Callable[..., Match], monkeypatch: pytest.MonkeyPatch) -> None:
    fibres = {"spectra/plate": 266, "spectra/mjd": 51602}
    read = StoreView.read_blocks

    def read_blocks(view: StoreView, path: str, blocks: list[int]) -> np.ndarray:
        values = read(view, path, blocks)
        rows = view.numbers("score", blocks)
        return (
            rows.astype(np.int32)
            if path == "spectra/fiber"
            else np.full_like(values, fibres[path])
            if path in fibres
            else values
        )

    monkeypatch.setattr(StoreView, "read_blocks", read_blocks)
    table = pd.DataFrame({"plate": [266, 266, 266, 267, -1], "mjd": [51602] * 5, "fiberid": [3, 9, 3, 3, 3]})
    found = matched(table)
    assert found.found.pairs.rows.tolist() == [3, 9]
    assert found.matched()["table_id"].tolist() == ["266-51602-9", "266-51602-3"]
    assert (found.summary.skipped, found.summary.repeated, found.summary.column) == (
        1,
        1,
        "plate, mjd, fiberid",
    )
    texts = matched(pd.DataFrame({"plate-mjd-fiber": ["0266-51602-0009", "x"]}))
    assert (texts.found.pairs.rows.tolist(), texts.summary.skipped) == ([9], 1)


def test_unsigned_identifiers_match(tmp_path: Path) -> None:
    first = 2**63 + 5
    store = synthetic_store(
        tmp_path / "sdss.zarr", grid=SDSS_GRID, first_target=first - 2**64, spectra=20, outliers=False
    )
    (tmp_path / "known.csv").write_text(f"specobjid\n{first + 2}\n{first + 3}\n7\n")
    found = match(StoreView.open(store.url), tmp_path / "known.csv", MatchSettings())
    assert sorted(found.matched()["target_id"].tolist()) == [first + 2, first + 3]
    assert (found.summary.matched, found.summary.outliers, found.summary.top) == (2, 0, 0)
    assert np.isnan(found.summary.everything.enrichment.value)
    assert found.summary.everything.recovery.value == 0.0


def test_spectra_that_newer_ones_replace_are_left_out(tmp_path: Path) -> None:
    store = synthetic_store(tmp_path / "odd.zarr")
    mark_superseded(Store.open(store.url), [9])
    (tmp_path / "known.csv").write_text(f"targetid\n{FIRST_TARGET + 9}\n{FIRST_TARGET + 13}\n")
    found = match(StoreView.open(store.url), tmp_path / "known.csv", MatchSettings())
    assert (found.summary.matched, found.summary.spectra) == (1, SPECTRA - 1)
    assert found.matched()["target_id"].tolist() == [FIRST_TARGET + 13]


def test_parts_of_the_store_give_what_all_of_it_gives(
    frame: pd.DataFrame, matched: Callable[..., Match], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = known_objects(frame, list(range(0, SPECTRA, 3)))
    whole = matched(table, radius=ARCSEC)
    monkeypatch.setattr(reading, "_BATCH_ROWS", 16)
    parts = matched(table, radius=ARCSEC)
    assert parts.summary == whole.summary
    pd.testing.assert_frame_equal(parts.matched(), whole.matched())


def test_a_store_without_positions_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = synthetic_store(tmp_path / "odd.zarr", spectra=20)
    array = StoreView.open(nowhere.url)
    monkeypatch.setattr(
        StoreView, "read_blocks", _without_positions(StoreView.read_blocks)
    )  # files of own spectra have none
    (tmp_path / "known.csv").write_text("ra,dec\n1,2\n")
    with pytest.raises(
        InputError, match=r"The store has no positions[\s\S]*20 spectra, none[\s\S]*Match by name"
    ):
        match(array, tmp_path / "known.csv", MatchSettings(radius=ARCSEC))


def _without_positions(read: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    def read_blocks(view: StoreView, path: str, blocks: list[int]) -> np.ndarray:
        values = read(view, path, blocks)
        return np.full_like(values, np.nan) if path in ("spectra/ra", "spectra/dec") else values

    return read_blocks


@pytest.mark.parametrize(
    ("table", "options", "error"),
    [
        ("ra,dec\n1,2\n", {}, r"no column of identifiers; it has positions[\s\S]*--near 1arcsec"),
        ("name\nx\n", {}, r"no column of identifiers[\s\S]*got: name"),
        ("targetid\n5\n", {"id_column": "tid"}, "no column of that name"),
        ("targetid,kind\n5,a\n", {"class_column": "kinds"}, r"for classes[\s\S]*Did you mean kind\?"),
        ("targetid\n", {}, r"No row of the table can be matched[\s\S]*got: 0 rows"),
        ("ra,dec\nnan,2\n", {"radius": ARCSEC}, r"No row[\s\S]*column ra, dec[\s\S]*got: 1 rows"),
    ],
)
def test_tables_that_cannot_be_matched_are_refused(
    store: SyntheticStore, tmp_path: Path, table: str, options: dict[str, object], error: str
) -> None:
    (tmp_path / "known.csv").write_text(table)
    with pytest.raises(InputError, match=error):
        match(StoreView.open(store.url), tmp_path / "known.csv", MatchSettings(**options))  # type: ignore[arg-type]


def test_a_column_of_numbers_is_no_column_of_classes(matched: Callable[..., Match]) -> None:
    table = pd.DataFrame({"targetid": np.arange(1, 1200), "z": np.linspace(0, 1, 1199)})
    with pytest.raises(InputError, match=r"too many different values[\s\S]*1,199[\s\S]*up to 1,000"):
        matched(table, class_column="z")


@pytest.mark.parametrize(
    "where",
    [
        "tail < 0.1",
        "cause = 'unknown'",
        "score > 3 and z < 1",
        "mse_100 > 1",
        "latent_0 > 0",
        "explained",
        "cluster = 1",
    ],
)
def test_a_selection_by_oddness_is_refused(
    frame: pd.DataFrame, matched: Callable[..., Match], where: str
) -> None:
    with pytest.raises(ConfigurationError, match="looks at what makes spectra odd") as caught:
        matched(known_objects(frame, [9]), where=where)
    assert caught.value.kind is ErrorKind.MATCH_SETTINGS


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"radius": 0.2}, r"radius is too large[\s\S]*got: 12 arcmin[\s\S]*up to 10 arcmin"),
        ({"radius": 1.0, "id_column": "x"}, "too large"),
        ({"radius": ARCSEC, "id_column": "x"}, r"either by name or by position[\s\S]*--id and --near"),
        ({"ra": "a", "dec": "b"}, "without --near"),
        ({"radius": ARCSEC, "ra": "a"}, r"One column of a position[\s\S]*got: a, nothing"),
        ({"top": 0}, "not positive"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(options: dict[str, object], error: str) -> None:
    with pytest.raises(ConfigurationError, match=error):
        MatchSettings(**options)  # type: ignore[arg-type]


def test_a_table_of_names_before_the_data_is_not_taken(
    store: SyntheticStore, frame: pd.DataFrame, tmp_path: Path
) -> None:
    first = fits.BinTableHDU.from_columns([fits.Column("NAME", "5A", array=["a", "b"])], name="ABOUT")
    columns = [fits.Column(name, "D", array=frame.loc[[9, 13, 17], name]) for name in ("ra", "dec")]
    data = fits.BinTableHDU.from_columns([*columns, fits.Column("NAME", "5A", array=["x", "y", "z"])])
    fits.HDUList([fits.PrimaryHDU(), first, data]).writeto(tmp_path / "known.fits")
    found = match(StoreView.open(store.url), tmp_path / "known.fits", MatchSettings(radius=ARCSEC))
    assert (found.summary.rows, found.summary.matched) == (3, 3)
    assert set(found.matched()["table_id"]) == {""}  # the column of that name is of another table
