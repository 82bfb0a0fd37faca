"""VOTables part by part are byte for byte those of a query."""

from __future__ import annotations

from pathlib import Path

import pytest
from astropy.table import Table

from engine.clustering.pipeline import cluster_store
from engine.clustering.settings import ClusteringSettings
from engine.export.votable import write_votable
from engine.query.astropy_table import votable_bytes
from engine.query.query import QuerySettings, answer
from engine.store.reading import StoreView
from models.errors import InputError
from tests.synthetic_store import SPECTRA, synthetic_store


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> StoreView:
    store = synthetic_store(tmp_path_factory.mktemp("votable") / "odd.zarr")
    cluster_store(store.url, ClusteringSettings(resamples=2, maximum=5))
    return StoreView.open(store.url)


@pytest.mark.parametrize("part_rows", [37, SPECTRA])
def test_parts_join_to_the_table_of_the_query(view: StoreView, tmp_path: Path, part_rows: int) -> None:
    done = write_votable(view, QuerySettings(status="any"), tmp_path / "odd.vot", part_rows=part_rows)
    by_row = QuerySettings(status="any", order=("row",))
    assert (tmp_path / "odd.vot").read_bytes() == votable_bytes(answer(view, by_row))
    assert (done.spectra, done.left_out) == (SPECTRA, ())


@pytest.mark.filterwarnings("ignore::astropy.units.UnitsWarning")
def test_a_selection_with_a_largest_number_is_that_of_the_query(view: StoreView, tmp_path: Path) -> None:
    settings = QuerySettings(where="z < 0.2", top=5, order=("snr:desc",))
    write_votable(view, settings, tmp_path / "few.vot", part_rows=2)
    found = Table.read(tmp_path / "few.vot")
    assert sorted(found["key"]) == sorted(answer(view, settings)["key"])


def test_an_answer_without_rows_is_still_a_votable(view: StoreView, tmp_path: Path) -> None:
    none = QuerySettings(where="z > 100")
    content = votable_bytes(answer(view, none))
    assert content.startswith(b"<?xml")
    assert content.rstrip().endswith(b"</VOTABLE>")
    with pytest.raises(InputError, match="Nothing of the selection can be exported"):
        write_votable(view, none, tmp_path / "none.vot")
    (tmp_path / "there.vot").touch()
    with pytest.raises(InputError, match="there is something of that name"):
        write_votable(view, QuerySettings(), tmp_path / "there.vot")
