"""A store's catalogue: answers are those of the arrays, whatever it holds; nothing stale, nothing partial."""

from __future__ import annotations

import shutil
from dataclasses import asdict, replace
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from engine.attribution.explanation import Explanations
from engine.attribution.method import Units
from engine.catalogue.block_tables import block_table
from engine.catalogue.building import CatalogueUpdate, update_catalogue
from engine.catalogue.columns import catalogue_columns
from engine.catalogue.reading import Catalogue
from engine.query.query import QuerySettings, count, query
from engine.spectra.scored_spectra import SelectedSpectra
from engine.store.blocks import BlockResult
from engine.store.catalogue_manifest import MANIFEST, read_manifest
from engine.store.checksummed import checksummed
from engine.store.reading import StoreView
from engine.store.saved_plans import AttributionPlan
from engine.store.schema import ARRAYS, FLAGS
from engine.store.snapshot import Snapshot
from engine.store.store import Store
from models.errors import InputError, RetryError, StoreError
from tests.engine.clustering.synthetic import SMALL_GRID
from tests.engine.store.store_builders import mark_superseded
from tests.synthetic_store import FIRST_TARGET, OUTLIER_BLOCK, WINDOWS, SyntheticStore, synthetic_store

SETTINGS = (
    QuerySettings(),
    QuerySettings(top=5, redshift=(0.05, 0.25), order=("snr:desc",)),
    QuerySettings(target_ids=tuple(range(FIRST_TARGET, FIRST_TARGET + 70)), keys=("nowhere",)),
    QuerySettings(keys=(f"iron/main/bright/{FIRST_TARGET + 140}", f"iron/main/bright/{FIRST_TARGET + 2}")),
    QuerySettings(status="any", columns=("key", "status", "latent_1", "mse_100", "places", "estimates")),
    QuerySettings(status="sky_fibre"),
    QuerySettings(line="Halpha", cautions=("edge",)),
    QuerySettings(place="OIII", where="z < 0.2 and tail < 0.005"),
    QuerySettings(observed="6900+-150", classes=("galaxy",), snr=(1.0, np.inf)),
    QuerySettings(zwarn=0, fibers=(-1,), superseded=True, top=3),
)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> SyntheticStore:
    """A store without a catalogue."""
    return synthetic_store(tmp_path_factory.mktemp("catalogue") / "odd.zarr", failed=frozenset({9}))


@pytest.fixture
def url(plain: SyntheticStore, tmp_path: Path) -> Path:
    """A copy of it."""
    copy = tmp_path / "odd.zarr"
    shutil.copytree(plain.url, copy)
    return copy


def built(url: Path, *, blocks: int | None = None, anew: str = "") -> CatalogueUpdate:
    """A catalogue of the store, of its first blocks if so asked."""
    store = Store.open(str(url))
    snapshot = Snapshot.read(store.ledger)
    some = replace(
        snapshot,
        scored=dict(list(snapshot.scored.items())[:blocks]),
        explained=dict(list(snapshot.explained.items())[:blocks]),
    )
    return update_catalogue(store, some, anew=anew)


def files(url: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (url / "catalogue").glob("*.parquet")}


def without_arrays(url: Path) -> None:
    for group in ("spectra", "scores", "outliers"):
        shutil.rmtree(url / group)


def test_answers_do_not_depend_on_what_the_catalogue_holds(plain: SyntheticStore, url: Path) -> None:
    expected = [query(plain.url, settings) for settings in SETTINGS]
    assert all(len(each) for each in expected)
    for blocks in (1, 2, None):
        built(url, blocks=blocks)
        for settings, then in zip(SETTINGS, expected, strict=True):
            pd.testing.assert_frame_equal(query(str(url), settings), then)
            there = then[then["status"] != "not_in_store"] if "status" in then else then
            if settings.top is None:
                assert count(StoreView.open(str(url)), settings) == len(there)


def test_a_whole_catalogue_answers_without_arrays_and_without_entries_of_blocks(
    plain: SyntheticStore, url: Path
) -> None:
    expected = [query(plain.url, settings) for settings in SETTINGS]
    built(url)
    without_arrays(url)
    for entry in (url / "ledger" / "score").iterdir():
        entry.write_bytes(b"?" * entry.stat().st_size)  # told by verify; no query needs it
    for settings, then in zip(SETTINGS, expected, strict=True):
        pd.testing.assert_frame_equal(query(str(url), settings), then)


