"""A store with several sets of explanations: shown, asked, reported and clustered by the name of the set."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import whyspec
from engine.attribution.agreement import agreement_of, rank_correlation
from engine.attribution.saliency import SaliencySettings
from engine.catalogue.building import update_catalogue
from engine.query.query import QuerySettings, count, query
from engine.report.page import write_report
from engine.store.reading import StoreView
from engine.store.snapshot import Snapshot
from engine.store.status import SetStatus, status_of
from engine.store.store import Store
from engine.store.verify import verify
from flows.command_line import run_command
from models.errors import InputError
from tests.synthetic_store import FIRST_TARGET, OUTLIER_BLOCK, SyntheticStore, add_set, synthetic_store

SHIFT = 40.0
SET_OUTLIERS = OUTLIER_BLOCK + 4
FIRST, LAST = f"iron/main/bright/{FIRST_TARGET + 1}", f"iron/main/bright/{FIRST_TARGET + 149}"
"""An outlier that both sets explain, and one that the run alone explains."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SyntheticStore:
    """With a catalogue, and a second set that explains the first twenty outliers."""
    store = synthetic_store(tmp_path_factory.mktemp("sets") / "odd.zarr")
    opened = Store.open(store.url)
    update_catalogue(opened, Snapshot.read(opened.ledger))
    add_set(store.url, SaliencySettings(), SHIFT, SET_OUTLIERS)
    assert verify(store.url).ok
    return store


@pytest.fixture(scope="module")
def store(made: SyntheticStore) -> whyspec.Store:
    return whyspec.open(made.url)


def test_a_query_gets_the_places_of_the_set(made: SyntheticStore) -> None:
    columns = ("key", "score", "explained", "cause", "place_wavelength", "line", "outlier_row")
    runs = query(made.url, QuerySettings(columns=columns, order=("row",)))
    found = query(made.url, QuerySettings(columns=columns, order=("row",), explanation="saliency"))
    pd.testing.assert_frame_equal(found[["key", "score"]], runs[["key", "score"]])
    assert found["explained"].tolist() == [True] * SET_OUTLIERS + [False] * (len(runs) - SET_OUTLIERS)
    shifted = runs["place_wavelength"][:SET_OUTLIERS] + SHIFT
    np.testing.assert_allclose(found["place_wavelength"][:SET_OUTLIERS], shifted)
    assert found["outlier_row"][:SET_OUTLIERS].tolist() == list(range(SET_OUTLIERS))
    assert set(found["cause"][:SET_OUTLIERS]) == {"unknown"}


def test_conditions_are_on_the_places_of_the_set(made: SyntheticStore) -> None:
    view = StoreView.open(made.url)
    place = float(made.place_wavelength[0])
    here, there = (f"{place + moved:.1f}+-1" for moved in (0.0, SHIFT))
    for observed, runs, others in ((here, True, False), (there, False, True)):
        for explanation, expected in (("default", runs), ("saliency", others)):
            asked = QuerySettings(keys=(FIRST,), observed=observed, explanation=explanation)
            assert count(view, asked) == int(expected)


def test_the_catalogue_is_not_taken_for_that_of_the_set(
    made: SyntheticStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["query", made.url, "--explanation", "saliency", "--json"]) == 0
    shown = capsys.readouterr()
    assert sum(each["explained"] for each in json.loads(shown.out)) == SET_OUTLIERS
    assert "catalogue lacks" not in shown.err


