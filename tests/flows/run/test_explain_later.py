"""Runs that explain no outlier, or the oddest: the others wait, and a later run ends in the same store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.query.query import QuerySettings, query
from engine.store.reading import StoreView
from engine.store.verify import verify
from flows.command_line import run_command
from flows.run.request import RunSummary
from flows.run_release import run_release
from infra.settings import Settings
from tests.small_run import small_options, small_request, tree_bytes

THRESHOLD = 0.1
"""Five outliers."""


def run(release: Path, model: Path, store: Path, top: int | None) -> RunSummary:
    request = replace(small_request(release, store, model), threshold=THRESHOLD, explain_top=top)
    return run_release(request, Settings())


@pytest.fixture(scope="module")
def whole(release: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of one run that explains everything."""
    store = tmp_path_factory.mktemp("whole") / "odd.zarr"
    assert run(release, model, store, None).store_waiting == 0
    return store


def test_a_ranked_list_first_and_the_maps_later(
    release: Path, model: Path, whole: Path, tmp_path: Path
) -> None:
    store = tmp_path / "odd.zarr"
    scored = run(release, model, store, 0)
    assert (scored.explained, scored.store_waiting) == (0, scored.outliers)
    assert scored.outliers > 4
    assert verify(str(store)).ok
    ranked, expected = query(str(store), QuerySettings()), query(str(whole), QuerySettings())
    assert not ranked["explained"].any()
    assert ranked["key"].tolist() == expected["key"].tolist()
    before = tree_bytes(store)
    again = run(release, model, store, 0)
    assert not again.did_something
    assert again.store_waiting == scored.outliers
    assert tree_bytes(store) == before
    later = run(release, model, store, 10_000)
    assert (later.spectra, later.explained, later.store_waiting) == (0, scored.outliers, 0)
    assert tree_bytes(store) == tree_bytes(whole)


def test_the_oddest_are_explained_first(release: Path, model: Path, whole: Path, tmp_path: Path) -> None:
    store = tmp_path / "odd.zarr"
    oddest = query(str(whole), QuerySettings()).sort_values(
        ["tail_probability", "score"], ascending=[True, False]
    )
    for top, new in ((2, 2), (5, 3), (3, 0)):
        done = run(release, model, store, top)
        assert (done.explained, done.did_something) == (new, new > 0)
        explained = query(str(store), QuerySettings())
        found = set(explained["key"][explained["explained"]])
        assert found == set(oddest["key"].head(max(top, len(found))))
        assert verify(str(store)).ok
    last = run(release, model, store, None)
    assert (last.explained, last.store_waiting) == (len(oddest) - 5, 0)
    assert not list((store / "staging").glob("*.safetensors"))
    here, there = (StoreView.open(str(place)) for place in (store, whole))
    for column in ("explained_score", "cause_probability"):
        one, other = (view.latest_explanations()[column].sort_index() for view in (here, there))
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_the_command_says_what_waits(
    release: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "odd.zarr"
    options = [str(release), *small_options(store, model)]
    assert run_command(["run", *options, "--score-only"]) == 0
    shown = capsys.readouterr()
    text = " ".join((shown.out + shown.err).split())
    assert "of the store wait for an explanation" in text
    assert f"whyspec query {store}" in text
    assert "whyspec cluster" not in text


def test_two_ways_to_say_how_many_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["run", "release", "--store", str(tmp_path / "s.zarr")]
    assert run_command([*options, "--score-only", "--explain-top", "3"]) == 64
    assert "Two options say how many outliers are explained" in capsys.readouterr().err
    assert run_command([*options, "--explain-top", "0"]) == 64
    assert "1 or more" in capsys.readouterr().err