def test_every_value_of_the_arrays_is_in_the_files(plain: SyntheticStore, url: Path) -> None:
    built(url)
    view = StoreView.open(plain.url)
    catalogue = Catalogue.of(StoreView.open(str(url)))
    for kind in ("score", "attribution"):
        columns = catalogue_columns(kind, view.configuration)
        blocks = list(view.scored if kind == "score" else view.explained)
        arrays = block_table(view, kind, blocks, columns)
        paths = [
            url / file.object.path for part in catalogue.parts for file in part.files if part.kind == kind
        ]
        tables = pd.concat([pq.read_table(path).to_pandas() for path in paths])
        number = columns[0].name
        then, now = arrays.to_pandas(), tables.sort_values(number).reset_index(drop=True)
        pd.testing.assert_frame_equal(now, then)
        covered = {column.path for column in columns}
        left_out = {spec.path for spec in ARRAYS if spec.kind == kind} - covered
        flags = {spec.path for spec in FLAGS.values()} if kind == "score" else set()
        assert left_out == flags | {
            spec.path for spec in ARRAYS if spec.kind == kind and "wavelength" in spec.dims
        }
    described = pq.read_schema(paths[-1])
    assert described.field("place_width").metadata[b"unit"] == b"Angstrom"


def test_files_of_spectra_are_sorted_by_target_and_parted_by_outlier(url: Path) -> None:
    built(url)
    contents = {
        file.content: pq.read_table(url / file.object.path)
        for part in Catalogue.of(StoreView.open(str(url))).parts
        for file in part.files
    }
    for content in ("outliers", "others"):
        table = contents[content]
        assert (np.diff(table["target_id"].to_numpy()) >= 0).all()
        assert set(table["outlier"].to_pylist()) == {content == "outliers"}


def test_an_update_writes_what_is_new_and_small_parts_join_it(url: Path) -> None:
    first = built(url, blocks=1)
    assert (first.written, first.parts) == (64 + 16, 2)
    before = files(url)
    assert built(url, blocks=1).written == 0
    assert files(url) == before
    second = built(url)
    assert second.written == 150 + 38  # the first part is no larger than what is new, and joins it
    assert (second.rows, second.parts) == (150 + 38, 2)
    # What somebody may still be reading stays until the next update.
    assert before.items() <= files(url).items()
    built(url)
    assert not before.keys() & files(url).keys()


def test_a_large_part_is_kept_as_it_is(url: Path) -> None:
    built(url, blocks=2)
    before = files(url)
    done = built(url)
    assert done.written == (150 - 128) + (38 - 32)
    assert done.parts == 4
    assert before.items() <= files(url).items()


@pytest.fixture
def parted(url: Path) -> Path:
    """A store whose catalogue has two parts of spectra: of the first two blocks, and of the third."""
    built(url, blocks=2)
    built(url)
    return url


def names_of(view: StoreView, first: int, stop: int) -> list[tuple[int, str]]:
    table = view.table(("target_id", "key")).iloc[first:stop]
    return list(zip(table["target_id"].tolist(), table["key"], strict=True))


def test_a_spectrum_asked_for_by_name_is_sought_in_the_part_that_has_it(parted: Path) -> None:
    view = StoreView.open(str(parted))
    catalogue = Catalogue.of(view)
    for first, stop, blocks in ((0, 128, (0, 1)), (128, 150, (2,))):
        for identifier, key in names_of(view, first, stop):
            for name in (str(identifier), key):
                parts = catalogue.holding([name]).parts
                held = [tuple(block.index for block in each.blocks) for each in parts if each.kind == "score"]
                assert blocks in held
        assert sum(len(catalogue.holding([key]).parts) for _, key in names_of(view, first, stop)) <= (
            3.1 * (stop - first)  # with those of explanations
        )
    assert {part.kind for part in catalogue.holding(["nowhere"]).parts} == {"attribution"}


def test_files_without_a_spectrum_that_is_asked_for_are_not_opened(parted: Path) -> None:
    view = StoreView.open(str(parted))
    asked = QuerySettings(target_ids=(FIRST_TARGET + 3,), keys=(names_of(view, 70, 71)[0][1], "nowhere"))
    expected = query(str(parted), asked)
    (last,) = (part for part in Catalogue.of(view).parts if (part.kind, part.blocks[0].index) == ("score", 2))
    for path in (each.object.path for each in last.files):
        (parted / path).write_bytes(b"?" * (parted / path).stat().st_size)
    pd.testing.assert_frame_equal(query(str(parted), asked), expected)
    with pytest.raises(StoreError, match="catalogue is damaged"):
        query(str(parted), QuerySettings(status="any"))