def test_show_has_all_one_under_the_other_and_says_where_they_agree(
    made: SyntheticStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figure = tmp_path / "why.png"
    assert run_command(["show", made.url, FIRST, "-o", str(figure), "--json"]) == 0
    shown = capsys.readouterr()
    told, text = json.loads(shown.out), shown.err
    assert (told["explanation"], told["method"]) == ("default", "occlusion")
    other = told["other_explanations"]["saliency"]
    assert other["method"] == "saliency"
    assert other["places"][0]["wavelength"] == pytest.approx(told["places"][0]["wavelength"] + SHIFT)
    (agreement,) = told["agreement"]
    assert (agreement["first"], agreement["second"], agreement["shared"]) == ("default", "saliency", [])
    assert text.index("Explanation default") < text.index("Explanation saliency") < text.index("Agreement")
    assert "0 of 1 places also among the 1 of saliency" in text
    assert figure.stat().st_size > 10_000


def test_show_has_one_where_one_is_asked_for_or_there(
    made: SyntheticStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["show", made.url, FIRST, "--explanation", "saliency", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["method"], "agreement" in told) == ("saliency", False)
    assert run_command(["show", made.url, LAST, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["method"], "agreement" in told) == ("occlusion", False)
    assert run_command(["show", made.url, LAST, "--explanation", "saliency"]) == 66
    assert "whyspec attribute" in capsys.readouterr().err


def test_an_unknown_name_tells_the_names_that_exist(
    made: SyntheticStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (["query"], ["cluster"], ["report", "-o", str(tmp_path / "odd.html")], ["show", FIRST]):
        name, *rest = command
        assert run_command([name, made.url, *rest, "--explanation", "lime"]) == 66
        assert "default, saliency" in " ".join(capsys.readouterr().err.split())


def test_python_has_the_sets_by_name(made: SyntheticStore, store: whyspec.Store) -> None:
    assert list(store.explanations) == ["default", "saliency"]
    found = store.explanations["saliency"]
    assert (found.method, len(found), found.scales) == ("saliency", SET_OUTLIERS, (1,))
    assert found.settings == SaliencySettings().to_dict()
    assert found.maps.sizes["outlier"] == SET_OUTLIERS
    assert found.outliers.window.values.tolist() == [1]
    assert store.maps.sizes["outlier"] == int(made.outlier.sum())
    runs, other = store.explanation(FIRST), store.explanation(FIRST, name="saliency")
    assert (runs.method, other.method) == ("occlusion", "saliency")
    np.testing.assert_array_equal(runs.flux, other.flux)
    assert (runs.score, runs.redshift) == (other.score, other.redshift)
    compared = store.compare(FIRST)
    (agreement,) = compared.agreement
    assert list(compared.explanations) == ["default", "saliency"]
    assert "saliency: by saliency: " in repr(compared)
    assert store.compare(LAST).agreement == ()
    maps = np.stack([each.combined[runs.ivar > 0] for each in (runs, other)])
    assert agreement.rank_correlation == rank_correlation(maps)
    assert "saliency: 20 by saliency" in repr(store)
    with pytest.raises(InputError, match="no explanations of that name"):
        store.explanations["lime"]
    answer = store.query(explanation="saliency", where="explained")
    assert len(answer) == SET_OUTLIERS


def test_places_are_shared_where_they_overlap(made: SyntheticStore) -> None:
    view = StoreView.open(made.url)
    one, other = view.outlier(0), view.with_explanation("saliency").outlier(0)
    same = agreement_of("a", "b", one, one)
    assert (same.rank_correlation, same.shared) == (pytest.approx(1), one.places)
    apart = agreement_of("a", "b", one, other)
    assert (apart.shared, apart.places) == ((), (1, 1))


def test_status_counts_the_sets(made: SyntheticStore, capsys: pytest.CaptureFixture[str]) -> None:
    status = status_of(made.url)
    assert status.sets == (SetStatus("saliency", "saliency", SET_OUTLIERS, 2, 2),)
    assert status.is_complete
    assert run_command(["status", made.url]) == 0
    assert f"{SET_OUTLIERS} outliers explained by saliency" in capsys.readouterr().out


def test_xarray_opens_a_set(made: SyntheticStore) -> None:
    group = "explanations/saliency/outliers"
    found = xr.open_zarr(made.url, group=group, consolidated=False)
    assert int((found.row >= 0).sum()) == SET_OUTLIERS
    assert found.window.attrs["units"] == "pixel"
    assert found.maps.dims == ("outlier", "window", "wavelength")
    attributes = xr.open_zarr(made.url, group="explanations/saliency", consolidated=False).attrs
    assert (attributes["method"], json.loads(attributes["settings"])) == (
        "saliency", SaliencySettings().to_dict(),
    )  # fmt: skip


def test_a_report_is_of_one_set(made: SyntheticStore, tmp_path: Path) -> None:
    page = tmp_path / "odd.html"
    write_report(made.url, page, top=1, explanation="saliency")
    text = page.read_text()
    assert "saliency, one of default, saliency" in text
    assert re.search(r"agreement with default.*\s.*rank correlation 1?0?\.?\d*", text)


def test_a_clustering_is_of_one_set(made: SyntheticStore, tmp_path: Path) -> None:
    url = str(tmp_path / "odd.zarr")
    copied = synthetic_store(Path(url))
    add_set(copied.url, SaliencySettings(), SHIFT, SET_OUTLIERS)
    assert run_command(["cluster", url, "--clusters", "1", "--explanation", "saliency"]) == 0
    view = StoreView.open(url)
    assert view.clusterings() == ("saliency",)
    found = query(url, QuerySettings(cluster=0, explanation="saliency", columns=("cluster", "explained")))
    assert 0 < len(found) <= SET_OUTLIERS
    assert found["explained"].all()
    assert query(url, QuerySettings(columns=("cluster",)))["cluster"].isna().all()
    with pytest.raises(InputError, match="clustering is of other explanations") as raised:
        query(url, QuerySettings(cluster=0, clustering="saliency"))
    assert "--explanation saliency" in raised.value.remedy
    assert whyspec.open(url).clusters("saliency").sizes["cluster"] == 1
    write_report(url, tmp_path / "runs.html", top=0)
    assert verify(url).ok
