"""Showing and drawing an explanation that a store keeps, without the spectrum's file."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from engine.attribution.significance import chance_sigma
from engine.catalogue.building import update_catalogue
from engine.store.schema import EXPLANATIONS
from engine.store.snapshot import Snapshot
from engine.store.store import Store
from flows.command_line import run_command
from models.row_status import RowStatus
from tests.servers.http_ranges import RangeServer
from tests.synthetic_store import FIRST_TARGET, SyntheticStore, synthetic_store

EXPLAINED, SCORED, UNSCORED = FIRST_TARGET + 1, FIRST_TARGET + 2, FIRST_TARGET + 3


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SyntheticStore:
    return synthetic_store(tmp_path_factory.mktemp("show") / "odd.zarr")


def test_it_is_shown_as_json_and_drawn(
    store: SyntheticStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figure = tmp_path / "why.png"
    assert run_command(["show", store.url, str(EXPLAINED), "-o", str(figure), "--json"]) == 0
    shown = capsys.readouterr()
    told = json.loads(shown.out)
    place = store.rows["target_id"].tolist().index(EXPLAINED)
    assert told["key"] == f"iron/main/bright/{EXPLAINED}"
    assert told["target_id"] == str(EXPLAINED)
    assert told["source"] == store.source[place]
    assert not Path(told["source"]).exists()
    assert told["score"] == store.score[place]
    assert told["attribution_unit"] == "nat"
    assert told["tail_probability"] == store.tail[place]
    (told_place,) = told["places"]
    number = np.flatnonzero(store.outlier).tolist().index(place)
    assert told_place["wavelength"] == store.place_wavelength[number]
    assert (told_place["width"], told_place["flux"], told_place["share"]) == (12.0, "excess", 0.5)
    (estimate,) = told["estimates"]
    assert estimate == {
        "quantity": "redshift",
        "unit": "",
        "value": number / 1000,
        "error": float(np.float32(2.5e-4)),
    }
    assert told["not_testable"] == ["broad_lines", "arm_step"]
    scored = int((store.rows["status"] == RowStatus.SCORED).sum())
    significance = told["significance"]
    assert (significance["sigma"], significance["pixels"]) == (7.25, 15)
    assert (significance["trials"], significance["spectra"]) == (9000, scored)
    assert significance["by_chance"] == pytest.approx(chance_sigma(9000 * scored))
    assert told["model"] in shown.err
    assert f"redshift {number / 1000:.5f} ± 0.00025" in shown.err
    assert "broad lines, arm step" in shown.err
    assert (
        f"7.2 sigma in 15 pixels; of {scored:,} spectra with 9,000 places each, chance shows up to"
        in shown.err
    )
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert run_command(["show", store.url, told["key"], "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == told


def told_of(url: str, key: str, capsys: pytest.CaptureFixture[str]) -> object:
    assert run_command(["show", url, key, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_of_a_store_with_a_catalogue_few_objects_are_read(
    store: SyntheticStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(store.url, tmp_path / "odd.zarr")
    copy = Store.open(str(tmp_path / "odd.zarr"))
    update_catalogue(copy, Snapshot.read(copy.ledger))
    key = f"iron/main/bright/{EXPLAINED}"
    with RangeServer(tmp_path) as web:
        assert told_of(f"{web.url}/odd.zarr", key, capsys) == told_of(store.url, str(EXPLAINED), capsys)
        read = Counter("/".join(each.path.split("/")[1:3]) for each in web.requests(method="GET"))
        assert not {path for path in read if path.startswith(("spectra", "scores"))}
        entries = [each.path for each in web.requests("*/ledger/*/0*.json", "GET")]
        assert [path.split("/")[2] for path in entries if "plans" not in path] == ["attribution"]
        # Of each array of explanations its document, and the index and the chunk of one shard.
        arrays = [name for name in read if name.startswith("outliers/")]
        assert len(arrays) == len(EXPLANATIONS)
        assert max(read[name] for name in arrays) <= 3
        assert read["catalogue/manifest.json"] == 2  # to find the row, and to count what is scored
        assert web.sent("*.names") == 32


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("7", "The store has no such spectrum."),
        (str(SCORED), "no explanation of this spectrum"),
        (str(UNSCORED), "whyspec explain release/healpix/coadd-0.fits --row"),
    ],
)
def test_what_is_not_explained_is_refused(
    key: str, text: str, store: SyntheticStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["show", store.url, key]) == 66
    assert text in capsys.readouterr().err


def test_of_a_repeated_target_the_row_that_is_explained_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = synthetic_store(tmp_path / "odd.zarr", repeats={2: 1})
    assert run_command(["show", store.url, str(EXPLAINED), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["score"], told["model"]) == (store.score[1], "synthetic")