def test_a_catalogue_without_filters_answers_and_is_kept(plain: SyntheticStore, parted: Path) -> None:
    objects = Store.open(str(parted)).objects
    manifest = read_manifest(objects, StoreView.open(plain.url).configuration)
    assert manifest is not None
    objects.delete(part.names.path for part in manifest.parts if part.names is not None)
    body = asdict(replace(manifest, parts=tuple(replace(part, names=None) for part in manifest.parts)))
    for part in body["parts"]:
        del part["names"]  # as it was before there were any
    objects.put(MANIFEST, checksummed(body))
    before = files(parted)
    assert (built(parted).written, files(parted)) == (0, before)
    for settings in SETTINGS:
        pd.testing.assert_frame_equal(query(str(parted), settings), query(plain.url, settings))


def test_flags_are_always_those_of_the_ledger(plain: SyntheticStore, url: Path) -> None:
    built(url)
    mark_superseded(Store.open(str(url)), [1, 2])
    asked = QuerySettings(target_ids=(FIRST_TARGET + 1, FIRST_TARGET + 3))
    assert query(str(url), asked)["status"].tolist() == ["no_redshift", "not_in_store"]
    every = query(str(url), replace(asked, superseded=True, columns=("target_id", "superseded")))
    assert dict(zip(every["target_id"] - FIRST_TARGET, every["superseded"], strict=True)) == {
        1: True,
        3: False,
    }
    assert len(query(str(url), QuerySettings())) == len(query(plain.url, QuerySettings())) - 1


def test_a_block_that_is_committed_again_otherwise_is_read_from_the_arrays(url: Path) -> None:
    built(url)
    expected = query(str(url), QuerySettings())
    entry = url / "ledger" / "score" / "00000001.json"
    entry.write_bytes(entry.read_bytes().replace(b'"checksum"', b' "checksum"'))  # another size
    catalogue = Catalogue.of(StoreView.open(str(url)))
    assert catalogue.lacking["score"] == (0, 1, 2)
    pd.testing.assert_frame_equal(query(str(url), QuerySettings()), expected)


@pytest.fixture
def torn(url: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store whose second update was killed before its manifest."""
    built(url, blocks=1)
    with monkeypatch.context() as patch:
        patch.setattr("engine.catalogue.building.save_manifest", _killed)
        with pytest.raises(KeyboardInterrupt):
            built(url)
    return url


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_kill_leaves_the_former_catalogue(plain: SyntheticStore, torn: Path) -> None:
    assert len(files(torn)) == 6  # those of either update
    assert Catalogue.of(StoreView.open(str(torn))).lacking == {"score": (1, 2), "attribution": (1, 2)}
    pd.testing.assert_frame_equal(query(str(torn), QuerySettings()), query(plain.url, QuerySettings()))
    assert built(torn).written == 150 + 38


def damaged_manifest(url: Path) -> None:
    path = url / "catalogue" / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"rows":38', b'"rows":37'))


def damaged_filter(url: Path) -> None:
    (path,) = (url / "catalogue").glob("*.names")
    data = path.read_bytes()
    path.write_bytes(bytes(255 - byte for byte in data))


def missing_file(url: Path) -> None:
    max((url / "catalogue").glob("*.parquet"), key=lambda path: path.stat().st_size).unlink()


def shortened_file(url: Path) -> None:
    for path in (url / "catalogue").glob("*.parquet"):
        path.write_bytes(path.read_bytes()[:-1])


def overwritten_files(url: Path) -> None:
    for path in (url / "catalogue").glob("*.parquet"):
        data = path.read_bytes()
        path.write_bytes(data[:4] + bytes(len(data) - 8) + data[-4:])


@pytest.mark.parametrize(
    ("damage", "got"),
    [
        (damaged_manifest, "checksum does not match"),
        (missing_file, "there is no such object"),
        (shortened_file, r"bytes, recorded are"),
        (overwritten_files, "."),
        (damaged_filter, "a name filter whose checksum does not match"),
    ],
)
def test_a_damaged_catalogue_is_told_and_made_anew(url: Path, damage: object, got: str) -> None:
    built(url)
    expected = query(str(url), QuerySettings())
    damage(url)  # type: ignore[operator]
    text = rf"catalogue is damaged[\s\S]*got: .*{got}[\s\S]*whyspec catalogue --anew"
    with pytest.raises(StoreError, match=text):
        query(str(url), QuerySettings(target_ids=(FIRST_TARGET,)))
    built(url, anew="it was asked for")
    pd.testing.assert_frame_equal(query(str(url), QuerySettings()), expected)


def test_the_catalogue_of_another_store_is_refused(url: Path, tmp_path: Path) -> None:
    other = synthetic_store(tmp_path / "other.zarr", root="elsewhere")
    built(url)
    built(Path(other.url))
    for path in (url / "catalogue").iterdir():
        path.unlink()
    shutil.copytree(Path(other.url) / "catalogue", url / "catalogue", dirs_exist_ok=True)
    with pytest.raises(StoreError, match=r"that of another store[\s\S]*plans that the ledger has not"):
        query(str(url), QuerySettings())
    assert built(url).anew.startswith("The catalogue is that of another store.")
    assert len(query(str(url), QuerySettings())) == 38


def test_a_store_elsewhere_answers_with_and_without_its_catalogue(plain: SyntheticStore, url: Path) -> None:
    memory = fsspec.filesystem("memory")
    built(url, blocks=2)
    try:
        for name, place in (("with", url), ("without", Path(plain.url))):
            memory.put(str(place), f"/catalogue-{name}.zarr", recursive=True)
            for settings in SETTINGS:
                found = query(f"memory://catalogue-{name}.zarr", settings)
                pd.testing.assert_frame_equal(found, query(plain.url, settings))
    finally:
        for name in ("with", "without"):
            memory.rm(f"/catalogue-{name}.zarr", recursive=True)


def test_a_process_that_lost_the_lock_writes_no_manifest(url: Path) -> None:
    def lost() -> None:
        raise RetryError("Another process took the store.")

    store = Store.open(str(url))
    store.ledger.guard = lost
    with pytest.raises(RetryError, match="took the store"):
        update_catalogue(store, Snapshot.read(store.ledger))
    assert not (url / "catalogue" / "manifest.json").exists()


def explained_again(url: Path) -> int:
    """Explain the first outlier once more, with another cause; its row."""
    store = Store.open(str(url))
    row = int(StoreView.open(str(url)).read("outliers/row")[0])
    plan = AttributionPlan(3, OUTLIER_BLOCK, (row,))
    (block,) = plan.blocks
    store.ledger.save_plan(plan)
    store.grow(0, plan.stop_block)
    flux = np.ones((1, SMALL_GRID.size), np.float32)
    selected = SelectedSpectra(np.array([row]), np.array([0.1]), flux, flux, np.zeros(1, np.int8))
    again = Explanations.unexplained(
        selected, SMALL_GRID, WINDOWS, Units(), np.array(["again"], object), np.array([FIRST_TARGET + row])
    )
    again = replace(again, cause=np.array(["sky_residuals"], object), explained_score=np.ones(1, np.float32))
    written = store.write_explanations(block, again)
    store.ledger.commit(BlockResult("attribution", 3, plan.digest, 1, (("scored", 1),), (), (), written))
    return row


def test_of_a_spectrum_explained_twice_the_latest_counts(url: Path) -> None:
    built(url)
    row = explained_again(url)
    columns = ("row", "cause", "outlier_row")
    for _ in range(2):
        every = query(str(url), QuerySettings(columns=columns))
        assert len(every) == 38
        found = query(str(url), QuerySettings(target_ids=(FIRST_TARGET + row,), columns=columns))
        assert found.iloc[0].tolist() == [row, "sky_residuals", 48]
        assert every[every["row"] == row].iloc[0].tolist() == [row, "sky_residuals", 48]
        assert query(str(url), QuerySettings(cause="sky_residuals", columns=columns))["row"].tolist() == [row]
        built(url)


def test_unknown_columns_and_orders_are_told(url: Path) -> None:
    for wrong in (QuerySettings(columns=("redshft",)), QuerySettings(order=("redshft",))):
        with pytest.raises(InputError, match=r"no column of that name[\s\S]*Did you mean redshift"):
            query(str(url), wrong)
